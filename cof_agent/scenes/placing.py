"""Where objects lie: apart from each other, wherever chance puts them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from cof_agent.scenes.palette import between
from cof_agent.scenes.shapes import Point

GAP = 0.01
"""Least distance between two objects' bounding squares, along one axis, and from the border; in short sides."""

_TRIES, _STARTS = 200, 20


def place(chance: random.Random, sizes: Sequence[float], width: float, height: float) -> list[Point]:
    """Middles of squares with `sizes`, in a scene of `width` × `height`; all in short sides.

    Positions are thrown away where they do not fit, sizes never are: the largest is placed first, and after enough
    vain starts the squares go each into a cell of its own of a grid (at most 16 of them, up to 0.23 short sides).
    """
    order = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    for _ in range(_STARTS):
        found = _throw(chance, [sizes[index] for index in order], width, height)
        if found:
            break
    else:
        found = _grid(chance, [sizes[index] for index in order], width, height)
    middles = dict(zip(order, found, strict=True))
    return [middles[index] for index in range(len(sizes))]


def _throw(chance: random.Random, sizes: Sequence[float], width: float, height: float) -> list[Point] | None:
    placed: list[tuple[float, float, float]] = []
    for size in sizes:
        inset = size / 2 + GAP
        for _ in range(_TRIES):
            x, y = between(chance, inset, width - inset), between(chance, inset, height - inset)
            if all(max(abs(x - a), abs(y - b)) >= (size + side) / 2 + GAP for a, b, side in placed):
                placed.append((x, y, size))
                break
        else:
            return None
    return [(x, y) for x, y, _ in placed]


def _grid(chance: random.Random, sizes: Sequence[float], width: float, height: float) -> list[Point]:
    columns, rows = int(width * 4), int(height * 4)
    cells = [(column, row) for column in range(columns) for row in range(rows)]
    across, down = width / columns, height / rows
    middles = []
    for size in sizes:
        column, row = cells.pop(int(chance.random() * len(cells)))
        free_x, free_y = across - size - GAP, down - size - GAP
        x = (column + 0.5) * across + between(chance, -free_x / 2, free_x / 2)
        middles.append((x, (row + 0.5) * down + between(chance, -free_y / 2, free_y / 2)))
    return middles
