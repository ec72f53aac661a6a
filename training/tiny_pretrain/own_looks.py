"""Where a policy has looked by itself on scenes of the training split: how one goes on from there is to be learnt."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Box
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import Outlook
from cof_agent.scenes.split import Split

_ROUNDED = 2
"""Pixels of the overview by which a side may be off that is told from what was shown."""


@dataclass(frozen=True, slots=True)
class OwnLooks:
    """One run that zoomed."""

    question: SceneQuestion
    long_side: int
    """Longer side of the source, in pixels."""
    boxes: tuple[tuple[int, int, int, int], ...]
    """What it asked to see, in order: pixels of the overview."""


def read_own_looks(folder: str | Path, profile: Profile) -> tuple[OwnLooks, ...]:
    """Those that `cof-agent eval scenes:train --out FOLDER` has written, of questions that name something.

    Raises ConfigError when there are none, or when they are not of the training split.
    """
    directory = Path(folder).expanduser()
    try:
        about = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        lines = (directory / "results.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as why:
        raise ConfigError(f"looks: {directory} is not what `cof-agent eval scenes:train --out` writes: {why}") from None
    if about["role"] != Split.TRAIN or not about["benchmark"].startswith("scenes:"):
        raise ConfigError(f"looks: {directory} is about {about['benchmark']}: take scenes:train")
    kind = about["benchmark"].removeprefix("scenes:").partition(":")[2]
    asked = Kind(kind) if kind else None
    found = tuple(looks for row in rows if row["zooms"] and (looks := _looks(row, asked, profile)))
    if not found:
        raise ConfigError(f"looks: no run in {directory} zoomed")
    return found


def _looks(row: Mapping[str, Any], kind: Kind | None, profile: Profile) -> OwnLooks | None:
    seed = int(row["question"].split("-")[1])
    question = scene_question(Split.TRAIN, seed - Split.TRAIN.seed(0), kind)
    if question.text != row["text"]:
        raise ConfigError(f"looks: {row['question']} asks “{row['text']}”, now it is “{question.text}”: evaluate anew")
    outlook = Outlook(tuple(row["source"]), profile)
    boxes = tuple(itertools.takewhile(bool, (_asked(Box(*box), outlook) for box in row["zooms"])))
    long_side = max(row["source"])
    return OwnLooks(question, long_side, boxes) if boxes and question.names else None  # type: ignore[arg-type]


def _asked(shown: Box, outlook: Outlook) -> tuple[int, int, int, int] | None:
    """The box in pixels of the overview for which the loop shows `shown`; None where it lies too near to the edge to
    be told."""
    return next((box for box in _near(shown, outlook) if outlook.region(box).box == shown), None)


def _near(shown: Box, outlook: Outlook) -> Iterator[tuple[int, int, int, int]]:
    sides = []
    for (low, high), source, view in zip(
        ((shown.x1, shown.x2), (shown.y1, shown.y2)), outlook.source, outlook.overview, strict=True
    ):
        middle, side = (low + high) / 2 * view / source, (high - low) * view / source / outlook.profile.zoom.margin
        ends = (round(middle - side / 2), round(middle + side / 2))
        sides.append([range(max(end - _ROUNDED, 0), min(end + _ROUNDED, view) + 1) for end in ends])
    (left, right), (top, bottom) = sides
    for x1, y1, x2, y2 in itertools.product(left, top, right, bottom):
        if x1 < x2 and y1 < y2:
            yield x1, y1, x2, y2
