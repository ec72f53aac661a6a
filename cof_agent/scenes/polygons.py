"""Polygons, and which share of each pixel they cover."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.shapes import Point

Points = NDArray[np.float64]

_EXCESS = 0.33
"""By so many of its pixels PIL draws a polygon too large on each side (measured: 0.31 to 0.34, at any size)."""

_FINEST = 32
"""Most columns and rows that a pixel is cut into."""

_FINE_CELLS, _USUAL_CELLS, _MOST_CELLS = 1 << 17, 1 << 20, 1 << 24
"""Cells of a mask: up to the first for a finer cut of thin figures, to the second for the usual one, to the third."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """Polygons that are filled as one."""

    points: Points
    """All their corners, one below the other, (corners, 2)."""
    outward: Points
    """What to add to each corner to move the sides that meet there outward by 1."""
    ends: tuple[int, ...]
    """Where each polygon ends in `points`."""
    thinnest: float
    """The width of their narrowest part."""

    @classmethod
    def of(cls, outlines: Sequence[Sequence[Point]], thinnest: float) -> Polygons:
        """From polygons whose corners run clockwise as seen (y down)."""
        parts = [np.array(outline, dtype=np.float64) for outline in outlines]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        return cls(np.concatenate(parts), np.concatenate([_outward(part) for part in parts]), tuple(ends), thinnest)

    def moved(self, middle: Point, scale: float, turn: float) -> Polygons:
        """Turned by `turn` degrees (clockwise as seen), scaled, and put at `middle`."""
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        matrix = np.array(((cos, sin), (-sin, cos)))
        points = self.points @ (matrix * scale) + middle
        return Polygons(points, self.outward @ matrix, self.ends, self.thinnest * scale)

    def cover(self, origin: Point, pixels: Point, shown: Size) -> tuple[Size, Image.Image] | None:
        """The covered share of each pixel (mode L) and where that mask's left top corner lies; None outside.

        The picture shows `shown` pixels; `origin` is what lies at its left top corner, `pixels` its pixels per unit
        along x and y.
        """
        area = (*origin, origin[0] + shown[0] / pixels[0], origin[1] + shown[1] / pixels[1])
        for _, place, mask in Figures([self]).cover(area, shown):
            return place, mask
        return None


class Figures:
    """Figures of a scene, each one or more polygons filled as one."""

    def __init__(self, figures: Sequence[Polygons]) -> None:
        self._points = np.concatenate([figure.points for figure in figures])
        self._outward = np.concatenate([figure.outward for figure in figures]) * _EXCESS
        self._stops = np.cumsum([len(figure.points) for figure in figures]).tolist()
        self._starts = [0, *self._stops[:-1]]
        self._figures = figures

    def cover(
        self, area: Corners, shown: Size, *, cut: int = 8, faintest: float = 0.0
    ) -> Iterator[tuple[int, Size, Image.Image]]:
        """For each figure that meets the picture: its number, the left top corner of its mask, the mask (mode L).

        The picture shows `area` (in the polygons' unit) at `shown` pixels. Each pixel is cut into `cut` columns and
        rows; more of them for a thin figure, fewer for a large one. Figures whose bounding box covers less than
        `faintest` pixels are left out.
        """
        pixels = np.array((shown[0] / (area[2] - area[0]), shown[1] / (area[3] - area[1])))
        placed = (self._points - area[:2]) * pixels
        lows = np.minimum.reduceat(placed, self._starts, axis=0)
        highs = np.maximum.reduceat(placed, self._starts, axis=0)
        seen = ((highs > 0) & (lows < shown)).all(axis=1) & ((highs - lows).prod(axis=1) >= faintest)
        finest = float(pixels.min())
        for number in np.flatnonzero(seen).tolist():
            (x1, y1), (x2, y2) = lows[number].tolist(), highs[number].tolist()
            left, top = max(0, math.floor(x1)), max(0, math.floor(y1))
            width, height = min(shown[0], math.ceil(x2)) - left, min(shown[1], math.ceil(y2)) - top
            if width > 0 and height > 0:
                figure, start, stop = self._figures[number], self._starts[number], self._stops[number]
                cells = _cells(figure.thinnest * finest, width * height, cut)
                drawn = (placed[start:stop] - (left, top)) * cells - self._outward[start:stop]
                yield number, (left, top), _mask(drawn.ravel().tolist(), figure.ends, (width, height), cells)


def _mask(corners: list[float], ends: Sequence[int], size: Size, cells: int) -> Image.Image:
    mask = Image.new("L", (size[0] * cells, size[1] * cells))
    draw, start = ImageDraw.Draw(mask), 0
    for end in ends:
        draw.polygon(corners[2 * start : 2 * end], fill=255)
        start = end
    return mask.reduce(cells)


def _cells(thinnest: float, area: int, cut: int) -> int:
    """Into how many columns and rows a pixel is cut, for a part `thinnest` pixels wide in a mask of `area` pixels."""
    wanted = cut
    while wanted < _FINEST and wanted * thinnest < 2 * cut and 4 * wanted * wanted * area <= _FINE_CELLS:
        wanted *= 2
    while wanted > 4 and wanted * wanted * area > _USUAL_CELLS:
        wanted //= 2
    while wanted > 2 and wanted * wanted * area > _MOST_CELLS:
        wanted //= 2
    return wanted


def _outward(points: Points) -> Points:
    along = np.concatenate((points[1:], points[:1])) - points
    along /= np.sqrt((along * along).sum(axis=1, keepdims=True))
    normals = np.stack((along[:, 1], -along[:, 0]), axis=1)
    before = np.concatenate((normals[-1:], normals[:-1]))
    moved: Points = (normals + before) / np.maximum(1 + (normals * before).sum(axis=1, keepdims=True), 0.4)
    return moved
