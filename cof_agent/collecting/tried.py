"""All that was tried: the runs of an evaluation beside their trajectories."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from cof_agent.collecting.candidate import Candidate
from cof_agent.errors import TrajectoryError
from cof_agent.evaluation.lines import read_lines
from cof_agent.evaluation.results import SKIPPED, read_run
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.settings import RunSettings
from cof_agent.rewards import rollout_of
from cof_agent.state import Status
from cof_agent.trajectory import Trajectory
from cof_agent.transcript import storable


class Reason(StrEnum):
    """Why a run is not kept. The first that holds is told."""

    FAILED = "failed"
    """The run, or the judging of its answer, failed."""
    UNANSWERED = "unanswered"
    """There is no answer: declined, or a limit was reached."""
    WRONG = "wrong"
    """The answer is wrong, or nobody could tell whether it is right."""
    GUESSED = "guessed"
    """A right answer about a scene whose ideal observer cannot tell: it was luck."""
    UNTRACEABLE = "untraceable"
    """Its trajectory was not saved, or cannot be told from another one."""
    FORMAT = "format"
    """The thoughts or answers are not tagged as the format has it; see `rewards.well_formed`."""
    NEAR_DUPLICATE = "near_duplicate"
    """It repeats one that is kept; see `Candidate.repeats`."""
    SURPLUS = "surplus"
    """Good, but there were enough of its like."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a policy made of the questions."""

    settings: RunSettings
    runs: int
    questions: int
    """Different ones among the runs."""
    candidates: tuple[Candidate, ...]
    dropped: Counter[Reason]
    """Why the other runs are no candidates."""
    malformed: int
    """Rows of the benchmark that could not be asked."""
    skipped: int
    """Runs that never were, because the image is smaller than their resolution."""


_Mark: TypeAlias = tuple[Any, ...]
"""What a row and its trajectory share and no other run does: what it cost is part of it, the seconds in full."""


def read_tried(run: Path, trajectories: Path, questions: Collection[str]) -> Tried:
    """What the evaluation in the directory `run` tells of `questions` (ids), and the file of its `trajectories`.

    A question that was cut off after its trajectory was written was asked again: the trajectory that its row is of
    counts. Raises TrajectoryError, naming file and line, for damage.
    """
    known = read_run(run)
    dropped: Counter[Reason] = Counter()
    wanted: dict[_Mark, list[ResultRow]] = defaultdict(list)
    rows = [row for row in known.rows if row.question in questions]
    for row in rows:
        if reason := _reason(row):
            dropped[reason] += 1
        else:
            wanted[_mark_of_row(row)].append(row)
    found: dict[_Mark, list[tuple[Candidate, bool]]] = defaultdict(list)
    for offset, trajectory in _trajectories(trajectories):
        mark = _mark(trajectory)
        for row in wanted.get(mark, ()):
            right = rollout_of(trajectory, row.correct).well_formed
            found[mark].append((Candidate.of(row, offset, trajectory), right))
    candidates = []
    for mark, right_rows in wanted.items():
        matches = found.get(mark, [])
        if len(right_rows) == len(matches) == 1:
            candidate, right = matches[0]
            if right:
                candidates.append(candidate)
            else:
                dropped[Reason.FORMAT] += 1
        else:
            dropped[Reason.UNTRACEABLE] += len(right_rows)
    skipped = sum(1 for _, line in read_lines(run / SKIPPED) if line["question"] in questions)
    asked = len({row.question for row in rows})
    return Tried(known.settings, len(rows), asked, tuple(candidates), dropped, known.malformed, skipped)


def _reason(row: ResultRow) -> Reason | None:
    """Why a run is no candidate, as far as its row tells."""
    if row.status is Status.FAILED:
        return Reason.FAILED
    if row.answer is None:
        return Reason.UNANSWERED
    if not row.correct:
        return Reason.WRONG
    return Reason.GUESSED if row.reachable is False else None


def _mark_of_row(row: ResultRow) -> _Mark:
    usage = row.usage.model_dump() if row.usage else {}
    return storable(row.text.strip()), row.source, row.answer, row.zooms, tuple(usage.values())


def _mark(trajectory: Trajectory) -> _Mark:
    zooms = tuple((view.box.x1, view.box.y1, view.box.x2, view.box.y2) for view in trajectory.zooms)
    size = (trajectory.image.width, trajectory.image.height)
    return trajectory.question, size, trajectory.answer, zooms, tuple(trajectory.usage.model_dump().values())


def _trajectories(path: Path) -> Iterator[tuple[int, Trajectory]]:
    """Each with where its line begins. A line that a crash has torn is left out: its question was asked again."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read: {error.strerror or error}") from error
    offset = 0
    with file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if value is not None:
                try:
                    yield offset, Trajectory.from_json(value)
                except TrajectoryError as error:
                    raise TrajectoryError(f"{path} line {number}: {error}") from error
            offset += len(line)
