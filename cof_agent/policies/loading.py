"""Policies: what drives the loop. One file a kind of model."""

from __future__ import annotations

from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.policies.policy import Policy
from cof_agent.policies.profiles import profile_for

__all__ = ["KINDS", "Policy", "load_policy"]

KINDS = "reader, tiny, script:FILE, hf:PATH_OR_ID, openai:MODEL, or any other PROVIDER:MODEL"
"""The forms of a spec."""


def load_policy(spec: str, *, profile: Profile | None = None, dialect: str | None = None, **options: Any) -> Policy:
    """Load the policy that `spec` names.

    - `reader` answers questions about text visible in photos, offline (extra `reader`).
    - `tiny` runs the small Qwen2.5-VL that comes with the package, trained on scenes alone, offline (extra `local`);
      `options` are those of `hf:`.
    - `script:FILE` replays the turns in a JSON file.
    - `hf:PATH_OR_ID[@REVISION]` runs a Qwen-VL checkpoint on this machine (extra `local`); `options` are those of
      `cof_agent.policies.qwen.load_qwen`: `device`, `dtype`, `adapter`, `temperature`, …
    - `openai:MODEL` talks to OpenAI or, with `base_url`, to any server that speaks its chat completions (extra
      `openai`); any other `PROVIDER:MODEL` is what LangChain's `init_chat_model` makes of it (extra `providers`).
      `options` go to the client: `base_url`, `api_key`, `temperature`, `timeout`, … `api_key` is taken from the
      provider's environment variable (OPENAI_API_KEY for `openai:`) unless given.

    How it is spoken to: a `profile` given here, else the default one of the `dialect` given here, else what the
    checkpoint's `focus.json`, name or configuration says.

    Raises ConfigError for an unknown spec or option and MissingExtraError, with the command to run, for a missing
    extra.
    """
    if profile is not None and dialect is not None:
        raise ConfigError(f"give a profile or a dialect ({dialect!r}), not both: a profile names its dialect")
    kind, _, rest = spec.partition(":")
    if dialect is not None:
        profile, _ = profile_for(spec, dialect=dialect)  # first: an unknown dialect is told before anything is loaded
    if spec == "reader":
        _no_options(spec, options)
        from cof_agent.policies.reader import PROFILE, reader_model

        return Policy(reader_model(), profile_for(spec, own=PROFILE, profile=profile)[0], spec)
    if spec == "tiny":
        from cof_agent.policies.tiny import load_tiny

        qwen, own = load_tiny(profile=profile, **options)
        return Policy(qwen, own, spec)
    if kind == "script" and rest:
        _no_options(spec, options)
        from cof_agent.policies.script import load_script

        script, own = load_script(rest)
        return Policy(script, profile_for(spec, own=own, profile=profile)[0], spec)
    if kind == "hf" and rest:
        from cof_agent.policies.qwen import load_qwen

        qwen, own = load_qwen(rest, profile=profile, **options)
        return Policy(qwen, own, spec)
    if kind and rest:
        from cof_agent.policies.endpoint import load_endpoint
        from cof_agent.policies.environment import EndpointEnvironment

        return Policy(
            load_endpoint(spec, EndpointEnvironment.read(), **options), profile_for(rest, profile=profile)[0], spec
        )
    raise ConfigError(f"no policy is named {spec!r}: choose one of {KINDS}")


def _no_options(spec: str, options: dict[str, Any]) -> None:
    if options:
        raise ConfigError(f"{spec} takes no options, but {', '.join(sorted(options))} was given")
