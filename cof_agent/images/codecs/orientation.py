"""How an image lies in its file, as its EXIF orientation says, and how that maps to the upright image."""

from __future__ import annotations

from cof_agent.images.geometry import Box, Size


def turned(size: Size, orientation: int) -> Size:
    """`size` after turning by an EXIF orientation; the same call turns it back."""
    return (size[1], size[0]) if orientation >= 5 else size


def stored_box(box: Box, upright: Size, orientation: int) -> Box:
    """Where the upright `box` lies in the image as stored, whose upright size is `upright`."""
    x1, y1, x2, y2 = box.as_list()
    if orientation in (2, 3, 6, 7):
        x1, x2 = upright[0] - x2, upright[0] - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = upright[1] - y2, upright[1] - y1
    return Box(y1, x1, y2, x2) if orientation >= 5 else Box(x1, y1, x2, y2)
