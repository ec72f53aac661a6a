"""A scene as a value: what lies where, in units that no resolution changes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.background import Background
from cof_agent.scenes.glyphs import CHARACTERS
from cof_agent.scenes.palette import COLOURS, JITTER, Rgb, between, ink_on, pick, shaded
from cof_agent.scenes.placing import place
from cof_agent.scenes.shapes import SHAPES

__all__ = ["CHARACTERS", "COLOURS", "MAX_SIDE", "SHAPES", "Scene", "SceneObject"]

MAX_SIDE = 3840
"""The longest side a scene is rendered at, pixels (the Chain-of-Focus release shows images up to 3840²)."""

SMALLEST, LARGEST = 0.005, 0.2
"""Sizes of objects, in short sides of the scene."""

FEWEST, MOST = 2, 12
"""How many objects a scene has."""

TURN = 15.0
"""Objects are turned by up to so many degrees, either way."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """A filled shape with a character in its middle. Lengths in short sides of the scene.

    Raises ConfigError for a shape, colour or character that is none of ours, a size that is not positive, or a
    number that is not finite.
    """

    shape: str
    colour: str
    character: str
    x: float
    """Middle of its bounding square."""
    y: float
    size: float
    """Side of its bounding square."""
    turn: float = 0.0
    """Degrees, clockwise as seen."""
    shade: Rgb = (0, 0, 0)
    """By how many levels its red, green and blue differ from its colour's."""

    def __post_init__(self) -> None:
        for value, known in ((self.shape, SHAPES), (self.colour, COLOURS), (self.character, CHARACTERS)):
            if value not in known or not value:
                raise ConfigError(f"an object of a scene cannot be {value!r}: choose from {', '.join(known)}")
        if not (self.size > 0 and all(map(math.isfinite, (self.x, self.y, self.size, self.turn)))):
            raise ConfigError(f"{self} needs a size over 0, and finite numbers for x, y, size and turn")

    @property
    def box(self) -> Corners:
        """Its bounding square: left, top, right, bottom."""
        half = self.size / 2
        return self.x - half, self.y - half, self.x + half, self.y + half

    @property
    def rgb(self) -> Rgb:
        """The pixels' colour: its colour's, moved by its shade."""
        return shaded(self.colour, self.shade)

    @property
    def ink(self) -> Rgb:
        """The character's colour: black or white."""
        return ink_on(self.rgb)


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects on a background. The shorter side has length 1."""

    seed: int
    width: float
    height: float
    background: Background
    objects: tuple[SceneObject, ...]

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 2 and 1 <= self.height <= 2 and 1 in (self.width, self.height)):
            raise ConfigError(
                f"a scene cannot measure {self.width} x {self.height}: its sides are 1 and at most 2 short sides"
            )

    @classmethod
    def from_seed(cls, seed: int, *, photo: str | None = None) -> Scene:
        """The scene of a seed: the same on every machine. Raises ConfigError for a negative seed.

        `photo` lies behind the objects in place of the drawn background; all else is the same as without it.
        """
        if seed < 0:
            raise ConfigError(f"a scene's seed is 0 or more, not {seed}")
        # A stream of its own for each part: a change of one leaves the others as they were.
        chance = random.Random(f"scene {seed}")
        long = round(2 ** chance.random(), 4)
        width, height = (long, 1.0) if chance.random() < 0.5 else (1.0, long)
        number = FEWEST + int(chance.random() * (MOST - FEWEST + 1))
        sizes = [_size(chance) for _ in range(number)]
        looks = _looks(random.Random(f"looks {seed}"), number)
        characters = _distinct(random.Random(f"characters {seed}"), CHARACTERS, number)
        middles = place(random.Random(f"places {seed}"), sizes, width, height)
        manner = random.Random(f"manner {seed}")
        objects = tuple(
            SceneObject(
                shape,
                colour,
                character,
                round(x, 6),
                round(y, 6),
                size,
                round(between(manner, -TURN, TURN), 2),
                (_jitter(manner), _jitter(manner), _jitter(manner)),
            )
            for (shape, colour), character, (x, y), size in zip(looks, characters, middles, sizes, strict=True)
        )
        background = Background.draw(random.Random(f"background {seed}"), width, height, photo)
        return cls(seed, width, height, background, objects)

    def size(self, long_side: int) -> Size:
        """Width and height in pixels, the longer of them `long_side`. Raises ConfigError unless that is 1 to 3840."""
        if not 1 <= long_side <= MAX_SIDE:
            raise ConfigError(f"a scene's longer side can be 1 to {MAX_SIDE} pixels, not {long_side}")
        scale = long_side / max(self.width, self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def fraction(self, box: Corners) -> Corners:
        """A box in scene units as fractions of the scene's sides."""
        x1, y1, x2, y2 = box
        return x1 / self.width, y1 / self.height, x2 / self.width, y2 / self.height

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; `from_json` reads them."""
        return {
            "seed": self.seed,
            "width": self.width,
            "height": self.height,
            "background": self.background.to_json(),
            "objects": [asdict(item) for item in self.objects],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Scene:
        """The scene that `to_json` wrote. Raises ConfigError for anything else."""
        try:
            objects = tuple(SceneObject(**{**item, "shade": tuple(item["shade"])}) for item in record["objects"])
            background = Background.from_json(record["background"])
            return cls(int(record["seed"]), float(record["width"]), float(record["height"]), background, objects)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"this is not a scene ({error!r}): give what Scene.to_json wrote") from error


def _size(chance: random.Random) -> float:
    """Log-uniform: each doubling of the size is as likely as any other."""
    drawn = math.exp(between(chance, math.log(SMALLEST), math.log(LARGEST)))
    return min(max(round(drawn, 6), SMALLEST), LARGEST)


def _looks(chance: random.Random, number: int) -> list[tuple[str, str]]:
    """Shape and colour of each object, no pair twice.

    The second has either the shape or the colour of the first. Each later one shares one of both with some earlier
    one with probability 1/2, or where no shape or no colour is left that nothing has.
    """
    looks: list[tuple[str, str]] = []
    for index in range(number):
        free = [(shape, colour) for shape in SHAPES for colour in COLOURS if (shape, colour) not in looks]
        shapes, colours = {shape for shape, _ in looks}, {colour for _, colour in looks}
        if index == 1 or (index > 1 and chance.random() < 0.5):
            model, which = pick(chance, looks), int(chance.random() * 2)
            # A shape that is there in all eight colours leaves any free pair.
            free = [pair for pair in free if pair[which] == model[which]] or free
        else:
            free = [pair for pair in free if pair[0] not in shapes and pair[1] not in colours] or free
        looks.append(pick(chance, free))
    return looks


def _distinct(chance: random.Random, items: Sequence[str], number: int) -> list[str]:
    left = list(items)
    return [left.pop(int(chance.random() * len(left))) for _ in range(number)]


def _jitter(chance: random.Random) -> int:
    return round(between(chance, -JITTER, JITTER))
