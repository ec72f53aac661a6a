"""A scene as pixels: all of it or a part, at any size."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
from PIL import Image

from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Corners, Size
from cof_agent.images.opening import open_image
from cof_agent.scenes.background import Clutter
from cof_agent.scenes.outline import clutter_polygons, object_polygons
from cof_agent.scenes.polygons import Figures
from cof_agent.scenes.scene import MAX_SIDE, Scene, SceneObject
from cof_agent.scenes.texture import Lattice

WHOLE: Corners = (0.0, 0.0, 1.0, 1.0)

_FAINT = 0.1
"""Clutter that would cover less of a pixel than this is left out."""

_SMALL = 24.0
"""On objects up to so many pixels wide, pixels hold background, shape and ink at once."""


_PHOTO_GAP = 3.0
"""A photo much larger than the picture is first halved, and so on, to at least so many pixels per pixel of it."""


def render(scene: Scene, shown: Size, frame: Corners = WHOLE) -> Image.Image:
    """The part `frame` of `scene` as an RGB image of `shown` (width, height) pixels.

    `frame` is left, top, right, bottom in fractions of the scene's sides. Each pixel is the average of what it
    covers: the picture is the one that a larger picture gives when it is cut and reduced.

    Raises ConfigError for an empty frame, one that leaves the scene, or a size out of 1 to 3840 pixels a side;
    ImageError where the scene's photo cannot be read.
    """
    x1, y1, x2, y2 = frame
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise ConfigError(f"frame {frame} is no part of a scene: it needs 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1")
    if not (1 <= shown[0] <= MAX_SIDE and 1 <= shown[1] <= MAX_SIDE):
        raise ConfigError(f"a scene can be shown at 1 to {MAX_SIDE} pixels a side, not {shown[0]}x{shown[1]}")
    area = (x1 * scene.width, y1 * scene.height, x2 * scene.width, y2 * scene.height)
    if scene.background.photo is None:
        image = _ground(scene, area, shown)
        _lay_clutter(image, scene.background.clutter, area)
    else:
        image = _photo(scene, scene.background.photo, frame, shown)
    _lay_objects(image, scene.objects, area)
    return image


def _lay_clutter(image: Image.Image, clutter: tuple[Clutter, ...], area: Corners) -> None:
    if clutter:
        for number, place, mask in _clutter_figures(clutter).cover(area, image.size, cut=4, faintest=_FAINT):
            image.paste(clutter[number].rgb, place, mask)


def _lay_objects(image: Image.Image, things: tuple[SceneObject, ...], area: Corners) -> None:
    if not things:
        return
    pixels = image.width / (area[2] - area[0])
    body: tuple[int, Size, Image.Image] | None = None
    for number, place, mask in _object_figures(things).cover(area, image.size):
        thing = things[number // 2]
        if thing.size * pixels > _SMALL:
            image.paste(thing.ink if number % 2 else thing.rgb, place, mask)
        elif number % 2 == 0:
            image.paste(thing.rgb, place, mask)
            body = number, place, mask
        elif body and body[0] == number - 1:
            _write(image, thing, body[1], body[2], place, mask)


def _write(image: Image.Image, thing: SceneObject, place: Size, body: Image.Image, at: Size, ink: Image.Image) -> None:
    """Put the character on a small object, whose `body` lies at `place`.

    Where a pixel holds some of background, shape and ink, the ink takes its share of the shape's alone.
    """
    left, top = at[0] - place[0], at[1] - place[1]
    if body.crop((left, top, left + ink.width, top + ink.height)).getextrema()[0] == 255:
        image.paste(thing.ink, at, ink)
        return
    share = np.asarray(ink, dtype=np.float32)[:, :, None] / 255
    window = (*at, at[0] + ink.width, at[1] + ink.height)
    there = np.asarray(image.crop(window), dtype=np.float32)
    change = share * (np.array(thing.ink, dtype=np.float32) - np.array(thing.rgb, dtype=np.float32))
    image.paste(Image.fromarray((there + change + 0.5).clip(0, 255).astype(np.uint8)), at)


@lru_cache(maxsize=64)
def _object_figures(things: tuple[SceneObject, ...]) -> Figures:
    """For each object its shape, then its character."""
    return Figures([figure for thing in things for figure in object_polygons(thing)])


@lru_cache(maxsize=64)
def _clutter_figures(clutter: tuple[Clutter, ...]) -> Figures:
    return Figures([clutter_polygons(item) for item in clutter])


def _ground(scene: Scene, area: Corners, shown: Size) -> Image.Image:
    """Gradient and texture: reckoned on the texture's lattice, then brought to the picture's size."""
    back = scene.background
    pixels = min(shown[0] / (area[2] - area[0]), shown[1] / (area[3] - area[1]))
    lattice = Lattice(back.texture, back.roughness, area, pixels)
    rows, columns = lattice.values.shape
    x = ((lattice.left + np.arange(columns, dtype=np.float32) * lattice.spacing) / scene.width).astype(np.float32)
    y = ((lattice.top + np.arange(rows, dtype=np.float32) * lattice.spacing) / scene.height).astype(np.float32)[:, None]
    levels = np.empty((rows, columns, 3), dtype=np.uint8)
    lift = lattice.values * np.float32(back.contrast) + np.float32(0.5)
    for channel in range(3):
        a, b, c, d = (np.float32(corner[channel]) for corner in back.corners)
        # Bilinear between the corners; beyond them, under the lattice's margin, it goes on.
        upper, lower = a + (b - a) * x, c + (d - c) * x
        value = lift + upper
        value += (lower - upper) * y
        np.clip(value, 0, 255, out=value)
        levels[:, :, channel] = value
    left, top = (area[0] - lattice.left) / lattice.spacing + 0.5, (area[1] - lattice.top) / lattice.spacing + 0.5
    box = (left, top, left + (area[2] - area[0]) / lattice.spacing, top + (area[3] - area[1]) / lattice.spacing)
    return Image.fromarray(levels).resize(shown, Image.Resampling.BILINEAR, box=box)


def _photo(scene: Scene, source: str, frame: Corners, shown: Size) -> Image.Image:
    """The photo's part under `frame`, where the photo is scaled to cover the scene and cut evenly on both sides."""
    photo = _decoded(source, _stamp(source))
    scale = min(photo.width / scene.width, photo.height / scene.height)
    width, height = scene.width * scale, scene.height * scale
    left, top = (photo.width - width) / 2, (photo.height - height) / 2
    box = (left + frame[0] * width, top + frame[1] * height, left + frame[2] * width, top + frame[3] * height)
    inside = (max(0.0, box[0]), max(0.0, box[1]), min(box[2], float(photo.width)), min(box[3], float(photo.height)))
    return photo.resize(shown, Image.Resampling.LANCZOS, box=inside, reducing_gap=_PHOTO_GAP)


def _stamp(source: str) -> tuple[int, int] | None:
    """What changes when a file does; None for what is no file."""
    try:
        found = os.stat(source)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _decoded(source: str, _stamp: tuple[int, int] | None) -> Image.Image:
    opened = open_image(source)
    return opened.overview(opened.ref.size)
