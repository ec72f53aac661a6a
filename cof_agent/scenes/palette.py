"""The colours of a scene: eight strong ones for objects, muted ones for what lies behind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

Rgb: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255 (sRGB)."""

Item = TypeVar("Item")

PALETTE: dict[str, Rgb] = {
    "red": (214, 32, 38),
    "orange": (246, 136, 18),
    "yellow": (250, 226, 40),
    "green": (38, 158, 58),
    "cyan": (40, 208, 222),
    "blue": (36, 76, 214),
    "purple": (126, 44, 176),
    "pink": (245, 106, 182),
}
COLOURS: tuple[str, ...] = tuple(PALETTE)

JITTER = 10
"""An object's shade lies within this many levels of its colour's, in each channel."""

MUTED_SATURATION = 0.2
"""A muted colour's weakest channel is at most this share of its strongest below it; an object's, at least half."""

BLACK: Rgb = (16, 16, 18)
WHITE: Rgb = (250, 250, 248)


def pick(chance: random.Random, items: Sequence[Item]) -> Item:
    """One of `items`, each alike. Uses `random()` alone, whose values Python promises to keep."""
    return items[int(chance.random() * len(items))]


def shuffled(items: Sequence[Item], chance: random.Random) -> list[Item]:
    """`items` in any order, each alike."""
    left = list(items)
    return [left.pop(int(chance.random() * len(left))) for _ in items]


def between(chance: random.Random, low: float, high: float) -> float:
    """A number from `low` to `high`, each alike."""
    return low + (high - low) * chance.random()


def shaded(colour: str, shade: Rgb) -> Rgb:
    """The colour called `colour`, moved by `shade` (levels, may be negative)."""
    red, green, blue = (min(max(level + by, 0), 255) for level, by in zip(PALETTE[colour], shade, strict=True))
    return red, green, blue


def ink_on(ground: Rgb) -> Rgb:
    """Black or white, whichever contrasts more with `ground` (contrast ratio of WCAG 2.2)."""
    light = luminance(ground)
    return BLACK if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else WHITE


def luminance(rgb: Rgb) -> float:
    """Relative luminance of an sRGB colour, 0.0 to 1.0 (WCAG 2.2)."""
    shares = (level / 255 for level in rgb)
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def muted(chance: random.Random, darkest: int = 60, lightest: int = 205) -> Rgb:
    """A greyish colour whose strongest channel lies from `darkest` to `lightest`."""
    top = between(chance, darkest, lightest)
    chroma = MUTED_SATURATION * top * chance.random()
    levels = [top, top - chroma, top - chroma * chance.random()]
    first = int(chance.random() * 3)
    red, green, blue = (int(levels[(first + step) % 3]) for step in range(3))
    return (red, green, blue) if chance.random() < 0.5 else (blue, green, red)
