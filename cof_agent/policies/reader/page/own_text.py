"""Lines of a page's own text, as far as a view shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cof_agent.images.geometry import Corners
from cof_agent.policies.reader.page.ocr import EDGE, Line
from cof_agent.policies.reader.words import squeeze

if TYPE_CHECKING:
    from PIL.Image import Image

LEGIBLE = 6.0
"""Height of a line's tallest word, in view pixels, from which it counts as shown. Measured on 12 lines each in
Helvetica, Times and Courier: from 5.7 on OCR read all of them, at 4.5 about two thirds."""
GAP = 1.2
"""Words of one line are at most so many heights apart."""
LEVEL = 0.5
"""They share this part of the lower one's height."""

PageWord: TypeAlias = tuple[str, Corners]
"""A word, and its box in view pixels."""


def own_lines(words: Sequence[PageWord], picture: Image) -> tuple[Line, ...]:
    """The lines that `words`, in reading order, make in a view, whose pixels are `picture`.

    Left out is what is too small to be seen, what has nothing drawn in its place, and what is written upwards or
    downwards.
    """
    seen = [(text, box) for text, box in words if not _upright(text, box) and _drawn(box, picture)]
    return tuple(line for row in _rows(seen) if (line := _line(row, picture)) is not None)


def around(boxes: Sequence[Corners]) -> Corners:
    """The box around `boxes`, of which there is at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def place_of(answer: str, line: Line) -> Corners:
    """Where the words of an answer stand in a line of a page's own text: the whole line where they do not."""
    wanted = squeeze(answer)
    for first in range(len(line.words)):
        said = ""
        for last in range(first, len(line.words)):
            said += squeeze(line.words[last][0])
            if said and said == wanted:
                return around([box for _, box in line.words[first : last + 1]])
    return line.box


def _rows(words: Sequence[PageWord]) -> Iterator[list[PageWord]]:
    row: list[PageWord] = []
    for word in words:
        if row and not _follows(row, word[1]):
            yield row
            row = []
        row.append(word)
    if row:
        yield row


def _follows(row: Sequence[PageWord], box: Corners) -> bool:
    before = row[-1][1]
    height = max(y2 - y1 for _, y1, _, y2 in (box, *(each for _, each in row)))
    level = min(before[3], box[3]) - max(before[1], box[1])
    lower = min(before[3] - before[1], box[3] - box[1])
    return level >= LEVEL * lower and -0.5 * height <= box[0] - before[2] <= GAP * height


def _line(row: Sequence[PageWord], picture: Image) -> Line | None:
    """The words of a row that stand in the view, where they are large enough."""
    inside = [word for word in row if _inside(word[1], picture)]
    if not any(y2 - y1 >= LEGIBLE for _, (_, y1, _, y2) in inside):
        return None
    x1, y1, x2, y2 = around([box for _, box in inside])
    quad = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return Line(" ".join(text for text, _ in inside), 1.0, quad, tuple(inside), len(inside) < len(row))


def _upright(text: str, box: Corners) -> bool:
    x1, y1, x2, y2 = box
    return len(text) > 2 and y2 - y1 > 1.5 * (x2 - x1)


def _inside(box: Corners, picture: Image) -> bool:
    noise = 1e-6
    return min(box[0], box[1]) >= -noise and box[2] <= picture.width + noise and box[3] <= picture.height + noise


def _drawn(box: Corners, picture: Image) -> bool:
    """Whether anything can be seen in the place of a word; so it is for one that leaves the view."""
    if not _inside(box, picture):
        return True
    x1, y1, x2, y2 = box
    place = picture.crop((math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)))
    low, high = place.convert("L").getextrema()
    return isinstance(low, int) and isinstance(high, int) and high - low > EDGE
