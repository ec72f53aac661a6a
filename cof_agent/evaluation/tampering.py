"""Regions that do not show what was asked for. A policy that uses its regions must answer worse with them.

Only the pixels of a region change: its box, its size and all texts stay, so a policy cannot tell but by looking.
"""

from __future__ import annotations

import random
from enum import StrEnum

from PIL import Image

from cof_agent.images.geometry import Box, Size, to_view
from cof_agent.images.source_image import SourceImage
from cof_agent.images.views import RegionPixels, View

_GREY = 128


class Tampering(StrEnum):
    """What regions show instead of the place that was asked for."""

    BLANK = "blank"
    """An even grey."""
    ELSEWHERE = "elsewhere"
    """Another place, of the same size."""
    OVERVIEW = "overview"
    """The place that was asked for, but only what the overview has of it."""

    @property
    def pixels(self) -> RegionPixels:
        return {Tampering.BLANK: blank, Tampering.ELSEWHERE: elsewhere, Tampering.OVERVIEW: overview}[self]


def blank(source: SourceImage, box: Box, shown: Size, first: View) -> Image.Image:
    """Even grey of `shown` pixels."""
    return Image.new("RGB", shown, (_GREY, _GREY, _GREY))


def elsewhere(source: SourceImage, box: Box, shown: Size, first: View) -> Image.Image:
    """What lies at `other_place`, cut and shown as `box` would be."""
    return source.region(other_place(source, box), shown)


def overview(source: SourceImage, box: Box, shown: Size, first: View) -> Image.Image:
    """The pixels that the overview has of `box`, enlarged to `shown` pixels: no detail that it did not show."""
    seen = source.overview(first.shown)
    corners = to_view(box, first.shown, Box.whole(source.ref.size))
    return seen.resize(shown, Image.Resampling.LANCZOS, box=corners)


def other_place(source: SourceImage, box: Box) -> Box:
    """A box of the size of `box` at another place of the image, the same one each time.

    It shares no pixel with `box` wherever the image has room for that, and else lies in the corner where it shares
    the fewest. Drawn evenly from the places left of `box`, right of it, above and below.
    """
    width, height = source.ref.size
    across, down = width - box.width, height - box.height
    strips = [
        (0, 0, box.x1 - box.width, down),
        (box.x2, 0, across, down),
        (0, 0, across, box.y1 - box.height),
        (0, box.y2, across, down),
    ]  # left, top, right and bottom of where the place's own upper left corner may be
    counts = [max(0, x2 - x1 + 1) * max(0, y2 - y1 + 1) for x1, y1, x2, y2 in strips]
    if not any(counts):
        corners = [Box(x, y, x + box.width, y + box.height) for x in (0, across) for y in (0, down)]
        return min(corners, key=box.iou)
    draw = random.Random(f"{source.ref.sha256} {box.as_list()}")
    x1, y1, x2, y2 = draw.choices(strips, counts)[0]
    x, y = draw.randint(x1, x2), draw.randint(y1, y2)
    return Box(x, y, x + box.width, y + box.height)
