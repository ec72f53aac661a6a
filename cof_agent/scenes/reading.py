"""What can be read of an object whose place is known: its colour, shape and character, from the pixels of one view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cof_agent.images.geometry import Box, Corners, Size
from cof_agent.scenes.outline import GLYPH_HEIGHT, Polygons, glyph_polygons, shape_polygon
from cof_agent.scenes.palette import COLOURS, PALETTE, ink_on, pick
from cof_agent.scenes.scene import CHARACTERS, SHAPES, TURN

Scores: TypeAlias = Mapping[str, float]
"""How well each value fits; larger is better. Nothing was seen where all are alike."""
Array: TypeAlias = NDArray[np.float32]

# The observer's acuity, limited on purpose: a matched filter that knows the exact place reads objects half as large.
# What this one reads, a small network can learn to read as well.
COLOURED = 0.4
"""A pixel is coloured when it has this share of the chroma that the palette's colour has; backgrounds have less."""
COLOUR_AREA = 1.0
"""A colour is seen where there is so much of it, in pixels."""
SHAPE_AREA = 11.0
"""A shape is seen where there is so much of its colour, in pixels."""
INK_SHARE = 0.61
"""A pixel of an object belongs to its character when ink seems to cover this share of it."""

TURNS = tuple(TURN * step / 3 for step in range(-3, 4))
"""Turns of the templates, degrees."""

_COLOURS: Array = np.array(list(PALETTE.values()), dtype=np.float32)
_CHROMAS: Array = _COLOURS.max(axis=1) - _COLOURS.min(axis=1)
_OPPONENT: Array = _COLOURS - _COLOURS.mean(axis=1, keepdims=True)
_HUES: Array = _OPPONENT / np.linalg.norm(_OPPONENT, axis=1, keepdims=True)
_SHARP = 0.6
"""What edges of pictures that were not enlarged measure, at any size: 0.5 to 0.7."""
_CELLS = 64
"""Cells of a template per side of the object."""
_SHAPE_REACH, _GLYPH_REACH = 0.65, 0.34
"""Half the side of a template, in sides of the object."""
_SHAPE_PIXELS, _GLYPH_PIXELS = 24.0, 56.0
"""A larger object is reduced to so many pixels before its shape or character is read."""


@dataclass(frozen=True, slots=True)
class PixelPatch:
    """The pixels around a place, and how templates are brought to them."""

    pixels: Array
    """(rows, columns, 3), levels 0 to 255."""
    across: Array
    """(columns, cells): the share of each pixel that each cell of a template covers, along x."""
    down: Array

    def templates(self, masks: Array) -> Array:
        """Masks (n, cells, cells) as this patch would show them: (n, rows * columns)."""
        shown: Array = np.matmul(np.matmul(self.down, masks), self.across.T).reshape(len(masks), -1)
        return shown


class ViewGrid:
    """One view, on a grid that has no more pixels than the source has there."""

    def __init__(self, image: Image.Image, box: Box, source: Size) -> None:
        """`image` (RGB) shows `box` of a source of `source` (width, height) pixels."""
        self.shown: Size = image.size
        self._box, self._source = box, source
        grid = (min(image.width, box.width), min(image.height, box.height))
        self.picture = image
        """The view on that grid."""
        if grid != image.size:  # taken at the middles of the source's pixels, where an enlarged view has their values
            steps = (image.width / grid[0], 0.0, 0.0, 0.0, image.height / grid[1], 0.0)
            self.picture = image.transform(grid, Image.Transform.AFFINE, steps, Image.Resampling.BICUBIC)

    def frame(self, place: Corners) -> Corners:
        """`place` (fractions of the source's sides) in pixels of the grid."""
        (width, height), box = self._source, self._box
        gx, gy = self.picture.width / box.width, self.picture.height / box.height
        x1, y1, x2, y2 = place
        return (
            (x1 * width - box.x1) * gx, (y1 * height - box.y1) * gy,
            (x2 * width - box.x1) * gx, (y2 * height - box.y1) * gy,
        )  # fmt: skip

    def inside(self, place: Corners, margin: float = 0.0) -> Array:
        """The pixels that lie in `place`, at least in part: (rows, columns, 3).

        A `margin`, in sides of the object and at least a pixel, is added all around.
        """
        x1, y1, x2, y2 = self.frame(place)
        if margin:
            across, down = max(1.0, margin * (x2 - x1)), max(1.0, margin * (y2 - y1))
            x1, y1, x2, y2 = x1 - across, y1 - down, x2 + across, y2 + down
        left, top = max(0, math.floor(x1)), max(0, math.floor(y1))
        right, bottom = min(self.picture.width, math.ceil(x2)), min(self.picture.height, math.ceil(y2))
        cut = self.picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
        return np.asarray(cut, dtype=np.float32)

    def patch(self, place: Corners, middle: tuple[float, float], reach: float, most: float) -> PixelPatch:
        """What lies within `reach` of `middle`, both in sides of the object at `place` and from its own middle."""
        x1, y1, x2, y2 = self.frame(place)
        width, height = x2 - x1, y2 - y1
        cx, cy = (x1 + x2) / 2 + middle[0] * width, (y1 + y2) / 2 + middle[1] * height
        area = (cx - reach * width, cy - reach * height, cx + reach * width, cy + reach * height)
        left, top = max(0, math.floor(area[0])), max(0, math.floor(area[1]))
        right, bottom = min(self.picture.width, math.ceil(area[2])), min(self.picture.height, math.ceil(area[3]))
        columns, rows = max(1, right - left), max(1, bottom - top)
        shrink = max(1.0, min(width, height) / most)
        shown = (max(1, round(columns / shrink)), max(1, round(rows / shrink)))
        cut = self.picture.crop((left, top, left + columns, top + rows))
        if shown != cut.size:
            cut = cut.resize(shown, Image.Resampling.BOX)
        fx, fy = shown[0] / columns, shown[1] / rows
        return PixelPatch(
            np.asarray(cut, dtype=np.float32),
            _overlaps(shown[0], (area[0] - left) * fx, (area[2] - left) * fx, reach),
            _overlaps(shown[1], (area[1] - top) * fy, (area[3] - top) * fy, reach),
        )


