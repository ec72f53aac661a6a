"""The outlines of shapes that questions name, and which of them a patch resembles."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Map: TypeAlias = NDArray[np.float32]

SIDE = 40
"""Outlines are compared on a grid of so many points a side."""


def _regular(corners: int, start: float = -90.0) -> list[tuple[float, float]]:
    angles = [math.radians(start + 360 * step / corners) for step in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _star(inner: float) -> list[tuple[float, float]]:
    return [
        (
            (inner if step % 2 else 1.0) * math.sin(math.pi * step / 5),
            -(inner if step % 2 else 1.0) * math.cos(math.pi * step / 5),
        )
        for step in range(10)
    ]


def _oblong(wide: float, high: float) -> list[tuple[float, float]]:
    return [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]


def _cross(arm: float) -> list[tuple[float, float]]:
    quarter = [(arm, -1.0), (arm, -arm), (1.0, -arm)]
    return [
        p for x, y in [(1, 0), (0, 1), (-1, 0), (0, -1)] for p in ((a * x - b * y, a * y + b * x) for a, b in quarter)
    ]


def _heart(depth: float) -> list[tuple[float, float]]:
    """The well-known curve of sines and cosines."""
    steps = [2 * math.pi * step / 48 for step in range(48)]
    return [
        (
            math.sin(t) ** 3,
            -depth * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16,
        )
        for t in steps
    ]


SHAPES: dict[str, tuple[tuple[list[tuple[float, float]], float], ...]] = {
    "circle": ((_regular(40), 0.0),),
    "oval": (([(x, 0.7 * y) for x, y in _regular(40)], 90.0),),
    "square": ((_oblong(1, 1), 24.0),),
    "rectangle": ((_oblong(1, 0.62), 24.0), (_oblong(1, 0.4), 24.0), (_oblong(0.62, 1), 24.0), (_oblong(0.4, 1), 24.0)),
    "triangle": ((_regular(3), 60.0), ([(0.0, -1.0), (0.8, 1.0), (-0.8, 1.0)], 24.0)),
    "star": ((_star(0.4), 36.0), (_star(0.54), 36.0)),
    "diamond": (
        (_regular(4), 20.0),
        ([(0.76 * x, y) for x, y in _regular(4)], 24.0),
        ([(0.6 * x, y) for x, y in _regular(4)], 24.0),
    ),
    "pentagon": ((_regular(5), 36.0),),
    "hexagon": ((_regular(6), 30.0),),
    "octagon": ((_regular(8), 22.0),),
    "cross": ((_cross(0.33), 24.0), (_cross(0.5), 24.0)),
    "heart": ((_heart(1.0), 24.0), (_heart(1.1), 24.0)),
}  # fmt: skip
"""Outlines of shapes about the origin (y down), and by how many degrees each may be turned either way."""


@cache
def _templates() -> tuple[tuple[str, ...], Map]:
    """Names and unit vectors of all shapes in all turns."""
    import numpy as np

    names, rows = [], []
    for name, variants in SHAPES.items():
        for points, most in variants:
            for turn in np.arange(-most, most + 0.1, 6.0) if most else (0.0,):
                names.append(name)
                rows.append(_drawn(points, float(turn)))
    return tuple(names), np.stack(rows)


def _drawn(points: list[tuple[float, float]], turn: float) -> Map:
    import cv2
    import numpy as np

    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    corners = np.array([(x * cos - y * sin, x * sin + y * cos) for x, y in points]) * 100 + 160
    mask = cv2.fillPoly(np.zeros((320, 320), np.uint8), [corners.round().astype(np.int32)], 1)
    return _normal(mask.astype(np.float32))


def _normal(mask: Map) -> Map:
    """A mask on the grid, its middle in the middle and its area that of all others, as a unit vector."""
    import cv2
    import numpy as np

    moments = cv2.moments(mask)
    area = moments["m00"] or 1.0
    scale = math.sqrt(0.3 * SIDE * SIDE / area)
    x, y = moments["m10"] / area, moments["m01"] / area
    move = np.array([[scale, 0, SIDE / 2 - 0.5 - scale * x], [0, scale, SIDE / 2 - 0.5 - scale * y]], dtype=np.float32)
    if scale < 0.7:
        blur = 0.5 / scale
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur), dtype=np.float32)
    flat = cv2.warpAffine(mask, move, (SIDE, SIDE), flags=cv2.INTER_LINEAR).ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-6), dtype=np.float32)


def likeness(outline: Map) -> dict[str, float]:
    """How much a mask resembles each known shape, 0.0 to 1.0."""
    names, rows = _templates()
    scores = rows @ _normal(outline)
    best: dict[str, float] = {}
    for name, score in zip(names, scores.tolist(), strict=True):
        best[name] = max(best.get(name, 0.0), score)
    return best
