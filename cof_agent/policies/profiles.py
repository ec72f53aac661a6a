"""Which profile a policy is spoken to with, and what says so."""

from __future__ import annotations

from pathlib import Path

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import default_profile, load_profile
from cof_agent.errors import ConfigError
from cof_agent.policies.known_checkpoints import known_dialect, unread_form

UNKNOWN = "nothing"
"""What says how to speak to a policy of which neither name nor type is known."""

OWN = "focus.json"
"""The file of a checkpoint with its own profile."""


def profile_for(
    name: str,
    *,
    model_type: str | None = None,
    folder: Path | None = None,
    own: Profile | None = None,
    profile: Profile | None = None,
    dialect: str | None = None,
    vendors: Profile | None = None,
) -> tuple[Profile, str]:
    """The profile of the policy that `name` names, and what says so.

    The first that there is: the `profile` given, the default one of the `dialect` given, the policy's `own`, the
    `focus.json` in the `folder` of its checkpoint, the default one of its name's dialect, that of its `model_type`'s,
    that of its `vendors`; else provider-native tool calls. `name` is a hub id, a path or what a server calls it.

    Raises ConfigError for an unknown dialect, a `focus.json` that cannot be read, and a policy that is known to speak
    in a form that no dialect reads.
    """
    if profile is not None:
        return profile, "the profile given"
    if dialect is not None:
        return default_profile(dialect), "the dialect given"
    if own is not None:
        return own, "the policy itself"
    if folder is not None and (folder / OWN).is_file():
        return load_profile(folder / OWN), f"its {OWN}"
    if why := unread_form(name):
        raise ConfigError(why)
    if (known := known_dialect(name, model_type)) is None:
        return (vendors, "its vendor") if vendors is not None else (default_profile("native"), UNKNOWN)
    return default_profile(known[0]), known[1]
