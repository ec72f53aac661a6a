"""How large an object must be for its colour, shape and character to be told."""

from __future__ import annotations

from cof_agent.images.geometry import Box, Corners, Size
from cof_agent.scenes.acuity import LEGIBLE
from cof_agent.scenes.question import Kind, SceneQuestion

__all__ = ["LEGIBLE", "attributes", "counting_pixels", "needed"]


def attributes(question: SceneQuestion) -> frozenset[str]:
    """What must be told of its objects: all that it names them by, and what it asks for.

    Of what cannot be answered: what must be told of all objects to know that none is meant.
    """
    named = {attribute for name in question.names for attribute in name.attributes}
    return frozenset(named | {question.kind.value} if question.kind in (Kind.CHARACTER, Kind.COLOUR) else named)


def needed(question: SceneQuestion) -> float:
    """Side, in pixels that count, from which on an object it asks about is told."""
    return max((LEGIBLE[attribute] for attribute in attributes(question)), default=0.0)


def counting_pixels(place: Corners, source: Size, box: Box, shown: Size) -> float:
    """The shorter side of what is at `place`, in pixels that count, in a view that shows `box` at `shown` pixels.

    `place` is in fractions of the source's sides and `box` in pixels of the source, `source` (width, height). A pixel
    counts that the view has, but never more than the source has: an enlarged view adds nothing.
    """
    across = (place[2] - place[0]) * source[0] * min(1.0, shown[0] / box.width)
    down = (place[3] - place[1]) * source[1] * min(1.0, shown[1] / box.height)
    return min(across, down)
