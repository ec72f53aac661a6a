"""Questions about a view with their answers, from what is true of it: what the language model learns to look by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.palette import pick
from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES
from cof_agent.scenes.wording import SIDES, Name, ask_character, ask_colour, ask_relation
from training.tiny_pretrain.truth import NUMBERS, READ_FROM

UNREADABLE = "too small"
"""The answer where what is asked for cannot be read."""

PLACE = ("Where is the {it}?", "Point at the {it}.", "Show where the {it} is.", "Find the {it}.")
"""How it is asked where something is."""
APART = 6
"""Pixels of a view between the left sides of two of a colour from which on one is told by its left side."""
_SHARES = {"place": 3.0, "one": 4.0, "character": 3.0, "relation": 4.0, "colour": 1.5, "unreadable": 0.5}
"""How much likelier a kind of question is than others: most what is hard to learn, least “too small”."""
_UNSURE = 0.75
"""Share of the legible side from which on it is not asked whether something can be read."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer."""

    kind: str
    """`place`, `one` (where what has a colour and begins at a left side is), `character`, `unreadable` (a character
    that cannot be read), `colour` or `relation`."""
    question: str
    answer: str
    about: tuple[int, ...] = ()
    """Which of the view's objects must be looked at, as places in its list: one, or the two of a relation."""
    names: tuple[Name, ...] = ()
    """What the question calls them."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """An object of a view that can be asked about."""

    place: int
    """In the list of the view's objects."""
    shape: str
    colour: str
    character: str
    side: float
    """In pixels that count."""
    corners: tuple[float, float, float, float]
    """In pixels of the view, within it."""


def exchanges(things: NDArray[np.float32], width: int, height: int, count: int, chance: Random) -> list[Exchange]:
    """Up to `count` exchanges about a view of `width` × `height` pixels that shows `things` (objects, `FIELDS`)."""
    possible: dict[str, list[Exchange]] = {}
    for exchange in _possible(_seen(things, width, height), chance):
        possible.setdefault(exchange.kind, []).append(exchange)
    chosen: list[Exchange] = []
    while possible and len(chosen) < count:
        kinds = sorted(possible)
        (kind,) = chance.choices(kinds, [_SHARES.get(kind, 1.0) for kind in kinds])
        chosen.append(possible[kind].pop(int(chance.random() * len(possible[kind]))))
        if not possible[kind]:
            del possible[kind]
    return chosen


def _possible(seen: Sequence[_Seen], chance: Random) -> Iterator[Exchange]:
    yield from _ones(seen, chance)
    looks = [(thing.colour, thing.shape) for thing in seen]
    colours, shapes = [thing.colour for thing in seen], [thing.shape for thing in seen]
    characters = [thing.character for thing in seen]
    named = [thing for thing in seen if looks.count((thing.colour, thing.shape)) == 1]
    for thing in named:
        name, about = Name(shape=thing.shape, colour=thing.colour), (thing.place,)
        told_apart = thing.side >= LEGIBLE["shape"] or colours.count(thing.colour) == 1
        if thing.side >= LEGIBLE["colour"] and told_apart:
            yield Exchange(
                "place", pick(chance, PLACE).format(it=name.worded(chance)), json.dumps(_box(thing)), about, (name,)
            )
        if thing.side >= LEGIBLE["character"]:
            yield Exchange("character", ask_character(name, chance), thing.character, about, (name,))
        elif thing.side < _UNSURE * LEGIBLE["character"]:
            yield Exchange("unreadable", ask_character(name, chance), UNREADABLE, about, (name,))
    for thing in seen:
        by_shape, by_character = Name(shape=thing.shape), Name(character=thing.character)
        about = (thing.place,)
        if shapes.count(thing.shape) == 1 and thing.side >= LEGIBLE["shape"]:
            yield Exchange("colour", ask_colour(by_shape, chance), thing.colour, about, (by_shape,))
        if characters.count(thing.character) == 1 and thing.side >= LEGIBLE["character"]:
            yield Exchange("colour", ask_colour(by_character, chance), thing.colour, about, (by_character,))
    large = [thing for thing in named if thing.side >= LEGIBLE["shape"]]
    if len(large) > 1:
        yield from _relations(large, chance)


def _ones(seen: Sequence[_Seen], chance: Random) -> Iterator[Exchange]:
    """Where what is told by its colour and its left side is."""
    for thing in seen:
        left, *_ = box = _box(thing)
        alike = [_box(other)[0] for other in seen if other.colour == thing.colour and other is not thing]
        if thing.side >= READ_FROM["colour"] and all(abs(left - other) >= APART for other in alike):
            question = pick(chance, PLACE).format(it=f"{thing.colour} one at {left}")
            yield Exchange("one", question, json.dumps(box), (thing.place,), (Name(colour=thing.colour),))


def _box(thing: _Seen) -> list[int]:
    return [min(round(side), NUMBERS - 1) for side in thing.corners]


def _relations(things: Sequence[_Seen], chance: Random) -> Iterator[Exchange]:
    """One object against each other one, along an axis on which they are apart."""
    one = pick(chance, things)
    for other in things:
        for place, axis in enumerate(SIDES):
            before = one.corners[place + 2] <= other.corners[place]
            if before or other.corners[place + 2] <= one.corners[place]:
                names = tuple(Name(shape=thing.shape, colour=thing.colour) for thing in (one, other))
                question, answer = ask_relation(*names, axis, chance), SIDES[axis][0 if before else 1]
                yield Exchange("relation", question, answer, (one.place, other.place), names)


def _seen(things: NDArray[np.float32], width: int, height: int) -> list[_Seen]:
    """The objects that lie in the view, each whole but for a fifth of its side."""
    seen = []
    for place, (x1, y1, x2, y2, colour, shape, character, side) in enumerate(things.tolist()):
        left, top, right, bottom = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
        if side > 0 and right - left >= 0.8 * (x2 - x1) and bottom - top >= 0.8 * (y2 - y1):
            look = (SHAPES[int(shape)], COLOURS[int(colour)], CHARACTERS[int(character)])
            seen.append(_Seen(place, *look, side, (left, top, right, bottom)))
    return seen
