"""Whether the ground around a line of text has a colour that a question names."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

from cof_agent.images.geometry import Corners

if TYPE_CHECKING:
    from PIL.Image import Image

_HUES: dict[str, tuple[float, float]] = {
    "red": (340, 18), "orange": (14, 45), "brown": (8, 45), "yellow": (42, 68), "golden": (36, 60), "gold": (36, 60),
    "green": (70, 170), "turquoise": (160, 195), "cyan": (170, 200), "blue": (185, 255), "purple": (255, 315),
    "violet": (250, 310), "pink": (300, 350),
}  # fmt: skip
"""Hue ranges in degrees; a range may pass through 0."""
SAMPLES = 24
"""The area around a text is looked at on a grid of so many points a side."""


def ground_share(picture: Image, box: Corners, colour: str) -> float:
    """Part of the area around a text that has `colour`, 0.0 to 1.0; `box` is the text's, in pixels of `picture`."""
    x1, y1, x2, y2 = box
    grow = 0.7 * min(y2 - y1, x2 - x1)
    area = (
        max(0, int(x1 - grow)), max(0, int(y1 - grow)),
        min(picture.width, int(x2 + grow) + 1), min(picture.height, int(y2 + grow) + 1),
    )  # fmt: skip
    if area[0] >= area[2] or area[1] >= area[3]:
        return 0.0
    patch = picture.crop(area).resize((SAMPLES, SAMPLES))
    pixels = [patch.getpixel((x, y)) for y in range(SAMPLES) for x in range(SAMPLES)]
    hits = sum(_is(pixel, colour) for pixel in pixels if isinstance(pixel, tuple))
    return hits / len(pixels)


def _is(pixel: tuple[int, ...], colour: str) -> bool:
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in pixel[:3]))
    if colour == "black":
        return value < 0.28
    if colour == "white":
        return value > 0.62 and saturation < 0.22
    if colour in ("grey", "gray", "silver"):
        return 0.2 < value < 0.8 and saturation < 0.18
    if colour not in _HUES:
        return False
    low, high = _HUES[colour]
    degrees = hue * 360
    inside = low <= degrees <= high if low <= high else degrees >= low or degrees <= high
    dark = value < 0.68
    if colour == "brown":
        return inside and dark and saturation > 0.25 and value > 0.12
    return inside and saturation > 0.3 and value > (0.45 if colour in ("orange", "yellow", "pink") else 0.18)
