"""The outlines of the eight shapes, in a unit square about the origin (x right, y down)."""

from __future__ import annotations

import math
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Outline: TypeAlias = tuple[Point, ...]
"""Corners of a closed polygon, clockwise as seen (y down)."""


def _round(corners: int) -> Outline:
    angles = [2 * math.pi * step / corners for step in range(corners)]
    return tuple((0.5 * math.cos(angle), 0.5 * math.sin(angle)) for angle in angles)


def _star(inner: float) -> Outline:
    """Five points; the corners between them at `inner` times the points' distance from the middle."""
    radii = [0.5 if step % 2 == 0 else 0.5 * inner for step in range(10)]
    angles = [math.pi * (step / 5 - 0.5) for step in range(10)]
    return tuple((r * math.cos(angle), r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True))


def _cross(arm: float) -> Outline:
    """Two bars of the width `arm` (of the unit)."""
    a, b = arm / 2, 0.5
    return ((-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a))


def _heart() -> Outline:
    """Two round shoulders and straight sides that touch them and meet in a point."""
    x, y, radius, point = 0.23, -0.2, 0.27, 0.47
    reach = math.hypot(x, point - y)
    touch = math.atan2(point - y, -x) - math.acos(radius / reach)
    dip = math.atan2(-math.sqrt(radius**2 - x**2), -x) + 2 * math.pi
    angles = [dip + (touch + 2 * math.pi - dip) * step / 40 for step in range(41)]
    right = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    return (*right, (0.0, point), *((-across, down) for across, down in reversed(right[1:])))


OUTLINES: dict[str, Outline] = {
    "circle": _round(128),
    "square": ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)),
    "triangle": ((0.0, -0.5), (0.5, 0.44), (-0.5, 0.44)),
    "star": _star(0.54),
    "diamond": ((0.0, -0.5), (0.38, 0.0), (0.0, 0.5), (-0.38, 0.0)),
    "hexagon": _round(6),
    "cross": _cross(0.5),
    "heart": _heart(),
}
SHAPES: tuple[str, ...] = tuple(OUTLINES)

ANCHORS: dict[str, Point] = {"triangle": (0.0, 0.16), "star": (0.0, 0.01), "heart": (0.0, -0.07)}
"""Where the middle of the character lies, where that is not the origin."""
