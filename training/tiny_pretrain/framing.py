"""What a training view shows: a frame of a scene, as an overview or a zoom would return it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.background import Background
from cof_agent.scenes.palette import between, pick
from cof_agent.scenes.placing import place
from cof_agent.scenes.render import WHOLE, render
from cof_agent.scenes.scene import CHARACTERS, COLOURS, JITTER, MOST, SHAPES, TURN, Scene, SceneObject
from cof_agent.scenes.split import Split

Kind: TypeAlias = Literal["overview", "zoom", "crowd"]

TOKEN = 28
"""Side of a visual token in pixels of the view."""

FIELDS = 8
"""Numbers that describe an object in a view: left, top, right and bottom in pixels of the view, the places of its
colour, shape and character in their lists, and its side in pixels that count (0: there is no object)."""

_FEWEST = 3
_LEAST = 9.0
"""Side of the smallest objects of a crowd, in pixels of the view: most of its characters can be read."""


@dataclass(frozen=True, slots=True)
class Framing:
    """A view of a scene."""

    scene: Scene
    frame: Corners
    """Left, top, right, bottom in fractions of the scene's sides."""
    shown: Size
    """Width and height in pixels."""
    detail: float = 1.0
    """Pixels of the source per pixel of the view, 1.0 at most: below, the view is an enlargement."""

    def picture(self) -> Image.Image:
        """The view, RGB."""
        width, height = (max(1, round(side * self.detail)) for side in self.shown)
        image = render(self.scene, (width, height), self.frame)
        return image if image.size == self.shown else image.resize(self.shown, Image.Resampling.LANCZOS)

    def things(self) -> NDArray[np.float32]:
        """A row of `FIELDS` numbers for each of the `MOST` objects there can be, the smallest first."""
        rows = np.zeros((MOST, FIELDS), dtype=np.float32)
        x1, y1, x2, y2 = self.frame
        across, down = self.shown[0] / (x2 - x1), self.shown[1] / (y2 - y1)
        for number, thing in enumerate(sorted(self.scene.objects, key=lambda thing: thing.size)):
            left, top, right, bottom = self.scene.fraction(thing.box)
            corners = ((left - x1) * across, (top - y1) * down, (right - x1) * across, (bottom - y1) * down)
            side = min(corners[2] - corners[0], corners[3] - corners[1]) * self.detail
            look = (COLOURS.index(thing.colour), SHAPES.index(thing.shape), CHARACTERS.index(thing.character))
            rows[number] = (*corners, *look, side)
        return rows


def overview(number: int, shown: Size, split: Split, chance: Random) -> Framing:
    """As much of scene `number` as fits a view of that form."""
    scene = Scene.from_seed(split.seed(number))
    return Framing(scene, _part(scene, 1.0, shown, None, chance), shown)


def zoom(number: int, shown: Size, split: Split, chance: Random) -> Framing:
    """A closer look at one object of scene `number`, sharp or enlarged from few pixels."""
    scene = Scene.from_seed(split.seed(number))
    thing = pick(chance, scene.objects)
    share = _log_uniform(chance, 0.12, 0.7)
    view = min(shown)
    frame = _part(scene, thing.size / share, shown, thing, chance)
    counting = _log_uniform(chance, 6, 2 * view)
    return Framing(scene, frame, shown, min(1.0, max(counting, 6) / (share * view)))


def crowd(number: int, shown: Size, split: Split, chance: Random) -> Framing:
    """A scene of its own, of many objects large enough to be read: more to learn from a view than scenes hold."""
    shorter = min(shown)
    width, height = (max(1.0, side / shorter) for side in shown)
    count = _FEWEST + int(chance.random() * (MOST - _FEWEST + 1))
    largest = min(0.55, 0.75 / math.sqrt(count))
    sizes = [_log_uniform(chance, _LEAST / shorter, largest) for _ in range(count)]
    middles = place(chance, sizes, width, height)
    looks = [(shape, colour) for shape in SHAPES for colour in COLOURS]
    things = tuple(
        SceneObject(
            *pick(chance, looks),
            pick(chance, CHARACTERS),
            x,
            y,
            size,
            between(chance, -TURN, TURN),
            (_shade(chance), _shade(chance), _shade(chance)),
        )
        for (x, y), size in zip(middles, sizes, strict=True)
    )
    scene = Scene(split.seed(number), width, height, Background.draw(chance, width, height, None), things)
    return Framing(scene, WHOLE, shown, 1.0 if chance.random() < 0.6 else between(chance, 0.3, 1.0))


KINDS: Mapping[Kind, Callable[[int, Size, Split, Random], Framing]] = {
    "overview": overview,
    "zoom": zoom,
    "crowd": crowd,
}


def _part(scene: Scene, side: float, shown: Size, thing: SceneObject | None, chance: Random) -> Corners:
    """A frame of the form of `shown`, its shorter side `side` short sides (less where the scene has less).

    It lies anywhere, or somewhere about the middle of `thing`.
    """
    shorter = min(shown)
    side = min(side, scene.width * shorter / shown[0], scene.height * shorter / shown[1])
    width, height = side * shown[0] / shorter, side * shown[1] / shorter
    left, top = (scene.width - width) * chance.random(), (scene.height - height) * chance.random()
    if thing is not None:
        away = max(0.0, (side - thing.size) / 2) * 0.8
        left = thing.x + between(chance, -away, away) - width / 2
        top = thing.y + between(chance, -away, away) - height / 2
    left, top = min(max(left, 0.0), scene.width - width), min(max(top, 0.0), scene.height - height)
    x1, y1, x2, y2 = scene.fraction((left, top, left + width, top + height))
    return max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0)


def _shade(chance: Random) -> int:
    return round(between(chance, -JITTER, JITTER))


def _log_uniform(chance: Random, low: float, high: float) -> float:
    return math.exp(between(chance, math.log(low), math.log(max(low, high))))
