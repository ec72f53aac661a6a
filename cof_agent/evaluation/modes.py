"""How much a policy may look: with zooms or without, and how large the first look is."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.loop.config import FocusConfig


class Mode(StrEnum):
    """Who decides whether the policy zooms."""

    ADAPTIVE = "adaptive"
    """The policy."""
    DIRECT = "direct"
    """Nobody zooms: the first look has to do."""
    PROACTIVE = "proactive"
    """It has to zoom at least once before it may answer."""


def limits_of(mode: Mode, config: FocusConfig, profile: Profile) -> FocusConfig:
    """`config` as `mode` has it. Raises ConfigError where a policy must zoom and cannot."""
    if mode is Mode.DIRECT:
        return config.model_copy(update={"max_zooms": 0, "min_zooms": 0})
    if mode is Mode.ADAPTIVE:
        return config
    if not profile.tools:
        raise ConfigError("mode proactive needs zooms, and this profile offers no tools: use mode direct")
    if config.max_zooms < 1:
        raise ConfigError("mode proactive needs zooms, but max_zooms is 0: raise it, or use mode direct")
    return config.model_copy(update={"min_zooms": max(1, config.min_zooms)})


def with_budget(profile: Profile, side: int | None) -> Profile:
    """`profile` whose overview has at most the area of a square of `side` shown pixels; None: as it is.

    Raises ConfigError for a square smaller than one visual token.
    """
    if side is None:
        return profile
    rule = profile.overview
    if side < rule.factor:
        raise ConfigError(f"an overview budget of {side} is under one visual token of {rule.factor} pixels a side")
    area = side * side
    return profile.model_copy(
        update={"overview": replace(rule, min_pixels=min(rule.min_pixels, area), max_pixels=area)}
    )
