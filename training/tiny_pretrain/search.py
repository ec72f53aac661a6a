"""How one finds what a question names who sees the overview but is not told where to look: the candidates and zooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from types import MappingProxyType

from cof_agent.profile import Profile
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.palette import shuffled
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import WORTHWHILE, Outlook, Region
from cof_agent.scenes.wording import Name

TOLD: Mapping[str, float] = MappingProxyType({"colour": 2.0, "shape": 10.0, "character": 16.0})
"""Sides of an object, in pixels that count, from which on the tower tells an attribute so well that an object with
another one than the question names is no candidate."""
ENOUGH: Mapping[str, float] = MappingProxyType({"colour": 1.5, "shape": 5.0, "character": 10.0})
"""Those from which on a zoom tells something of it. Below, looking on is in vain."""
MOST_ZOOMS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One zoom."""

    looked_at: int
    """The object, as a place in the scene's list."""
    region: Region
    told: bool = True
    """Whether it is large enough there to be told."""
    name: int = 0
    """Which of the question's names is looked for."""
    needed: bool = True
    """Whether it is not looked at only because it was told to look."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked at, in order, and what comes of it."""

    steps: tuple[Step, ...]
    sure: bool
    """Whether, after them, all that is named has been found (or is known to be missing) and can be read."""


@dataclass
class Seeker:
    """Looks for what `question` names in a source as `profile` shows it.

    In the overview each object is told apart as far as `TOLD`. What may be what is named is looked at until it is
    found, in any order, but what has its colour for sure comes first. Of what a relation is asked of, the last
    candidate that is left needs no look.
    """

    question: SceneQuestion
    long_side: int
    profile: Profile
    chance: Random
    _steps: list[Step] = field(default_factory=list)
    _told: set[int] = field(default_factory=set)

    @cached_property
    def outlook(self) -> Outlook:
        return Outlook(self.question.scene.size(self.long_side), self.profile)

    @cached_property
    def _boxes(self) -> list[tuple[float, float, float, float]]:
        return [self.question.scene.fraction(thing.box) for thing in self.question.scene.objects]

    def search(self, zooms: bool = True) -> Search:
        """What is looked at; nothing where nothing is gained by it, or without `zooms`."""
        self._steps, self._told = [], set()
        found = [self._find(number, name, zooms) for number, name in enumerate(self.question.names)]
        return Search(tuple(self._steps), all(found))

    def candidates(self, name: Name) -> list[int]:
        """The objects that may be what `name` calls."""
        places = range(len(self.question.scene.objects))
        found = shuffled([place for place in places if self._may_be(place, name)], self.chance)
        return sorted(found, key=lambda place: name.colour is not None and self.side(place) < TOLD["colour"])

    def region(self, place: int) -> Region:
        """The zoom on an object."""
        return self.outlook.zoom([self._boxes[place]])

    def is_it(self, place: int, name: Name) -> bool:
        """Whether an object is what `name` calls."""
        thing = self.question.scene.objects[place]
        return all(getattr(thing, attribute) == getattr(name, attribute) for attribute in name.attributes)

    def side(self, place: int) -> float:
        """Side of an object in the overview, in pixels that count."""
        return self.outlook.seen(self._boxes[place])

    def resembling(self, name: Name) -> int:
        """The object that is most like what `name` calls: it, or something of its colour, or of its shape, or any."""
        objects = self.question.scene.objects
        named = [attribute for attribute in ("colour", "shape", "character") if getattr(name, attribute) is not None]

        def unlike(place: int) -> tuple[bool | float, ...]:
            thing = objects[place]
            differs = [getattr(thing, attribute) != getattr(name, attribute) for attribute in named]
            return (any(differs), *differs, thing.x)

        return min(range(len(objects)), key=unlike)

    def _may_be(self, place: int, name: Name) -> bool:
        thing, side = self.question.scene.objects[place], self.side(place)
        return all(
            side < TOLD[attribute] or getattr(thing, attribute) == getattr(name, attribute)
            for attribute in name.attributes
        )

    def _find(self, number: int, name: Name, zooms: bool) -> bool:
        """Look for what is named, and say whether that is told for sure."""
        if any(self.is_it(place, name) for place in self._told):
            return True  # by the way
        kind = self.question.kind
        left = [place for place in self.candidates(name) if place not in self._told]
        asked = kind.value if kind in (Kind.CHARACTER, Kind.COLOUR) else None
        if not left:
            return True  # it is missing
        if len(left) == 1 and kind is not Kind.ABSENT and (asked is None or self.side(left[0]) >= LEGIBLE[asked]):
            return True
        if not zooms:
            return False
        need = max(ENOUGH[attribute] for attribute in name.attributes)
        for place in list(left):
            if kind is Kind.RELATION and len(left) == 1:
                return True  # what else
            side = self._closer(place)
            if len(self._steps) == MOST_ZOOMS or side < WORTHWHILE * self.side(place):
                return False
            if side < need and self._steps:
                continue  # the first look has told how much can be seen
            self._steps.append(Step(place, self.region(place), side >= need, number))
            if side >= need:
                self._told.add(place)
                if self.is_it(place, name):
                    return asked is None or side >= ENOUGH[asked]
                left.remove(place)
        return kind is Kind.ABSENT or (kind is Kind.RELATION and len(left) == 1)

    def _closer(self, place: int) -> float:
        """As `side`, in a zoom on it."""
        return self.outlook.seen_in(self._boxes[place], self.region(place))
