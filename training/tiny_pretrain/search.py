"""How one finds what a question names who sees the overview but is not told where to look: the candidates and zooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from cof_agent.profile import Profile
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import WORTHWHILE, Outlook, Region
from cof_agent.scenes.wording import Name

TOLD: Mapping[str, float] = MappingProxyType({"colour": 2.0, "shape": 10.0, "character": 16.0})
"""Sides of an object, in pixels that count, from which on the tower tells an attribute so well that an object with
another one than the question names is no candidate."""
ENOUGH: Mapping[str, float] = MappingProxyType({"colour": 1.5, "shape": 5.0, "character": 10.0})
"""Those from which on a zoom tells something of it. Below, looking on is in vain."""
MOST_ZOOMS = 5
MOST_LISTED = 8
"""Candidates that are told."""


@dataclass(frozen=True, slots=True)
class Step:
    """One zoom."""

    looked_at: int
    """The object, as a place in the scene's list."""
    region: Region
    told: bool = True
    """Whether it is large enough there to be told."""
    listed: tuple[int, ...] = ()
    """The candidates, from left to right, where a name begins to be looked for: this one is the first."""
    alone: bool = False
    """Whether there is no other candidate than this."""
    name: int = 0
    """Which of the question's names is looked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked at, in order, and what comes of it."""

    steps: tuple[Step, ...]
    sure: bool
    """Whether, after them, all that is named has been found (or is known to be missing) and can be read."""


@dataclass
class Seeker:
    """Looks for what `question` names in a source as `profile` shows it.

    In the overview each object is told apart as far as `TOLD`. What may be what is named is looked at from left to
    right until it is found; of two that a relation is asked of, the last candidate that is left needs no look.
    """

    question: SceneQuestion
    long_side: int
    profile: Profile
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
        """The objects that may be what `name` calls, from left to right."""
        objects = self.question.scene.objects
        found = [place for place in range(len(objects)) if self._may_be(place, name)]
        return sorted(found, key=lambda place: objects[place].x)

    def point(self, place: int) -> tuple[int, int]:
        """The middle of an object in whole pixels of the overview."""
        (x1, y1, x2, y2), (width, height) = self._boxes[place], self.outlook.overview
        return round((x1 + x2) / 2 * width), round((y1 + y2) / 2 * height)

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
        listed = [place for place in left if not self._steps or self._closer(place) >= need][:MOST_LISTED]
        begun = False
        for place in listed:
            if kind is Kind.RELATION and len(left) == 1:
                return True  # what else
            side = self._closer(place)
            if len(self._steps) == MOST_ZOOMS or side < WORTHWHILE * self.side(place):
                return False
            if side < need and self._steps:
                continue  # the first look has told how much can be seen
            first = () if begun else tuple(listed)
            self._steps.append(Step(place, self.region(place), side >= need, first, len(left) == 1, number))
            begun = True
            if side >= need:
                self._told.add(place)
                if self.is_it(place, name):
                    return asked is None or side >= ENOUGH[asked]
                left.remove(place)
        return kind is Kind.ABSENT or (kind is Kind.RELATION and len(left) == 1)

    def _closer(self, place: int) -> float:
        """As `side`, in a zoom on it."""
        return self.outlook.seen_in(self._boxes[place], self.region(place))