def best(scores: Scores, rng: Random) -> str:
    """The value that fits best; one of several alike is drawn."""
    highest = max(scores.values())
    return pick(rng, [value for value, score in scores.items() if score >= highest - 1e-6])


def read_colour(sight: ViewGrid, place: Corners) -> Scores:
    """How near the hue of each colour is to that of what is at `place`; all alike where nothing stands out."""
    core = _core(sight, place, COLOUR_AREA)
    return dict.fromkeys(COLOURS, 0.0) if core is None else dict(zip(COLOURS, _hue_fits(core).tolist(), strict=True))


def read_shape(sight: ViewGrid, place: Corners) -> Scores:
    """How well the outline of each shape fits what is at `place`, -1.0 to 1.0; all alike where nothing stands out."""
    found = _fit_shapes(sight, place)
    return dict.fromkeys(SHAPES, 0.0) if found is None else dict(zip(SHAPES, found.max(axis=1).tolist(), strict=True))


def read_character(sight: ViewGrid, place: Corners) -> Scores:
    """How well each character fits the ink on what is at `place`, -1.0 to 1.0; all alike where there is no ink."""
    core, found = _core(sight, place, SHAPE_AREA), _fit_shapes(sight, place)
    if core is None or found is None:
        return dict.fromkeys(CHARACTERS, 0.0)
    shape, turn = divmod(int(found.argmax()), len(TURNS))
    name = SHAPES[shape]
    patch = sight.patch(place, _anchor(name), _GLYPH_REACH, _GLYPH_PIXELS)
    red, green, blue = core.round().astype(int).tolist()
    towards = np.array(ink_on((red, green, blue)), dtype=np.float32) - core
    ink = (patch.pixels.reshape(-1, 3) - core) @ towards / float(towards @ towards) > INK_SHARE
    # What is not of the object tells nothing about its character.
    weights = patch.templates(_within(name, turn)[None])[0] ** 4
    masks = patch.templates(_glyph_masks(name).reshape(-1, *_glyph_masks(name).shape[2:]))
    fits = _correlate(ink.astype(np.float32), masks, weights).reshape(len(CHARACTERS), -1)
    return dict(zip(CHARACTERS, fits.max(axis=1).tolist(), strict=True))


def _core(sight: ViewGrid, place: Corners, least: float) -> Array | None:
    """The colour of the pixels that are mostly of one of our colours; None where less than `least` pixels are."""
    pixels = sight.inside(place)
    share = _share(pixels)
    area = float(share[share >= COLOURED].sum())
    if area < least or area * _sharpness(_share(sight.inside(place, 0.15))) ** 2 < least:
        return None
    core: Array = pixels[share >= max(COLOURED, 0.9 * float(share.max()))].mean(axis=0)
    return core


def _share(pixels: Array) -> Array:
    """The chroma of pixels (..., 3) as a share of that of the palette's colour of their hue, 0.0 to 1.0."""
    chroma = pixels.max(axis=-1) - pixels.min(axis=-1)
    share: Array = np.minimum(chroma / _CHROMAS[_hue_fits(pixels).argmax(axis=-1)], np.float32(1))
    return share


def _sharpness(share: Array) -> float:
    """How many pixels of its own a picture has per pixel, along one side: 1.0, or less where it was enlarged.

    From how much `share` (rows, columns) changes from one pixel to the next where it has edges.
    """
    steps = np.concatenate([np.abs(np.diff(share, axis=axis)).ravel() for axis in (0, 1)])
    steepest = float((steps**3).sum()) / max(float((steps**2).sum()) * float(share.max()), 1e-6)
    return min(1.0, steepest / _SHARP)


