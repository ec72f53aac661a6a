"""All that was tried: the runs of an evaluation beside their trajectories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from cof_agent.agent.trajectory_file import located_trajectories
from cof_agent.evaluation.results import SKIPPED, read_run
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.settings import RunSettings
from cof_agent.files import read_lines
from cof_agent.learning.collecting.candidate import Candidate
from cof_agent.learning.rewards import rollout_of
from cof_agent.loop.state import Status


class Reason(StrEnum):
    """Why a run is not kept. The first that holds is told."""

    FAILED = "failed"
    """The run, or the judging of its answer, failed."""
    OUT_OF_TIME = "out_of_time"
    """Its time ran out before it answered."""
    UNANSWERED = "unanswered"
    """There is no answer where there is one to give: declined, or a limit was reached."""
    WRONG = "wrong"
    """The answer is wrong, or nobody could tell whether it is right."""
    GUESSED = "guessed"
    """A right answer about a scene whose ideal observer cannot tell: it was luck."""
    UNTRACEABLE = "untraceable"
    """Its trajectory was not saved, or is gone."""
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
    well_formed: int
    """Runs in the right format, whatever their answer; see `rewards.well_formed`."""
    malformed: int
    """Rows of the benchmark that could not be asked."""
    skipped: int
    """Runs that never were, because the image is smaller than their resolution."""


def read_tried(run: Path, trajectories: Path, questions: Collection[str]) -> Tried:
    """What the evaluation in the directory `run` tells of `questions` (ids), and the file of its `trajectories`.

    A question that was cut off after its trajectory was written was asked again: the trajectory that its row names
    counts. Raises TrajectoryError, naming file and line, for damage.
    """
    known = read_run(run)
    rows = [row for row in known.rows if row.question in questions]
    traced = {row.trajectory: row for row in rows if row.trajectory}
    pictures: dict[str, tuple[str, ...]] = {}
    found: dict[str, Candidate] = {}
    well_formed = set()
    for located in located_trajectories(trajectories) if traced else ():
        trajectory = located.trajectory
        if row := traced.get(located.id):
            pictures[row.key] = tuple(image.ref.url for image in trajectory.images)
            found[row.key] = Candidate.of(row, row.question, located.offset, trajectory)
            if rollout_of(trajectory, row.correct).well_formed:
                well_formed.add(row.key)
    subjects = _subjects(rows, pictures)
    dropped: Counter[Reason] = Counter()
    candidates = []
    for row in rows:
        reason = _reason(row)
        if reason is None and row.key not in found:
            reason = Reason.UNTRACEABLE
        elif reason is None and row.key not in well_formed:
            reason = Reason.FORMAT
        if reason:
            dropped[reason] += 1
        else:
            candidates.append(replace(found[row.key], subject=subjects[row.question]))
    return Tried(
        settings=known.settings,
        runs=len(rows),
        questions=len({row.question for row in rows}),
        candidates=tuple(candidates),
        dropped=dropped,
        well_formed=len(well_formed),
        malformed=known.malformed,
        skipped=sum(1 for _, line in read_lines(run / SKIPPED) if line["question"] in questions),
    )


def _subjects(rows: Sequence[ResultRow], pictures: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """By question, the first one that asks the same: in the same words, about what are the same images at some setting.

    `pictures` are the images that were asked about, as `ImageRef.url`, by the keys of the rows.
    """
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    subjects: dict[str, str] = {}
    for row in rows:
        subject = subjects.setdefault(row.question, row.question)
        if row.key in pictures:
            subjects[row.question] = first.setdefault((row.text, pictures[row.key]), subject)
    return subjects


def _reason(row: ResultRow) -> Reason | None:
    """Why a run is no candidate, as far as its row tells."""
    if row.status is Status.FAILED:
        return Reason.FAILED
    if row.timed_out:
        return Reason.OUT_OF_TIME
    if not row.correct:
        return Reason.UNANSWERED if row.answer is None else Reason.WRONG
    return Reason.GUESSED if row.reachable is False else None
