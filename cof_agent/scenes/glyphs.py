"""The twenty characters as strokes: lines drawn with a round pen, no font."""

from __future__ import annotations

import math
from typing import TypeAlias

from cof_agent.scenes.shapes import Point

Stroke: TypeAlias = tuple[Point, ...]
"""The path of the pen's middle: x from 0, y from 0 (top) to 1 (bottom), in heights of that path."""

PEN = 0.17
"""The pen's width in heights of the whole character, ink included."""


def _arc(x: float, y: float, across: float, down: float, start: float, stop: float) -> Stroke:
    """Part of an ellipse about (x, y), from `start` to `stop` degrees, 0 at the right and 90 at the bottom."""
    steps = max(4, math.ceil(abs(stop - start) / 15))
    angles = [math.radians(start + (stop - start) * step / steps) for step in range(steps + 1)]
    return tuple((x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles)


GLYPHS: dict[str, tuple[Stroke, ...]] = {
    "2": ((*_arc(0.31, 0.3, 0.31, 0.3, 195, 398), (0.0, 1.0), (0.64, 1.0)),),
    "3": ((*_arc(0.3, 0.245, 0.28, 0.245, 205, 440), *_arc(0.3, 0.745, 0.31, 0.255, 280, 518)),),
    "4": (((0.48, 1.0), (0.48, 0.0), (0.0, 0.7), (0.68, 0.7)),),
    "7": (((0.0, 0.0), (0.62, 0.0), (0.22, 1.0)),),
    "9": (_arc(0.31, 0.31, 0.31, 0.31, 0, 360), (*_arc(0.0, 0.31, 0.62, 0.55, 0, 50), (0.16, 1.0))),
    "A": (((0.0, 1.0), (0.36, 0.0), (0.72, 1.0)), ((0.13, 0.66), (0.59, 0.66))),
    "C": (_arc(0.38, 0.5, 0.38, 0.5, -52, -308),),
    "E": (((0.56, 0.0), (0.0, 0.0), (0.0, 1.0), (0.56, 1.0)), ((0.0, 0.49), (0.48, 0.49))),
    "F": (((0.56, 0.0), (0.0, 0.0), (0.0, 1.0)), ((0.0, 0.5), (0.46, 0.5))),
    "H": (((0.0, 0.0), (0.0, 1.0)), ((0.62, 0.0), (0.62, 1.0)), ((0.0, 0.5), (0.62, 0.5))),
    "J": (((0.5, 0.0), *_arc(0.25, 0.72, 0.25, 0.28, 0, 170)),),
    "K": (((0.0, 0.0), (0.0, 1.0)), ((0.6, 0.0), (0.0, 0.62)), ((0.22, 0.4), (0.64, 1.0))),
    "L": (((0.0, 0.0), (0.0, 1.0), (0.54, 1.0)),),
    "M": (((0.0, 1.0), (0.0, 0.0), (0.38, 0.66), (0.76, 0.0), (0.76, 1.0)),),
    "P": (((0.0, 1.0), (0.0, 0.0), *_arc(0.32, 0.28, 0.28, 0.28, 270, 450), (0.0, 0.56)),),
    "R": (((0.0, 1.0), (0.0, 0.0), *_arc(0.32, 0.27, 0.28, 0.27, 270, 450), (0.0, 0.54)), ((0.3, 0.54), (0.62, 1.0))),
    "T": (((0.0, 0.0), (0.68, 0.0)), ((0.34, 0.0), (0.34, 1.0))),
    "W": (((0.0, 0.0), (0.19, 1.0), (0.4, 0.3), (0.61, 1.0), (0.8, 0.0)),),
    "X": (((0.0, 0.0), (0.64, 1.0)), ((0.64, 0.0), (0.0, 1.0))),
    "Y": (((0.0, 0.0), (0.33, 0.5), (0.66, 0.0)), ((0.33, 0.5), (0.33, 1.0))),
}
CHARACTERS = "".join(GLYPHS)


def strokes(character: str) -> tuple[Stroke, ...]:
    """The pen's paths for `character`, about the origin; with a pen `PEN` wide, the ink is 1 high."""
    widest = max(x for stroke in GLYPHS[character] for x, _ in stroke)
    path = 1 - PEN
    return tuple(tuple(((x - widest / 2) * path, (y - 0.5) * path) for x, y in s) for s in GLYPHS[character])
