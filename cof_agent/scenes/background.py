"""What lies behind the objects: muted colours, texture and clutter at several scales, or a photo."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cof_agent.scenes.palette import Rgb, between, muted, pick


@dataclass(frozen=True, slots=True)
class Clutter:
    """A muted thing that no question is about. Lengths in short sides of the scene."""

    kind: str
    """`bar`: a rectangle; `blob`: an uneven round; `line`: a rectangle too thin to be taken for an object."""
    x: float
    """Its middle."""
    y: float
    length: float
    width: float
    turn: float
    """Degrees, clockwise as seen."""
    rgb: Rgb
    form: int
    """Which of 200 blobs it is."""


@dataclass(frozen=True, slots=True)
class Background:
    """All of a scene but its objects."""

    corners: tuple[Rgb, Rgb, Rgb, Rgb]
    """Colours at the top left, top right, bottom left and bottom right; between them a gradient."""
    texture: int
    """Seed of the texture."""
    contrast: float
    """The texture's strongest octave moves the pixels by up to so many levels of 255."""
    roughness: float
    """Each finer octave has so many times the contrast of the one before, 0.0 to 1.0."""
    clutter: tuple[Clutter, ...] = ()
    """From the one that lies lowest."""
    photo: str | None = None
    """An image that takes the place of colours, texture and clutter: a path or whatever else `open_image` takes."""

    @classmethod
    def plain(cls, rgb: Rgb) -> Background:
        """One colour and nothing else."""
        return cls((rgb, rgb, rgb, rgb), 0, 0.0, 0.0)

    @classmethod
    def draw(cls, chance: random.Random, width: float, height: float, photo: str | None) -> Background:
        """A background for a scene of `width` × `height` short sides."""
        ground = muted(chance, 90, 200)
        corners = tuple(_near(chance, ground, 0.16) for _ in range(4))
        texture, contrast, roughness = (
            int(chance.random() * 2**32),
            round(between(chance, 7, 18), 3),
            round(between(chance, 0.62, 0.82), 3),
        )
        number = 12 + int(chance.random() * 25)
        clutter = sorted((_clutter(chance, width, height, ground) for _ in range(number)), key=lambda c: -c.length)
        a, b, c, d = corners
        return cls((a, b, c, d), texture, contrast, roughness, tuple(clutter), photo)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Background:
        """What `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        corners = [_rgb(corner) for corner in record["corners"]]
        return cls(
            (corners[0], corners[1], corners[2], corners[3]),
            int(record["texture"]),
            float(record["contrast"]),
            float(record["roughness"]),
            tuple(Clutter(**{**item, "rgb": _rgb(item["rgb"])}) for item in record["clutter"]),
            record["photo"],
        )


def _clutter(chance: random.Random, right: float, bottom: float, ground: Rgb) -> Clutter:
    kind = pick(chance, ("bar", "blob", "line"))
    length = math.exp(between(chance, math.log(0.01), math.log(0.5)))
    width = between(chance, 0.003, 0.009) if kind == "line" else length * between(chance, 0.25, 0.8)
    return Clutter(
        kind,
        round(between(chance, 0, right), 5),
        round(between(chance, 0, bottom), 5),
        round(length, 5),
        round(width, 5),
        round(between(chance, 0, 180), 2),
        _near(chance, ground, 0.3) if chance.random() < 0.7 else muted(chance),
        int(chance.random() * 200),
    )


def _near(chance: random.Random, rgb: Rgb, share: float) -> Rgb:
    """`rgb` made darker or lighter by up to `share` of itself, as grey as it is."""
    factor = min(1 + between(chance, -share, share), 250 / max(rgb))
    red, green, blue = (round(level * factor) for level in rgb)
    return red, green, blue


def _rgb(levels: Any) -> Rgb:
    red, green, blue = levels
    return int(red), int(green), int(blue)
