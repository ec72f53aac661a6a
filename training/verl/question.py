"""A question as a row of verl's dataset holds it: what `cof-agent export --to verl` has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.loop.config import FocusConfig


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to be played, and how."""

    question: BenchmarkQuestion
    profile: Profile
    config: FocusConfig

    @property
    def image(self) -> str | list[str]:
        """Path of the original, or of several the list of them."""
        paths = [str(path) for path in self.question.images]
        return paths if len(paths) > 1 else paths[0]


def asked(row: Mapping[str, Any], limits: Mapping[str, Any]) -> Asked:
    """The question of a row; `limits` go over the row's own.

    Raises ConfigError, naming the row and the value, for one that is not as it was exported.
    """
    facts, truth = row.get("extra_info") or {}, (row.get("reward_model") or {}).get("ground_truth")
    where = f"row {facts.get('id')!r}"
    missing = [name for name in ("question", "original", "profile", "config") if not facts.get(name)]
    if missing or truth is None:
        names = ", ".join([*missing, *(["ground_truth"] if truth is None else [])])
        raise ConfigError(f"{where} has no {names}: use rows of `cof-agent export --to verl`")
    others = facts.get("other_originals")
    return Asked(
        BenchmarkQuestion(
            id=str(facts.get("id")),
            image=[str(facts["original"]), *map(str, others if others is not None else ())],
            text=str(facts["question"]),
            answer=str(truth),
            options=tuple(facts["options"] if facts.get("options") is not None else ()),
        ),
        Profile.parse(_value(facts["profile"], where), f"the profile of {where}"),
        FocusConfig.parse(_value(facts["config"], where) | dict(limits)),
    )


def _value(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{text!r:.40} in {where} is not JSON ({error}): export it again") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{text!r:.40} in {where} is no JSON object: export it again")
    return value
