"""A search for what a question names, by one who sees the overview and is not told where to look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from types import MappingProxyType

from cof_agent.dialects.profile import Profile
from cof_agent.images.geometry import iou
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.palette import between, pick
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import SMALLEST_BOX, WORTHWHILE, Outlook, Region
from cof_agent.scenes.render import WHOLE
from cof_agent.scenes.scene import COLOURS
from cof_agent.scenes.wording import Name
from training.tiny_pretrain.dialogue import APART
from training.tiny_pretrain.truth import READ_FROM

CLEAR: Mapping[str, float] = MappingProxyType({"colour": 2.0, "shape": 10.0, "character": 16.0})
"""Sides of an object, in pixels that count, from which on the overview tells an attribute: an object with another one
than is named is passed over. From there on the tower is right in most cases (`training/results/runs.csv`)."""
EARLY = 0.4
"""What is named tends to be looked at before what may only be it: its turn comes after so many times the wait, where
the overview tells something of it still. So one who learns from this tries first what looks most like it."""
_WHOLE_ENOUGH = 0.8
"""Share of an object's sides that a zoom must show for it to be told there."""
_TRIES = 10
MOST_ZOOMS = 5
"""After so many it guesses: one less than the loop allows by default, which leaves one for a mistake."""


@dataclass(frozen=True, slots=True)
class Step:
    """One zoom."""

    looked_at: int
    """The object, as a place in the scene's list; -1: none."""
    region: Region
    clear: bool = True
    """Whether it is large enough there to be told."""
    number: int = 0
    """Which of the question's names is looked for."""
    needed: bool = True
    """False: looked at only because it was told to look."""
    astray: bool = False
    """Whether it is a mistake."""
    taken: bool = False
    """Whether it is a policy's own, and may be another mistake: to look at all."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked at, in order, and what comes of it."""

    steps: tuple[Step, ...]
    sure: bool
    """Whether, after them, all that is named has been found (or is known to be missing) and can be read."""