def _hue_fits(pixels: Array) -> Array:
    """Cosine between the hues of pixels (..., 3) and those of the palette: (..., colours)."""
    opponent = pixels - pixels.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(opponent, axis=-1, keepdims=True)
    fits: Array = (opponent / np.maximum(length, 1e-6)) @ _HUES.T
    return fits


def _fit_shapes(sight: ViewGrid, place: Corners) -> Array | None:
    """Correlation of each shape (rows) at each turn (columns) with the share of each pixel that is covered."""
    core = _core(sight, place, SHAPE_AREA)
    if core is None:
        return None
    patch = sight.patch(place, (0.0, 0.0), _SHAPE_REACH, _SHAPE_PIXELS)
    masks = patch.templates(_shape_masks().reshape(-1, *_shape_masks().shape[2:]))
    outside = masks.max(axis=0) < 0.05
    pixels = patch.pixels.reshape(-1, 3)
    ground = np.median(pixels[outside] if outside.any() else pixels, axis=0)
    # Hue alone: what lies behind may be as dark or as light as the object, but is muted.
    towards = core - ground - (core - ground).mean()
    cover = np.clip((pixels - ground) @ towards / float(towards @ towards), 0, 1).astype(np.float32)
    ink = patch.templates(_ink_zone()[None])[0]
    return _correlate(cover, masks, 1 - ink).reshape(len(SHAPES), -1)


def _correlate(values: Array, masks: Array, weights: Array) -> Array:
    """Correlation of `values` with each of `masks`, each pixel counted by its weight; 0 where either is flat."""
    total = float(weights.sum()) + 1e-9
    centred = values - float(weights @ values) / total
    spread = masks - (masks @ weights / total)[:, None]
    common = (spread * weights) @ centred
    power = ((spread**2) @ weights) * float(weights @ centred**2)
    return np.where(power > 1e-4 * total, common / np.sqrt(np.maximum(power, 1e-9)), 0.0).astype(np.float32)


def _overlaps(pixels: int, low: float, high: float, reach: float) -> Array:
    """(pixels, cells): the length of each pixel that each of the cells between `low` and `high` covers."""
    edges = np.linspace(low, high, _cells(reach) + 1)
    starts = np.arange(pixels)[:, None]
    shared = np.minimum(edges[None, 1:], starts + 1) - np.maximum(edges[None, :-1], starts)
    lengths: Array = np.maximum(shared, 0).astype(np.float32)
    return lengths


def _cells(reach: float) -> int:
    return round(2 * reach * _CELLS)


def _mask(polygons: Polygons, middle: tuple[float, float], reach: float) -> Array:
    """How much of each cell polygons cover, within `reach` of `middle`."""
    finer = 4
    large = Image.new("L", (finer * _cells(reach),) * 2)
    draw, start = ImageDraw.Draw(large), 0
    corners = ((polygons.points - middle + reach) * (finer * _CELLS) - 0.5).tolist()
    for end in polygons.ends:
        draw.polygon([(x, y) for x, y in corners[start:end]], fill=255)
        start = end
    mask: Array = np.asarray(large.reduce(finer), dtype=np.float32) / np.float32(255)
    return mask


@cache
def _shape_masks() -> Array:
    """(shapes, turns, cells, cells)."""
    return np.stack(
        [
            np.stack([_mask(shape_polygon(shape, turn)[0], (0.0, 0.0), _SHAPE_REACH) for turn in TURNS])
            for shape in SHAPES
        ]
    )


def _anchor(shape: str) -> tuple[float, float]:
    return shape_polygon(shape, 0.0)[1]


@cache
def _glyph_masks(shape: str) -> Array:
    """(characters, turns, cells, cells) about the place of a shape's character."""
    return np.stack(
        [
            np.stack([_mask(_glyph(character, shape, turn), _anchor(shape), _GLYPH_REACH) for turn in TURNS])
            for character in CHARACTERS
        ]
    )


def _glyph(character: str, shape: str, turn: float) -> Polygons:
    return glyph_polygons(character).moved(shape_polygon(shape, turn)[1], GLYPH_HEIGHT, turn)


@cache
def _within(shape: str, turn: int) -> Array:
    """A shape around the place of its character."""
    return _mask(shape_polygon(shape, TURNS[turn])[0], _anchor(shape), _GLYPH_REACH)


@cache
def _ink_zone() -> Array:
    """Where some character of some shape may have ink."""
    masks = [
        _mask(_glyph(character, shape, turn), (0.0, 0.0), _SHAPE_REACH)
        for shape in ("circle", "triangle", "heart")
        for character in CHARACTERS
        for turn in TURNS[::3]
    ]
    zone: Array = np.stack(masks).max(axis=0)
    return zone
