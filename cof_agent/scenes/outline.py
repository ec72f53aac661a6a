"""Shapes, characters and clutter as polygons."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np

from cof_agent.scenes.background import Clutter
from cof_agent.scenes.glyphs import PEN, strokes
from cof_agent.scenes.polygons import Polygons
from cof_agent.scenes.scene import SceneObject
from cof_agent.scenes.shapes import ANCHORS, OUTLINES, Point

__all__ = ["GLYPH_HEIGHT", "Polygons", "clutter_polygons", "glyph_polygons", "object_polygons", "shape_polygon"]

GLYPH_HEIGHT = 0.45
"""Height of a character, ink included, in sizes of its object."""


def object_polygons(thing: SceneObject) -> tuple[Polygons, Polygons]:
    """The shape and the character of an object, where they lie in the scene, in short sides."""
    shape, (x, y) = shape_polygon(thing.shape, thing.turn)
    middle = (thing.x + x * thing.size, thing.y + y * thing.size)
    glyph = glyph_polygons(thing.character).moved(middle, GLYPH_HEIGHT * thing.size, thing.turn)
    return shape.moved((thing.x, thing.y), thing.size, 0.0), glyph


def clutter_polygons(item: Clutter) -> Polygons:
    """A piece of clutter, where it lies in the scene, in short sides."""
    stretch = np.array((item.length / 2, item.width / 2))
    form = _blob(item.form) if item.kind == "blob" else _SQUARE
    outward = form.outward
    if item.kind == "blob":
        outward = outward / stretch
        outward /= np.sqrt((outward * outward).sum(axis=1, keepdims=True))
    stretched = Polygons(form.points * stretch, outward, form.ends, item.width / 2)
    return stretched.moved((item.x, item.y), 1.0, item.turn)


@lru_cache(maxsize=4096)
def shape_polygon(shape: str, turn: float) -> tuple[Polygons, Point]:
    """A turned shape in a bounding square of side 1 about the origin, and where the middle of its character lies."""
    turned = _upright(shape).moved((0.0, 0.0), 1.0, turn)
    low, high = turned.points.min(axis=0), turned.points.max(axis=0)
    scale = 1 / float((high - low).max())
    x, y = ((low + high) / -2 * scale).tolist()
    across, down = ANCHORS.get(shape, (0.0, 0.0))
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    anchor = (x + scale * (across * cos - down * sin), y + scale * (across * sin + down * cos))
    return turned.moved((x, y), scale, 0.0), anchor


@cache
def _upright(shape: str) -> Polygons:
    return Polygons.of([OUTLINES[shape]], 0.4)


@cache
def glyph_polygons(character: str) -> Polygons:
    """A character 1 high about the origin, as the polygons that a round pen covers."""
    outlines: list[list[Point]] = []
    for stroke in strokes(character):
        outlines += _pen(stroke, PEN / 2)
    return Polygons.of(outlines, PEN)


@lru_cache(maxsize=512)
def _blob(form: int) -> Polygons:
    """An uneven round of about the radius 1 about the origin."""
    chance = random.Random(f"blob {form}")
    waves = [(number, 0.22 * chance.random() / number, 2 * math.pi * chance.random()) for number in (2, 3, 4, 5)]
    outline = []
    for step in range(48):
        angle = 2 * math.pi * step / 48
        radius = 0.9 + sum(height * math.sin(number * angle + phase) for number, height, phase in waves)
        outline.append((radius * math.cos(angle), radius * math.sin(angle)))
    return Polygons.of([outline], 1.0)


def _pen(path: Sequence[Point], reach: float) -> list[list[Point]]:
    """Where a round pen of the radius `reach` goes: a band for each smooth stretch, a disc at each of its ends."""
    steps = [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(path)]
    normals = [(dy / math.hypot(dx, dy), -dx / math.hypot(dx, dy)) for dx, dy in steps]
    corners = [i for i in range(1, len(steps)) if _dot(normals[i - 1], normals[i]) < 0.9]
    covered = []
    for first, last in pairwise([0, *corners, len(steps)]):
        after = [normals[min(i, last - 1)] for i in range(first, last + 1)]
        before = [normals[max(i - 1, first)] for i in range(first, last + 1)]
        offsets = []
        for one, other in zip(before, after, strict=True):
            longer = reach / (1 + _dot(one, other))
            offsets.append(((one[0] + other[0]) * longer, (one[1] + other[1]) * longer))
        points = path[first : last + 1]
        left = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(points, offsets, strict=True)]
        right = [(x - dx, y - dy) for (x, y), (dx, dy) in zip(points, offsets, strict=True)]
        covered.append(left + right[::-1])
    for x, y in (path[0], *(path[i] for i in corners), path[-1]):
        angles = [2 * math.pi * step / 20 for step in range(20)]
        covered.append([(x + reach * math.cos(a), y + reach * math.sin(a)) for a in angles])
    return covered


def _dot(one: Point, other: Point) -> float:
    return one[0] * other[0] + one[1] * other[1]


_SQUARE = Polygons.of([((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))], 1.0)