@dataclass
class Seeker:
    """Looks for what `question` names in a source as `profile` shows it.

    In the overview each object is told apart as far as `CLEAR`. What may be what is named is looked at until it is
    found, or guessed after `most_zooms`; what has its colour for sure comes first, and where no colour is named, one of
    each colour. No two looks are at what is hardly told apart by its `pointer`. What is clearly it needs no look, nor
    does, in a relation, the last candidate that is left.
    """

    question: SceneQuestion
    long_side: int
    profile: Profile
    chance: Random
    most_zooms: int = MOST_ZOOMS
    in_vain: bool = False
    """Whether the first look is taken even where a zoom shows hardly more than the overview, and too little: who sees
    only that cannot know."""
    _steps: list[Step] = field(init=False)
    _seen: set[int] = field(init=False)

    @cached_property
    def outlook(self) -> Outlook:
        return Outlook(self.question.scene.size(self.long_side), self.profile)

    @cached_property
    def _boxes(self) -> list[tuple[float, float, float, float]]:
        return [self.question.scene.fraction(thing.box) for thing in self.question.scene.objects]

    def search(self, zooms: bool = True, before: Sequence[Step] = ()) -> Search:
        """What is looked at, after what was looked at `before`; nothing where nothing is gained by it (but see
        `in_vain`), or without `zooms`."""
        self._steps = list(before)
        self._seen = {step.looked_at for step in before if step.looked_at >= 0 and step.clear}
        found = [self._find(number, name, zooms) for number, name in enumerate(self.question.names)]
        return Search(tuple(self._steps), all(found))

    def pointer(self, place: int, name: Name) -> tuple[str | None, int]:
        """How a candidate is told from most others: its colour, if none is named and it can be seen, and the left side
        of the zoom on it, in pixels of the overview."""
        return None if name.colour else self._colour(place), self.region(place).corners[0]

    def region(self, place: int) -> Region:
        """The zoom on an object."""
        return self.outlook.zoom([self._boxes[place]])

    def anything(self) -> Step:
        """What is looked at by who is told to, although nothing is gained or nothing is asked for that is there."""
        if not self.question.names:
            return Step(-1, self.outlook.zoom((WHOLE,)), needed=False)
        name = self.question.names[0]
        place = (self._candidates(name) or [self.resembling(name)])[0]
        return replace(self._step(place, 0), needed=False)

    def mistake(self, earlier: Sequence[Step], later: Sequence[Step]) -> Step | None:
        """A look that should not come between these, by who looks for the same as the first of `later`: at what was
        looked at before, at what is clearly not asked about, or at nothing; None if there is none of these or if after
        any look nothing would be gained by those that come later.
        """
        if not later[0].clear:
            return None
        number, names, empty = later[0].number, self.question.names, self._empty()
        again = {step.looked_at for step in earlier} - {*self.question.targets}
        others = {
            place
            for place in range(len(self._boxes))
            if not any(self._is_it(place, name, self._side(place)) for name in names)
        }
        kinds = [[self._step(place, number) for place in sorted(places)] for places in (again, others) if places]
        if empty:
            kinds.append([Step(-1, empty, number=number)])
        if not kinds:
            return None
        wrong = pick(self.chance, pick(self.chance, kinds))
        alike = any(abs(wrong.region.corners[0] - step.region.corners[0]) < APART for step in later)
        return None if alike else replace(wrong, astray=True)

    def taken(self, boxes: Sequence[tuple[int, int, int, int]]) -> tuple[Step, ...]:
        """The looks of one who asked for `boxes`, in pixels of the overview: none of them is to be learnt."""
        steps: list[Step] = []
        for box in boxes:
            region = self.outlook.region(box)
            seen = {step.looked_at for step in steps if step.clear}
            found = [any(self._is_it(place, name) for place in seen if place >= 0) for name in self.question.names]
            number = found.index(False) if False in found else 0
            place = self._shown_in(region)
            clear = place >= 0 and self._whole_side(place, region) >= _enough(self.question.names[number])
            steps.append(Step(place, region, clear, number, astray=True, taken=True))
        return tuple(steps)

    def _shown_in(self, region: Region) -> int:
        """The object whose middle lies nearest to that of a region, if it lies in it; -1: none does."""
        width, height = self.outlook.source
        away = {}
        for place, (x1, y1, x2, y2) in enumerate(self._boxes):
            x, y = (x1 + x2) / 2 * width, (y1 + y2) / 2 * height
            if region.box.x1 <= x < region.box.x2 and region.box.y1 <= y < region.box.y2:
                aside, above = x - (region.box.x1 + region.box.x2) / 2, y - (region.box.y1 + region.box.y2) / 2
                away[place] = math.hypot(aside, above)
        return min(away, key=away.__getitem__, default=-1)

    def _whole_side(self, place: int, region: Region) -> float:
        """Side of an object in a region, in pixels that count; 0 if it is cut off there."""
        (x1, y1, x2, y2), (width, height), box = self._boxes[place], self.outlook.source, region.box
        across, down = (x2 - x1) * width, (y2 - y1) * height
        inside = min(x2 * width, box.x2) - max(x1 * width, box.x1), min(y2 * height, box.y2) - max(y1 * height, box.y1)
        whole = inside[0] >= _WHOLE_ENOUGH * across and inside[1] >= _WHOLE_ENOUGH * down
        return self.outlook.seen_in(self._boxes[place], region) if whole else 0.0

    def _step(self, place: int, number: int) -> Step:
        """The zoom on an object by who looks for name `number` of the question."""
        clear = self._closer(place) >= _enough(self.question.names[number])
        return Step(place, self.region(place), clear, number)

    def _empty(self) -> Region | None:
        """A zoom that shows no part of an object; None if none was found."""
        sides, (width, height) = self.outlook.overview, self.outlook.source
        places = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in self._boxes]
        for _ in range(_TRIES):
            x, y = (int(between(self.chance, 0, side - SMALLEST_BOX + 1)) for side in sides)
            region = self.outlook.region((x, y, x + SMALLEST_BOX, y + SMALLEST_BOX))
            if not any(iou(region.box.as_list(), place) for place in places):
                return region
        return None

    def resembling(self, name: Name) -> int:
        """The object that is most like what `name` calls: it, or something of its colour, or of its shape, or any."""
        objects = self.question.scene.objects
        attributes = sorted(name.attributes)  # the colour before the shape

        def unlike(place: int) -> tuple[bool | float, ...]:
            thing = objects[place]
            return (*(getattr(thing, attribute) != getattr(name, attribute) for attribute in attributes), thing.x)

        return min(range(len(objects)), key=unlike)

    def _candidates(self, name: Name) -> list[int]:
        """The objects that may be what `name` calls: that alone which clearly is, if there is one. If its colour is
        asked for with options, it has one of these."""
        question = self.question
        offered = [option for option in question.options if option in COLOURS]
        found = [
            place
            for place in range(len(question.scene.objects))
            if self._is_it(place, name, self._side(place)) and (not offered or self._colour(place) in {None, *offered})
        ]
        if clear := [place for place in found if self._is_clear(place, name)]:
            return clear
        hinted = {place for place in found if self._is_it(place, name) and self._side(place) >= _enough(name)}
        waits = {place: self.chance.random() * (EARLY if place in hinted else 1.0) for place in found}
        found.sort(key=waits.__getitem__)
        if name.colour:
            return sorted(found, key=lambda place: self._colour(place) is None)
        colours = [self._colour(place) for place in found]
        order = sorted(range(len(found)), key=lambda at: (colours[at] is None, colours[:at].count(colours[at])))
        return [found[at] for at in order]

    def _is_it(self, place: int, name: Name, side: float = math.inf) -> bool:
        """Whether an object is what `name` calls, as far as can be told when it has a side of `side` pixels."""
        thing = self.question.scene.objects[place]
        return all(
            side < CLEAR[attribute] or getattr(thing, attribute) == getattr(name, attribute)
            for attribute in name.attributes
        )

    def _colour(self, place: int) -> str | None:
        """The colour of an object, if the overview shows it."""
        return self.question.scene.objects[place].colour if self._side(place) >= CLEAR["colour"] else None

    def _side(self, place: int) -> float:
        """Side of an object in the overview, in pixels that count."""
        return self.outlook.seen(self._boxes[place])

    def _is_clear(self, place: int, name: Name) -> bool:
        """Whether the overview shows all that `name` tells of an object."""
        return self._side(place) >= max(CLEAR[attribute] for attribute in name.attributes)

    def _find(self, number: int, name: Name, zooms: bool) -> bool:
        """Look for what is named, and say whether that is told for sure."""
        if any(self._is_it(place, name) for place in self._seen):
            return True  # by the way
        kind = self.question.kind
        left = [place for place in self._candidates(name) if place not in self._seen]
        asked = kind.value if kind in (Kind.CHARACTER, Kind.COLOUR) else None
        if not left:
            return True  # it is missing
        if len(left) == 1 and kind is not Kind.ABSENT and (asked is None or self._side(left[0]) >= LEGIBLE[asked]):
            return True
        if not zooms:
            return False
        need, told = _enough(name), [self.pointer(step.looked_at, name) for step in self._steps if step.looked_at >= 0]
        for place in list(left):
            if kind is Kind.RELATION and len(left) == 1:
                return True  # what else
            side = self._closer(place)
            first = not self._steps and self.in_vain and side < need
            if len(self._steps) == self.most_zooms or (side < WORTHWHILE * self._side(place) and not first):
                return False
            colour, begins = self.pointer(place, name)
            alike = any(colour == other and abs(begins - at) < APART for other, at in told)
            if alike or (side < need and self._steps):
                continue  # hardly told apart from one that was looked at, or smaller than the first look has shown
            told.append((colour, begins))
            self._steps.append(self._step(place, number))
            if side >= need:
                self._seen.add(place)
                if self._is_it(place, name):
                    return asked is None or side >= READ_FROM[asked]
                left.remove(place)
        return not left or (kind is Kind.RELATION and len(left) == 1)

    def _closer(self, place: int) -> float:
        """As `_side`, in a zoom on it."""
        return self.outlook.seen_in(self._boxes[place], self.region(place))


def _enough(name: Name) -> float:
    """Side in pixels that count from which on a zoom tells what is named."""
    return max(READ_FROM[attribute] for attribute in name.attributes)
