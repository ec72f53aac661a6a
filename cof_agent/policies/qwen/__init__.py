"""Qwen-VL checkpoints on this machine."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from cof_agent.errors import ConfigError

if TYPE_CHECKING:
    from cof_agent.dialects.profile import Profile
    from cof_agent.policies.qwen.chat import ChatQwenVL

PLACING = ("device", "dtype", "adapter", "revision")
"""Options of `load_qwen` about how the checkpoint is opened."""


def load_qwen(
    rest: str, *, profile: Profile | None = None, dialect: str | None = None, **options: Any
) -> tuple[ChatQwenVL, Profile]:
    """Open the checkpoint that `rest` names: a directory, a hub id, or `ID@REVISION`; and find its profile.

    `cof_agent.policies.profiles.profile_for` says which profile that is. `options` are those of
    `cof_agent.policies.qwen.checkpoint.open_checkpoint` and the settings of
    `cof_agent.policies.qwen.settings.Settings`. All of it is checked before weights are fetched or read.

    Raises ConfigError for an option that neither has or that is out of range, a checkpoint that cannot be opened, or a
    profile whose sizes the checkpoint cannot take, and MissingExtraError without the extra `local`.
    """
    importlib.import_module("cof_agent.policies.qwen.processor")  # first: it says which extra is missing
    from cof_agent.policies.profiles import profile_for
    from cof_agent.policies.qwen.chat import ChatQwenVL
    from cof_agent.policies.qwen.checkpoint import find_checkpoint, open_found
    from cof_agent.policies.qwen.settings import SETTINGS, check_settings

    if unknown := sorted(options.keys() - {*PLACING, *SETTINGS}):
        raise ConfigError(
            f"a local checkpoint has no option {', '.join(unknown)}: choose of {', '.join((*PLACING, *SETTINGS))}"
        )
    where, revision = _parted(rest)
    placing = {name: options.pop(name) for name in PLACING if name in options}
    check_settings(options, where)
    named = placing.pop("revision", None)
    found = find_checkpoint(where, revision=revision or named)
    spoken, _ = profile_for(where, model_type=found.model_type, folder=found.folder, profile=profile, dialect=dialect)
    for name, rule in (("overview", spoken.overview), ("regions", spoken.regions)):
        if rule.factor != found.factor:
            raise ConfigError(
                f"the profile shows images in multiples of {rule.factor} pixels ({name}.factor), but {where} takes "
                f"multiples of {found.factor}: set factor={found.factor} in its overview and regions"
            )
    if spoken.stop_after_call and "stop_after" not in options:
        from cof_agent.dialects.registry import get_dialect

        end = get_dialect(spoken.dialect).call_end
        options["stop_after"] = (end,) if end else ()
    return ChatQwenVL(checkpoint=open_found(found, **placing), **options), spoken


def _parted(rest: str) -> tuple[str, str | None]:
    """The directory or id, and the revision."""
    where, at, revision = rest.rpartition("@")
    if not at or os.path.exists(os.path.expanduser(rest)):
        where, revision = rest, ""
    if not where or (at and where != rest and not revision):
        raise ConfigError(f"{rest!r} names no checkpoint: give a directory, a hub id, or ID@REVISION")
    return where, revision or None
