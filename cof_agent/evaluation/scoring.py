"""From what happened to one question to the row that is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from cof_agent.agent.result import FailedQuestion, FocusResult
from cof_agent.dialects.profile import Profile
from cof_agent.errors import CofError
from cof_agent.evaluation.judge import Judge
from cof_agent.evaluation.matching import asked_in, decide
from cof_agent.evaluation.plan import PlannedQuestion
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.evaluation.row import ResultRow, Rule, Verdict
from cof_agent.images.geometry import Box, CoordinateSpace, Corners, Size, iou
from cof_agent.loop.state import Status, StopReason

log = logging.getLogger(__name__)


async def scored(
    task: PlannedQuestion, sizes: Sequence[Size], result: FocusResult, profile: Profile, judge: Judge | None
) -> ResultRow:
    """The row of a question that was asked about images of `sizes` pixels; see `judged`."""
    places = tuple(dict.fromkeys((item.image_index, item.box) for item in result.evidence))
    contains, iou = _overlaps(task.question, places, sizes) if result.answer is not None else (None, None)
    zooms, shown = _ideal_zooms(task, sizes[0], profile), result.trajectory.zooms
    several = len(sizes) > 1
    row = _row(task, sizes).model_copy(
        update={
            "answer": result.answer,
            "status": result.status,
            "stop_reason": result.stop_reason,
            "message": result.message or result.save_error,
            "evidence": tuple(box for _, box in places),
            "evidence_images": tuple(image for image, _ in places) if several else (),
            "contains_truth": contains,
            "iou": iou,
            "zooms": tuple((view.box.x1, view.box.y1, view.box.x2, view.box.y2) for view in shown),
            "zoom_images": tuple(view.image_index for view in shown) if several else (),
            "ideal_zooms": zooms,
            "reachable": None if task.question.scene is None else zooms is not None,
            "usage": result.usage,
            "trajectory": result.trajectory.id if result.saved else None,
        }
    )
    return await judged(row, judge)


async def judged(row: ResultRow, judge: Judge | None) -> ResultRow:
    """`row` with whether its answer is right, as rules or else `judge` decide, whatever stood there before.

    A judge that fails makes it a failed row, which keeps the answer that was to be judged.
    """
    if row.status is Status.FAILED and row.answer is not None:  # an earlier judge failed, and not the policy
        row = row.model_copy(update={"status": Status.ANSWERED, "message": None})
    try:
        verdict = await decide(asked_in(row), row.answer, judge, declined=row.status is Status.DECLINED)
    except Exception as error:  # a judge is foreign code: its failure is recorded, and stops no other question
        _note(row.key, error)
        message = f"the answer could not be judged: {_words(error)}"
        verdict = Verdict(correct=False, rule=Rule.UNMATCHED)
        row = row.model_copy(update={"status": Status.FAILED, "message": message})
    return row.model_copy(update={"correct": verdict.correct, "rule": verdict.rule})


def failed(task: PlannedQuestion, sizes: Sequence[Size], error: Exception, policy: str) -> ResultRow:
    """The row of a question that could not be asked to its end; without `sizes` if an image could not be opened."""
    _note(task.key, error)
    known = FailedQuestion(None, task.question.text, error, policy)
    where = f"{task.question.where}: " if task.question.where and not sizes else ""
    return _row(task, sizes).model_copy(update={"stop_reason": known.stop_reason, "message": where + _words(error)})


def _row(task: PlannedQuestion, sizes: Sequence[Size]) -> ResultRow:
    """A row of which nothing is known yet but the question."""
    question = task.question
    return ResultRow(
        key=task.key,
        number=task.number,
        question=question.id,
        category=question.category,
        cell=task.cell,
        text=question.text,
        truth=question.answer,
        options=question.options,
        chance=question.chance,
        source=sizes[0] if sizes else None,
        sources=tuple(sizes) if len(sizes) > 1 else (),
        answer=None,
        status=Status.FAILED,
        stop_reason=StopReason.ERROR,
        message=None,
        correct=False,
        rule=Rule.UNANSWERED,
        usage=None,
    )


def _ideal_zooms(task: PlannedQuestion, size: Size, profile: Profile) -> int | None:
    if task.question.scene is None:
        return None
    from cof_agent.scenes.reach import ideal_zooms

    # What can be seen does not depend on how a policy writes where it looks.
    return ideal_zooms(
        task.question.scene, size, profile.model_copy(update={"coordinates": CoordinateSpace.VIEW_PIXELS})
    )


def _note(key: str, error: Exception) -> None:
    if not isinstance(error, CofError):
        log.error("%s failed", key, exc_info=error)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, CofError) else f"{type(error).__name__}: {error}"


_SPARE = 0.5
"""Pixels by which a truth may stick out of a box that holds it: boxes are whole pixels, truths are fractions."""


def _overlaps(
    question: BenchmarkQuestion, places: Sequence[tuple[int, Sequence[int]]], sizes: Sequence[Size]
) -> tuple[bool | None, float | None]:
    """`overlap` over all images: evidence and truth count together only where they are in the same one."""
    if not question.boxes or not places:
        return None, None
    found = [
        overlap([box for image, box in places if image == number], question.boxes_of(number), size)
        for number, size in enumerate(sizes)
    ]
    return any(contains for contains, _ in found), max(iou or 0.0 for _, iou in found)


def overlap(
    evidence: Iterable[Box | Sequence[int]], truths: Iterable[Corners], source: Size
) -> tuple[bool | None, float | None]:
    """Whether a box of `evidence` holds one of `truths` whole, and their best intersection over union, 0.0 to 1.0.

    `evidence` in pixels of the source, whose width and height are `source`; `truths` in fractions of them. Both
    results are None where no truth is known, and where there is no evidence that could hold it.
    """
    width, height = source
    places = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in truths]
    boxes = [_corners(box) for box in evidence]
    if not places or not boxes:
        return None, None
    contains = any(_contains(box, place) for box in boxes for place in places)
    return contains, max(iou(box, place) for box in boxes for place in places)


def _corners(box: Box | Sequence[int]) -> Corners:
    x1, y1, x2, y2 = box.as_list() if isinstance(box, Box) else box
    return float(x1), float(y1), float(x2), float(y2)


def _contains(box: Corners, place: Corners) -> bool:
    return (
        box[0] - _SPARE <= place[0]
        and box[1] - _SPARE <= place[1]
        and place[2] <= box[2] + _SPARE
        and place[3] <= box[3] + _SPARE
    )
