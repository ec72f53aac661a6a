"""Policies: what drives the loop. One file a kind of model."""

from __future__ import annotations

from cof_agent.errors import ConfigError
from cof_agent.policies.policy import Policy
from cof_agent.profile import Profile

__all__ = ["Policy", "load_policy"]

KINDS = "reader, script:FILE"


def load_policy(spec: str, *, profile: Profile | None = None) -> Policy:
    """Load the policy that `spec` names.

    `reader` answers questions about text visible in photos, offline (extra `reader`). `script:FILE` replays the
    turns in a JSON file. A `profile` given here replaces the policy's own.

    Raises ConfigError for an unknown spec and MissingExtraError, with the command to run, for a missing extra.
    """
    kind, _, rest = spec.partition(":")
    if spec == "reader":
        from cof_agent.policies.reader import reader_model

        return Policy(reader_model(), profile or Profile(), spec)
    if kind == "script" and rest:
        from cof_agent.policies.script import load_script

        model, own = load_script(rest)
        return Policy(model, profile or own, spec)
    raise ConfigError(f"no policy is named {spec!r}: choose one of {KINDS}")
