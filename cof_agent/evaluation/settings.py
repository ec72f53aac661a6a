"""What a run was asked to do: all that makes two runs the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cof_agent.errors import ConfigError
from cof_agent.evaluation.modes import Mode
from cof_agent.evaluation.question import Role
from cof_agent.evaluation.regions import Region
from cof_agent.evaluation.row import Cell
from cof_agent.profile import Profile
from cof_agent.redaction import hide
from cof_agent.validation import validated

DEFAULT_RESOLUTIONS: tuple[int | None, ...] = (224, 336, 448, 672, 1024, 1536, 2240, 3840)
"""Long sides in pixels: eight steps from 224 to 4K."""

NATIVE = "native"
"""How people write a resolution or budget that is left as it is."""

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
    limit: int | None = Field(default=None, ge=1)
    """Only so many questions, the first of the benchmark."""
    regions: tuple[Region, ...] = ()
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
            raise ConfigError(f"regions are {', '.join(Region)}, each once, not {words!r}")
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


def differences(earlier: object, now: object, name: str = "") -> Iterator[str]:
    """In words, each setting of which two runs' JSON values are not equal."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*earlier, *now]):
            if key != "profile_digest":  # the profile tells more
                yield from differences(earlier.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif earlier != now:
        yield f"{name} was {shown(earlier)} and is now {shown(now)}"


def shown(value: object) -> str:
    """`value` as JSON, cut short for a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "…"


def told(value: int | None) -> str:
    """A resolution or budget as people write it."""
    return NATIVE if value is None else str(value)


def numbers(text: str, name: str) -> tuple[int | None, ...]:
    """`224,448,native` as numbers, None for native. Raises ConfigError, naming the option, for anything else."""
    try:
        return tuple(None if part.strip() == NATIVE else int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{name} takes whole numbers and {NATIVE}, such as 224,448,{NATIVE}, not {text!r}") from None


def default_directory(
    benchmark: str, policy: str, mode: str, regions: Sequence[str] = (), counterfactual: bool = False
) -> Path:
    """Where a run goes unless somebody says so: a name for people, in the current directory."""
    kind, _, where = benchmark.partition(":")
    parts = [kind, _last(where), *policy.partition(":")[::2], mode, *regions, "changed" if counterfactual else ""]
    parts[3] = _last(parts[3])
    words = [re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-.") for part in parts]
    return Path("-".join(word[:40] for word in words if word) or "run")


def _last(path: str) -> str:
    """The last folders of a path; a spec's other words as they are."""
    return "-".join(re.split(r"[/\\]+", path.rstrip("/\\"))[-2:])
