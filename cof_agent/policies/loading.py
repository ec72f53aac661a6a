"""Policies: what drives the loop. One file a kind of model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from langchain_core.language_models import BaseChatModel

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.policies.kinds import KINDS, kind_of
from cof_agent.policies.policy import Policy
from cof_agent.policies.profiles import profile_for
from cof_agent.policies.vendors import vendor_profile

__all__ = ["KINDS", "Policy", "load_policy"]

Loaded: TypeAlias = tuple[BaseChatModel, Profile]
"""A model, and the profile that it is spoken to with."""


def load_policy(spec: str, *, profile: Profile | None = None, dialect: str | None = None, **options: Any) -> Policy:
    """Load the policy that `spec` names.

    - `reader` answers questions about text visible in photos, offline (extra `reader`); its one option is `page_text`:
      `cof_agent.policies.reader.reader_model`.
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
    kind, rest = kind_of(spec)
    if options and not kind.options:
        raise ConfigError(f"{spec} takes no options, but {', '.join(sorted(options))} was given")
    if dialect is not None:
        profile, _ = profile_for(spec, dialect=dialect)  # first: an unknown dialect is told before anything is loaded
    model, spoken = LOADERS[kind.name](rest, profile, options)
    return Policy(model, spoken, spec)


def _reader(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    from cof_agent.policies.reader import PROFILE, reader_model

    return reader_model(**options), profile_for("reader", own=PROFILE, profile=profile)[0]


def _tiny(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    from cof_agent.policies.tiny import load_tiny

    return load_tiny(profile=profile, **options)


def _checkpoint(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    from cof_agent.policies.qwen import load_qwen

    return load_qwen(rest, profile=profile, **options)


def _openai(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    return _provider(f"openai:{rest}", profile, options)


def _provider(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    from cof_agent.policies.endpoint import load_endpoint
    from cof_agent.policies.environment import EndpointEnvironment

    environment = EndpointEnvironment.read()
    model = load_endpoint(rest, environment, **options)
    provider, _, name = rest.partition(":")
    where = options.get("base_url") or (environment.base_url if provider == "openai" else None)
    return model, profile_for(name, profile=profile, vendors=vendor_profile(provider, where))[0]


def _script(rest: str, profile: Profile | None, options: dict[str, Any]) -> Loaded:
    from cof_agent.policies.script import load_script

    model, own = load_script(rest)
    return model, profile_for(rest, own=own, profile=profile)[0]


LOADERS: Mapping[str, Callable[[str, Profile | None, dict[str, Any]], Loaded]] = {
    "reader": _reader,
    "tiny": _tiny,
    "hf": _checkpoint,
    "openai": _openai,
    "PROVIDER": _provider,
    "script": _script,
}
"""By kind: what loads it, given what follows the kind's name in the spec, the profile asked for, and the options."""
