"""Which candidates are kept: an even mix or as they come, without near-duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from cof_agent.evaluation.row import Cell
from cof_agent.learning.collecting.candidate import Candidate, Looks, Stratum

_Place: TypeAlias = tuple[int, int, int, int]
"""A stratum by numbers: looks, category, resolution, overview budget."""


class Mix(StrEnum):
    """Which of the good runs are kept."""

    EVEN = "even"
    """As many of each way of looking as of the others, and in it of each category, resolution and budget."""
    NATURAL = "natural"
    """The first ones, as they come: so often as the policy looks closer, so often do the rows."""


def share(count: int) -> int:
    """How many of `count` rows each way of looking is to have at least."""
    return count // len(Looks)


@dataclass(frozen=True, slots=True)
class Selection:
    """What was kept, and what of the rest was kept out for likeness or for want of room."""

    kept: tuple[Candidate, ...]
    """In the order of the plan: by question, then by cell."""
    near_duplicates: int
    surplus: int
    mix: Mix = Mix.EVEN

    def suffices(self, count: int) -> bool:
        """Whether there are `count` rows and, in an even mix, of each way of looking at least a third of that."""
        if self.mix is Mix.NATURAL:
            return len(self.kept) >= count
        looks = Counter(candidate.looks for candidate in self.kept)
        return len(self.kept) >= count and all(looks[kind] >= share(count) for kind in Looks)


def select(candidates: Sequence[Candidate], count: int, cells: Sequence[Cell], mix: Mix = Mix.EVEN) -> Selection:
    """At most `count` of the candidates; the same ones in whatever order they are given.

    A natural mix takes them in the order of the plan. An even one takes one at a time: of the ways of looking that have
    candidates left, the one that has the fewest kept so far; in it, by the same rule, the category, then the
    resolution, then the overview budget; in that the first question. The first named wins a tie: direct, one, several;
    categories by name; resolutions and budgets as in `cells`. So what one kind lacks the others fill, evenly. Of either
    mix a candidate that repeats a kept one (see `Candidate.repeats`) is never part.
    """
    order = {cell: number for number, cell in enumerate(cells)}
    ordered = sorted(candidates, key=lambda candidate: (candidate.row.number, order[candidate.row.cell]))
    kept: list[Candidate] = []
    by_subject: dict[str, list[Candidate]] = defaultdict(list)
    pools = _Pools(ordered, cells) if mix is Mix.EVEN else None
    for candidate in pools or ordered:
        if len(kept) == count:
            break
        if not _repeated(candidate, by_subject):
            kept.append(candidate)
            by_subject[candidate.subject].append(candidate)
            if pools:
                pools.count(candidate)
    taken = {candidate.row.key for candidate in kept}
    left = [candidate for candidate in ordered if candidate.row.key not in taken]
    repeated = sum(_repeated(candidate, by_subject) for candidate in left)
    return Selection(
        kept=tuple(candidate for candidate in ordered if candidate.row.key in taken),
        near_duplicates=repeated,
        surplus=len(left) - repeated,
        mix=mix,
    )


class _Pools:
    """Candidates by stratum; those of the stratum of which the fewest were counted so far come next."""

    def __init__(self, ordered: Sequence[Candidate], cells: Sequence[Cell]) -> None:
        self._place = _places([candidate.stratum for candidate in ordered], cells)
        self._pools: dict[_Place, deque[Candidate]] = defaultdict(deque)
        for candidate in ordered:
            self._pools[self._place[candidate.stratum]].append(candidate)
        self._counted: Counter[tuple[int, ...]] = Counter()

    def __iter__(self) -> Iterator[Candidate]:
        while self._pools:
            emptiest = _fewest(self._pools, self._counted)
            candidate = self._pools[emptiest].popleft()
            if not self._pools[emptiest]:
                del self._pools[emptiest]
            yield candidate

    def count(self, candidate: Candidate) -> None:
        """The candidate is kept."""
        place = self._place[candidate.stratum]
        self._counted.update(place[:depth] for depth in range(1, len(place) + 1))


def _places(strata: Sequence[Stratum], cells: Sequence[Cell]) -> dict[Stratum, _Place]:
    """Each stratum by the positions of its parts: whichever comes first wins a tie."""
    looks, categories = list(Looks), sorted({stratum[1] for stratum in strata})
    resolutions = list(dict.fromkeys(cell.resolution for cell in cells))
    budgets = list(dict.fromkeys(cell.budget for cell in cells))
    return {
        stratum: (
            looks.index(stratum[0]),
            categories.index(stratum[1]),
            resolutions.index(stratum[2]),
            budgets.index(stratum[3]),
        )
        for stratum in strata
    }


def _fewest(left: Iterable[_Place], counted: Counter[tuple[int, ...]]) -> _Place:
    """Of the places left, the one with the fewest kept: compared part by part, from the first on."""

    def fullness(place: _Place) -> list[tuple[int, int]]:
        return [(counted[place[: depth + 1]], part) for depth, part in enumerate(place)]

    return min(left, key=fullness)


def _repeated(candidate: Candidate, kept: dict[str, list[Candidate]]) -> bool:
    return any(candidate.repeats(other) for other in kept.get(candidate.subject, ()))
