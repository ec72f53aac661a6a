"""Questions about an object that is not there, and the scenes in which that can be told at first look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from cof_agent.scenes.acuity import FIRST_LOOK, LEGIBLE
from cof_agent.scenes.palette import COLOURS, between, pick, shuffled
from cof_agent.scenes.placing import place
from cof_agent.scenes.scene import CHARACTERS, LARGEST, SHAPES, Scene, SceneObject
from cof_agent.scenes.wording import SIDES, Name, ask_character, ask_colour, ask_relation, with_options

OPTIONS = 4
"""Options of a multiple-choice question about an attribute; one about a relation has two."""

_FORMS = ("character", "colour", "relation", "relation")
"""What it asks for, each alike: as often as the questions that can be answered do."""
_FEWEST, _MOST = 2, 6
"""How many objects a scene has that was placed anew."""


@dataclass(frozen=True, slots=True)
class Absent:
    """What is asked, and of which scene."""

    scene: Scene
    text: str
    """With the options in it, if there are any."""
    options: tuple[str, ...]
    missing: Name
    """What the text calls the object that is not there."""


def ask_absent(scene: Scene, rng: Random) -> Absent:
    """Ask about something that the legible part of `scene` lacks, in the words of questions that can be answered.

    What is missing shares its shape with an object that is there and its colour with another, or one of the two:
    each half of the time where the scene has both. A question for a colour names a shape that nothing has; where all
    shapes are there, it is for a character instead. One for a relation names an object that is there, too, before or
    after the other.
    """
    scene = legible(scene)
    form = pick(rng, _FORMS)
    missing = _missing_shape(scene.objects, rng) if form == "colour" else None
    if missing is not None:
        colours = [thing.colour for thing in scene.objects]
        return _put(scene, ask_colour(missing, rng), _options(colours, COLOURS, OPTIONS, rng), missing, rng)
    missing = _missing_look(scene.objects, rng)
    if form == "relation":
        axis, thing = pick(rng, tuple(SIDES)), pick(rng, scene.objects)
        names = shuffled([missing, Name(shape=thing.shape, colour=thing.colour)], rng)
        return _put(scene, ask_relation(names[0], names[1], axis, rng), shuffled(SIDES[axis], rng), missing, rng)
    characters = [thing.character for thing in scene.objects]
    return _put(scene, ask_character(missing, rng), _options(characters, CHARACTERS, OPTIONS, rng), missing, rng)


def legible(scene: Scene) -> Scene:
    """`scene` with only such objects as are told by their shape at first look, from 336 pixels on its long side.

    The others are left out. Where fewer than two would stay, two to six of the largest are made large enough, by
    chance but always the same, and placed anew; the background stays.
    """
    least = _least(scene)
    large = tuple(thing for thing in scene.objects if thing.size >= least)
    return replace(scene, objects=large if len(large) >= _FEWEST else _enlarged(scene, least))


def _least(scene: Scene) -> float:
    """Size, in short sides, from which on a shape is told in the first look at any resolution from 336 pixels on.

    The first look's sides are rounded down to whole tokens; a pixel less than they would have allows for the
    rounding of the source's own sides.
    """
    rule = FIRST_LOOK
    scale = math.sqrt(rule.max_pixels / (scene.width * scene.height))
    shown = [math.floor((side * scale - 1) / rule.factor) * rule.factor / side for side in (scene.width, scene.height)]
    return LEGIBLE["shape"] / min(shown)


def _enlarged(scene: Scene, least: float) -> tuple[SceneObject, ...]:
    rng = Random(f"legible {scene.seed}")
    most = min(_MOST, len(scene.objects))
    number = _FEWEST + int(rng.random() * (most - _FEWEST + 1))
    largest = sorted(range(len(scene.objects)), key=lambda index: -scene.objects[index].size)[:number]
    kept = [scene.objects[index] for index in sorted(largest)]
    sizes = [max(least, round(math.exp(between(rng, math.log(least), math.log(LARGEST))), 6)) for _ in kept]
    middles = place(rng, sizes, scene.width, scene.height)
    return tuple(
        replace(thing, x=round(x, 6), y=round(y, 6), size=size)
        for thing, (x, y), size in zip(kept, middles, sizes, strict=True)
    )


def _missing_look(objects: Sequence[SceneObject], rng: Random) -> Name:
    """A shape in a colour that nothing here is; something has that shape, or that colour, or each is something's."""
    looks = {(thing.shape, thing.colour) for thing in objects}
    shapes, colours = {shape for shape, _ in looks}, {colour for _, colour in looks}
    free = [(shape, colour) for shape in SHAPES for colour in COLOURS if (shape, colour) not in looks]
    both = [(shape, colour) for shape, colour in free if shape in shapes and colour in colours]
    one = [(shape, colour) for shape, colour in free if (shape in shapes) != (colour in colours)]
    found = both if both and (not one or rng.random() < 0.5) else one
    shape, colour = pick(rng, found)
    return Name(shape=shape, colour=colour)


def _missing_shape(objects: Sequence[SceneObject], rng: Random) -> Name | None:
    there = {thing.shape for thing in objects}
    free = [shape for shape in SHAPES if shape not in there]
    return Name(shape=pick(rng, free)) if free else None


def _options(likely: Sequence[str], values: Sequence[str], count: int, rng: Random) -> list[str]:
    """Values that may be offered: those of objects that are there first."""
    there = list(dict.fromkeys(likely))
    rest = [value for value in values if value not in there]
    return shuffled([*shuffled(there, rng), *shuffled(rest, rng)][:count], rng)


def _put(scene: Scene, text: str, options: Sequence[str], missing: Name, rng: Random) -> Absent:
    """Half of the questions have options."""
    if rng.random() < 0.5:
        return Absent(scene, with_options(text, options, rng), tuple(options), missing)
    return Absent(scene, text, (), missing)
