"""How well the regions given as evidence meet the places where the answer is known to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cof_agent.images.geometry import Box, Corners, Size, iou

_SPARE = 0.5
"""Pixels by which a truth may stick out of a box that holds it: boxes are whole pixels, truths are fractions."""


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
