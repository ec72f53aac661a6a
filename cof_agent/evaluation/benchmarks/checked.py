"""Questions as they may be asked and scored, whoever wrote the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.rows import RowError, corners_as_fractions, show
from cof_agent.evaluation.matching.letter import letter_index
from cof_agent.evaluation.matching.options import LETTERS, read_options
from cof_agent.evaluation.question import Benchmark, BenchmarkItem, BenchmarkQuestion, MalformedRow
from cof_agent.images.geometry import Corners

_FRACTIONS = "left, top, right, bottom as fractions 0 to 1 of the upright image's width and height"


def checked(benchmark: Benchmark) -> Iterator[BenchmarkItem]:
    """The questions of `benchmark` as `sound` has them; why, in the place of what is none and of a second of one id.

    Raises ConfigError for a benchmark that yields anything but questions and malformed rows.
    """
    places: dict[str, str] = {}
    for item in benchmark:
        if isinstance(item, MalformedRow):
            yield item
            continue
        if not isinstance(item, BenchmarkQuestion):
            raise ConfigError(f"{benchmark.name} yields {type(item).__name__}: a benchmark yields BenchmarkQuestion")
        where = item.where or f"question {item.id}"
        try:
            question = sound(item)
            if question.id in places:
                raise RowError(f"its id {show(question.id)} is that of {places[question.id]}")
        except RowError as error:
            yield MalformedRow(where, str(error))
        else:
            places[question.id] = where
            yield question


def sound(question: BenchmarkQuestion) -> BenchmarkQuestion:
    """`question` with its options, also where only its text has them, and the letter of the right one as its truth.

    Raises RowError where a field is of another kind, no option is the right one, or a box is none.
    """
    for field in ("id", "text", "answer", "category"):
        value = getattr(question, field)
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"`{field}` is {show(value)}: it needs a text")
    if not question.images:
        raise RowError("it has no image: its list is empty")
    guess = question.guessing
    if guess is not None and not (isinstance(guess, int | float) and 0 <= guess <= 1):
        raise RowError(f"`guessing` is {show(guess)}: it needs a share, 0 to 1")
    options = _options(question)
    right = letter_index(question.answer, options)
    if options and right is None and not question.unanswerable:
        raise RowError(f"`answer` is {show(question.answer)}: it needs the letter of an option, or its text")
    return replace(
        question,
        answer=question.answer if right is None else LETTERS[right],
        options=options,
        boxes=_boxes(question.boxes),
        box_images=_box_images(question),
    )


def _options(question: BenchmarkQuestion) -> tuple[str, ...]:
    """Its own, or those in its text if the truth is one of them: an open question may name some, too."""
    given: Any = question.options
    if not isinstance(given, list | tuple):
        raise RowError(f"`options` is {show(given)}: it needs a list of texts")
    if given:
        if not (
            2 <= len(given) <= len(LETTERS) and all(isinstance(option, str) and option.strip() for option in given)
        ):
            raise RowError(f"`options` is {show(given)}: it needs a list of 2 to {len(LETTERS)} texts")
        return tuple(given)
    _, found = read_options(question.text)
    return found if letter_index(question.answer, found) is not None else ()


def _box_images(question: BenchmarkQuestion) -> tuple[int, ...]:
    """Which image each box is in. Raises RowError for anything else than a number of one of the images for each."""
    given: Any = question.box_images
    if not isinstance(given, list | tuple):
        raise RowError(f"`box_images` is {show(given)}: it needs a list of numbers, one for each of the `boxes`")
    count = len(question.images)
    for number in given:
        if type(number) is not int or not 0 <= number < count:
            raise RowError(f"`box_images` has {show(number)}: its images are numbered 0 to {count - 1}")
    if given and len(given) != len(question.boxes):
        raise RowError(f"`box_images` has {len(given)} numbers, and there are {len(question.boxes)} `boxes`")
    return tuple(given)


def _boxes(value: Any) -> tuple[Corners, ...]:
    if not isinstance(value, list | tuple):
        raise RowError(f"`boxes` is {show(value)}: it needs a list of boxes, each {_FRACTIONS}")
    boxes = tuple(corners_as_fractions(box, _FRACTIONS) for box in value)
    for x1, y1, x2, y2 in boxes:
        if max(x1, y1, x2, y2) > 1:
            raise RowError(f"the box {[x1, y1, x2, y2]} seems to be in pixels: it needs {_FRACTIONS}")
        if not (0 <= x1 < x2 and 0 <= y1 < y2):
            raise RowError(f"the box {[x1, y1, x2, y2]} has no area or leaves the image: it needs {_FRACTIONS}")
    return boxes
