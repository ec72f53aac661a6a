"""How large an object must be for its colour, shape and character to be told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cof_agent.geometry import Box, Corners, Size
from cof_agent.scenes.question import Kind, SceneQuestion

LEGIBLE: Mapping[str, float] = MappingProxyType({"colour": 3.0, "shape": 8.0, "character": 16.0})
"""Side of an object, in pixels that count, from which on an attribute is read.

Calibrated on drawn backgrounds with the reading of the ideal observer: right at least 99 times in 100 at this size,
less than 50 times at half of it. Before a photo with strong colours of its own a colour is told less surely.
"""


def attributes(question: SceneQuestion) -> frozenset[str]:
    """What must be told of its objects: all that it names them by, and what it asks for."""
    named = {attribute for name in question.names for attribute in name.attributes}
    return frozenset(named if question.kind is Kind.RELATION else named | {question.kind.value})


def needed(question: SceneQuestion) -> float:
    """Side, in pixels that count, from which on an object it asks about is told."""
    return max(LEGIBLE[attribute] for attribute in attributes(question))


def counting_pixels(place: Corners, source: Size, box: Box, shown: Size) -> float:
    """The shorter side of what is at `place`, in pixels that count, in a view that shows `box` at `shown` pixels.

    `place` is in fractions of the source's sides and `box` in pixels of the source, `source` (width, height). A pixel
    counts that the view has, but never more than the source has: an enlarged view adds nothing.
    """
    across = (place[2] - place[0]) * source[0] * min(1.0, shown[0] / box.width)
    down = (place[3] - place[1]) * source[1] * min(1.0, shown[1] / box.height)
    return min(across, down)
