"""Whether all that one policy needs is here: packages, weights, memory, key, server."""

from __future__ import annotations

from cof_agent.errors import CofError, ConfigError
from cof_agent.policies.checks.check import Check
from cof_agent.policies.checks.installation import install, missing
from cof_agent.policies.environment import UNSET, EndpointEnvironment
from cof_agent.policies.loading import KINDS
from cof_agent.policies.profiles import profile_for

__all__ = ["Check", "check_policy"]


def check_policy(spec: str, base_url: str | None = None, environment: EndpointEnvironment = UNSET) -> list[Check]:
    """What `load_policy(spec, base_url=…)` and its first question would need, without loading any weights.

    Asks the server at `base_url` (for `openai:` else the one that `environment` names) whether it is there; a model
    of `openai:` is looked for in its list, with the environment's key. Raises ConfigError for a spec of no known form
    and a `base_url` that is none or that the policy cannot have.
    """
    kind, _, rest = spec.partition(":")
    local = spec in ("reader", "tiny") or (kind in ("script", "hf") and bool(rest))
    if local and base_url is not None:
        raise ConfigError(f"{spec} runs on this machine and has no server: leave the base URL out")
    if spec == "reader":
        return [_extra("reader")]
    if spec == "tiny":
        from cof_agent.policies.checks.checkpoint import check_checkpoint
        from cof_agent.policies.tiny import FOLDER

        return [_extra("local"), *check_checkpoint(str(FOLDER))]
    if kind == "script" and rest:
        return [_script(rest)]
    if kind == "hf" and rest:
        from cof_agent.policies.checks.checkpoint import check_checkpoint

        return [_extra("local"), *check_checkpoint(rest)]
    if not (kind and rest):
        raise ConfigError(f"no policy is named {spec!r}: choose one of {KINDS}")
    from cof_agent.policies.checks.endpoint import check_openai, check_provider

    provider = kind.replace("-", "_").lower()
    extra = _extra("openai" if provider == "openai" else "providers")
    if provider == "openai":
        found = check_openai(rest, base_url, environment)
    else:
        found = check_provider(provider, rest, base_url, installed=extra.state == "ok")
    profile, told_by = profile_for(rest)
    return [extra, *found, Check.spoken_to(profile.dialect, told_by)]


def _extra(name: str) -> Check:
    lacking = sorted(set(missing(name)))
    if lacking:
        return Check.missing(f"extra {name} ({', '.join(lacking)})", install(name))
    return Check("ok", f"extra {name}")


def _script(path: str) -> Check:
    from cof_agent.policies.script import load_script

    try:
        load_script(path)
    except CofError as error:
        return Check.missing(f"script {path}", error)
    return Check("ok", f"script {path}")
