"""A question as `export --to trl-grpo` has written it: what it takes to play it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import check_names_images
from cof_agent.dialects.tools import ZOOM
from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.geometry import Size
from cof_agent.loop.config import FocusConfig

DIALECTS = ("cof", "qwen3")
"""Those whose turns the trainer's loop reads and writes as the graph does."""


def rules_of(row: Mapping[str, Any]) -> tuple[Profile, FocusConfig]:
    """How the policy is spoken to and the limits of the question, from the columns `profile` and `config`.

    Raises ConfigError for a row that cannot be played as the loop would.
    """
    missing = [name for name in ("original", "profile", "config") if row.get(name) is None]
    if missing:
        raise ConfigError(
            f"the row {row.get('id')!r} has no {' and no '.join(missing)}: use rows of `export --to trl-grpo`"
        )
    where = f"row {row.get('id')!r}"
    profile = _playable(Profile.parse(_value(row["profile"]), f"the profile of {where}"), where)
    check_names_images(profile, 1 + len(row.get("other_originals") or ()))
    config = FocusConfig.parse(_value(row["config"]))
    if config.max_conversation_tokens < config.max_visual_tokens:
        raise ConfigError(
            f"max_conversation_tokens ({config.max_conversation_tokens}) of {where} is less than "
            f"max_visual_tokens ({config.max_visual_tokens}): the trainer cannot take regions out of a "
            "conversation again. Lower max_visual_tokens"
        )
    return profile, config


def original_of(row: Mapping[str, Any]) -> Any:
    """The image that regions are cut from, as `open_image` takes it. Raises ImageError where there is none.

    Of several images it is the first.
    """
    return _image(row["original"])


def originals_of(row: Mapping[str, Any]) -> list[Any]:
    """All images of a row, in the order in which they are shown; see `original_of`."""
    return [original_of(row), *map(_image, row.get("other_originals") or ())]


def _image(column: Any) -> Any:
    if not isinstance(column, Mapping):
        return column
    given = column.get("bytes") or column.get("path")
    if not given:
        raise ImageError(f"an original image with neither bytes nor a path, only {sorted(column)}: export again")
    return given


def check_first_look(row: Mapping[str, Any], image: Size, shown: Size) -> None:
    """Raise ConfigError unless an `image` of the row has the size at which its profile shows the original."""
    if image != shown:
        raise ConfigError(
            f"row {row.get('id')!r} shows the image at {image} pixels, and its profile at {shown}: export again"
        )


def _playable(profile: Profile, where: str) -> Profile:
    """The profile. Raises ConfigError when the trainer's loop cannot play as it says."""
    if profile.dialect not in DIALECTS:
        raise ConfigError(
            f"{where} is in dialect {profile.dialect!r}: environments speak `cof` and `qwen3`; collect with one of them"
        )
    if profile.dialect != "cof" and profile.prompts.reminder:
        raise ConfigError(f"{where} has a reminder, which environments know in dialect `cof` alone: collect without it")
    if profile.tools != (ZOOM,):
        raise ConfigError(f"{where} offers {list(profile.tools)}: environments have {ZOOM} alone; collect with that")
    if profile.stop_after_call:
        raise ConfigError(f"{where} has stop_after_call, but the trainer runs all calls of a turn: collect without it")
    return profile


def _value(column: Any) -> Any:
    """A column's value, whether or not it is JSON. Raises ConfigError for text that is none."""
    if isinstance(column, Profile):
        return column.model_dump()
    if not isinstance(column, str):
        return column
    try:
        return json.loads(column)
    except ValueError as error:
        raise ConfigError(f"{column[:40]!r} in a row is not JSON ({error}): export again") from error
