"""How questions about a scene are put into words. Several wordings a kind, so that none can be learned by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from cof_agent.scenes.palette import pick

LETTERS = "ABCDEFGH"

_CHARACTER = (
    "Which character is on the {it}?",
    "What character does the {it} carry?",
    "Which letter or digit is written on the {it}?",
    "What is printed on the {it}?",
    "Which single letter or digit can be read on the {it}?",
    "One character stands on the {it}. Which one is it?",
)
_COLOUR = (
    "What colour is the {it}?",
    "Which colour does the {it} have?",
    "What is the colour of the {it}?",
    "In which colour is the {it} painted?",
    "Look for the {it}. What colour is it?",
    "Name the colour of the {it}.",
)
_MARKED = (
    "object marked {mark}",
    "object with the character {mark}",
    "object labelled {mark}",
    "object that carries the character {mark}",
    "object on which {mark} is written",
)
_BESIDE = (
    "Is the {a} to the {one} or to the {other} of the {b}?",
    "Is the {a} on the {one} or on the {other} side of the {b}?",
    "Does the {a} lie to the {one} or to the {other} of the {b}?",
    "Seen from the {b}, is the {a} to the {one} or to the {other}?",
    "Compare the {a} with the {b}: is it further {one} or further {other}?",
    "Where is the {a}: {one} or {other} of the {b}?",
)
_OVER = (
    "Is the {a} {one} or {other} the {b}?",
    "Does the {a} lie {one} or {other} the {b}?",
    "Seen from the {b}, is the {a} {one} or {other} it?",
    "Compare the {a} with the {b}: is it {one} or {other}?",
    "Where is the {a}: {one} or {other} the {b}?",
    "Would you find the {a} {one} or {other} the {b}?",
)
_CHOOSE = (
    "Answer with the letter of the right option.",
    "Give only the letter of the option that is right.",
    "Which option is right? Answer with its letter.",
)
SIDES: Mapping[str, tuple[str, str]] = MappingProxyType({"x": ("left", "right"), "y": ("above", "below")})
"""What may be asked along each axis: first the smaller coordinate."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a question calls an object by; None is what it does not say."""

    shape: str | None = None
    colour: str | None = None
    character: str | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that it gives: `shape`, `colour`, `character`."""
        given = {"shape": self.shape, "colour": self.colour, "character": self.character}
        return tuple(name for name, value in given.items() if value is not None)

    def __str__(self) -> str:
        if self.character is not None:
            return f"object marked {self.character}"
        return " ".join(word for word in (self.colour, self.shape) if word)

    def worded(self, rng: Random) -> str:
        """The name as a noun phrase without its article."""
        if self.character is not None:
            return pick(rng, _MARKED).format(mark=self.character)
        return str(self)


def ask_character(name: Name, rng: Random) -> str:
    return pick(rng, _CHARACTER).format(it=name.worded(rng))


def ask_colour(name: Name, rng: Random) -> str:
    return pick(rng, _COLOUR).format(it=name.worded(rng))


def ask_relation(first: Name, second: Name, axis: str, rng: Random) -> str:
    """Ask where `first` is, seen from `second`; which side is named first says nothing about the truth."""
    one, other = SIDES[axis] if rng.random() < 0.5 else SIDES[axis][::-1]
    form = pick(rng, _BESIDE if axis == "x" else _OVER)
    return form.format(a=first.worded(rng), b=second.worded(rng), one=one, other=other)


def with_options(text: str, options: Sequence[str], rng: Random) -> str:
    """The question with its options, `(A)` first."""
    lines = [f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([text, *lines, pick(rng, _CHOOSE)])
