"""Whether all that one policy needs is here: packages, weights, memory, key, server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cof_agent.errors import CofError, ConfigError
from cof_agent.policies.checks.check import Check
from cof_agent.policies.checks.installation import install, missing
from cof_agent.policies.environment import UNSET, EndpointEnvironment
from cof_agent.policies.kinds import kind_of
from cof_agent.policies.vendors import vendor_profile

__all__ = ["Check", "check_policy"]


def check_policy(spec: str, base_url: str | None = None, environment: EndpointEnvironment = UNSET) -> list[Check]:
    """What `load_policy(spec, base_url=…)` and its first question would need, without loading any weights.

    Asks the server at `base_url` (for `openai:` else the one that `environment` names) whether it is there; a model
    of `openai:` is looked for in its list, with the environment's key. Raises ConfigError for a spec of no known form
    and a `base_url` that is none or that the policy cannot have.
    """
    kind, rest = kind_of(spec)
    if base_url is not None and not kind.server:
        raise ConfigError(f"{spec} runs on this machine and has no server: leave the base URL out")
    checks = [_extra(kind.extra)] if kind.extra else []
    more = _MORE.get(kind.name)
    return [*checks, *more(rest, base_url, environment)] if more else checks


def _extra(name: str) -> Check:
    lacking = sorted(set(missing(name)))
    if lacking:
        return Check.missing(f"extra {name} ({', '.join(lacking)})", install(name))
    return Check("ok", f"extra {name}")


def _tiny(rest: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    from cof_agent.policies.tiny import FOLDER

    return _checkpoint(str(FOLDER), base_url, environment)


def _checkpoint(rest: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    from cof_agent.policies.checks.checkpoint import check_checkpoint

    return check_checkpoint(rest)


def _openai(rest: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    from cof_agent.policies.checks.endpoint import check_openai

    yield from check_openai(rest, base_url, environment)
    yield _told_by_its_name(rest, "openai", base_url or environment.base_url)


def _provider(rest: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    from cof_agent.policies.checks.endpoint import check_provider

    provider, _, model = rest.partition(":")
    yield from check_provider(provider, model, base_url, installed=not any(missing("providers")))
    yield _told_by_its_name(model, provider, base_url)


def _script(rest: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    from cof_agent.policies.script import load_script

    try:
        load_script(rest)
    except CofError as error:
        yield Check.missing(f"script {rest}", error)
    else:
        yield Check("ok", f"script {rest}")


def _told_by_its_name(model: str, provider: str = "", base_url: str | None = None) -> Check:
    try:
        return Check.profile_of(model, vendor_profile(provider, base_url))
    except ConfigError:  # of an address, which another check tells of
        return Check.profile_of(model)


_MORE: Mapping[str, Callable[[str, str | None, EndpointEnvironment], Iterator[Check]]] = {
    "tiny": _tiny,
    "hf": _checkpoint,
    "openai": _openai,
    "PROVIDER": _provider,
    "script": _script,
}
"""By kind: what is looked at beside the extra. A kind that needs no more has no entry."""
