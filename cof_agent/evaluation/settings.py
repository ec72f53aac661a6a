"""What a run was asked to do: all that makes two runs the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, validated
from cof_agent.evaluation.question import Role
from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.sizes import DEFAULT_RESOLUTIONS, NATIVE, told
from cof_agent.evaluation.summary import excerpt
from cof_agent.evaluation.tampering import Tampering
from cof_agent.images.geometry import SizeRule
from cof_agent.loop.config import FocusConfig
from cof_agent.policies.redaction import hide


class Mode(StrEnum):
    """Who decides whether the policy zooms."""

    ADAPTIVE = "adaptive"
    """The policy."""
    DIRECT = "direct"
    """Nobody zooms: the first look has to do."""
    PROACTIVE = "proactive"
    """It has to zoom at least once before it may answer."""


def limits_of(
    mode: Mode, config: FocusConfig, profile: Profile, budgets: Sequence[int | None] = (None,)
) -> FocusConfig:
    """`config` as `mode` has it. Raises ConfigError where a policy must zoom and cannot.

    Where it does not name `max_visual_tokens`, there is room for the largest first look of `budgets` and for all zooms:
    the release shows images of up to 3840² pixels, of which one takes more than the usual limit.
    """
    config = _of_mode(mode, config, profile)
    if "max_visual_tokens" in config.model_fields_set:
        return config
    overviews = [with_budget(profile, side).overview for side in budgets]
    need = max(map(_most_tokens, overviews)) + config.max_zooms * _most_tokens(profile.regions)
    return config.model_copy(update={"max_visual_tokens": max(config.max_visual_tokens, need)})


def _most_tokens(rule: SizeRule) -> int:
    """Visual tokens of the largest image that a rule shows."""
    return rule.max_pixels // rule.factor**2


def _of_mode(mode: Mode, config: FocusConfig, profile: Profile) -> FocusConfig:
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


_SHOWN = 120
"""Characters of a value that a message shows."""

_OF_THE_MACHINE = {"api_key", "base_url", "device", "timeout", "max_retries", "http_client", "default_headers"}
"""Options of a policy that say where it runs and who pays rather than what it answers."""


class RunSettings(BaseModel):
    """What a run was asked to do. Where, how fast and with what display it ran are no part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    schema_version: int = Field(default=1, alias="schema")
    benchmark: str
    role: Role
    policy: str
    """Its name: the spec it was loaded from."""
    options: tuple[str, ...] = ()
    """Of the policy, as NAME=VALUE, without keys and addresses."""
    dialect: str
    profile: dict[str, Any]
    """The policy's own profile as JSON, before any overview budget."""
    profile_digest: str
    """First 16 hex digits of the SHA-256 of `profile`."""
    mode: Mode = Mode.ADAPTIVE
    resolutions: tuple[int | None, ...] = DEFAULT_RESOLUTIONS
    """Long sides in pixels; None: the image as it is."""
    budgets: tuple[int | None, ...] = (None,)
    """Sides of the squares whose areas, in pixels, the overview may have; None: the policy's own."""
    start: int = Field(default=0, ge=0)
    """So many questions of the benchmark are left out, the first ones."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many questions, the next of the benchmark."""
    regions: tuple[Tampering, ...] = ()
    """Each question is asked once more with each of these in place of what its regions show."""
    counterfactual: bool = False
    """Whether each scene is asked about a second time with its truth, and so the image, changed."""
    judge: str | None = None
    limits: dict[str, Any]
    """The limits of a question, `FocusConfig` as JSON, as the mode has them."""
    version: str
    """Of this package."""

    @classmethod
    def of(cls, **values: Any) -> RunSettings:
        """Settings from their names and values. Raises ConfigError that names what is wrong."""
        made = validated(cls, values, "the evaluation")
        for name in ("resolutions", "budgets"):
            given = getattr(made, name)
            if not given or len(set(given)) < len(given) or min(filter(None, given), default=28) < 28 or 0 in given:
                words = ",".join(map(told, given))
                raise ConfigError(f"{name} are whole numbers of at least 28, or {NATIVE}, each once, not {words!r}")
        words = ",".join(made.regions)
        if len(set(made.regions)) < len(made.regions):
            raise ConfigError(f"regions are {', '.join(Tampering)}, each once, not {words!r}")
        if made.regions and made.mode is Mode.DIRECT:
            raise ConfigError(f"regions {words} replace what zooms show, and mode direct has none: use another mode")
        return made

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every setting that each question is asked under, in order: those of one picture together."""
        tampered = [Cell(), *(Cell(region=region) for region in self.regions)]
        kinds = [*tampered, *([Cell(counterfactual=True)] if self.counterfactual else [])]
        return tuple(
            kind.model_copy(update={"resolution": resolution, "budget": budget})
            for resolution in self.resolutions
            for kind in kinds
            for budget in self.budgets
        )

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def profile_digest(profile: Profile) -> str:
    """First 16 hex digits of the SHA-256 of a profile's JSON."""
    return hashlib.sha256(json.dumps(profile.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


def lasting_options(options: Sequence[str]) -> tuple[str, ...]:
    """Of a policy's options, as NAME=VALUE, those that may change what it answers, sorted and without secrets."""
    kept = (option for option in options if option.partition("=")[0].strip() not in _OF_THE_MACHINE)
    return tuple(sorted(map(hide, kept)))


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What is not the same in all `settings`, with each one's value; those inside others as `limits.max_zooms`."""
    flat = [dict(_flattened(held)) for held in settings]
    names = dict.fromkeys(name for held in flat for name in held if name != "profile_digest")  # the profile tells more
    values = {name: tuple(held.get(name) for held in flat) for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def _flattened(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _flattened(item, f"{above}{name}.")
        else:
            yield above + name, item


def shown(value: object) -> str:
    """`value` as JSON, cut short for a message."""
    return excerpt(json.dumps(value, ensure_ascii=False), _SHOWN)


def default_directory(settings: RunSettings, usual_limit: int | None) -> Path:
    """Where a run goes unless somebody says so: a name for people, in the current directory.

    It tells what is asked and whatever is not as usual, so that other settings go elsewhere. `usual_limit` is that of
    the benchmark.
    """
    kind, _, where = settings.benchmark.partition(":")
    provider, _, model = settings.policy.partition(":")
    profile = Profile.model_validate(settings.profile)
    usual = limits_of(settings.mode, FocusConfig(), profile, settings.budgets).model_dump(mode="json")
    parts = [
        *(kind, _last(where), provider, _last(model), settings.mode, *settings.regions),
        "changed" if settings.counterfactual else "",
        _sizes("at", settings.resolutions, DEFAULT_RESOLUTIONS),
        _sizes("look", settings.budgets, (None,)),
        f"from {settings.start}" if settings.start else "",
        "" if settings.limit == usual_limit else f"first {settings.limit}",
        *(f"{name} {value}" for name, value in settings.limits.items() if value != usual.get(name)),
        *settings.options,
    ]
    words = [re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-.") for part in parts]
    return Path("-".join(map(_short, filter(None, words))) or "run")


def _sizes(name: str, values: Sequence[int | None], usual: Sequence[int | None]) -> str:
    return "" if tuple(values) == usual else " ".join([name, *map(told, values)])


def _short(word: str) -> str:
    """A part of a file's name; two long ones that differ stay apart."""
    return word if len(word) <= 40 else f"{word[:31].rstrip('-.')}-{hashlib.sha256(word.encode()).hexdigest()[:8]}"


def _last(path: str) -> str:
    """The last folders of a path; a spec's other words as they are."""
    return "-".join(re.split(r"[/\\]+", path.rstrip("/\\"))[-2:])
