"""Which candidates are kept: an even mix, without near-duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cof_agent.collecting.candidate import Candidate, Looks, Stratum
from cof_agent.evaluation.row import Cell

_Place: TypeAlias = tuple[int, int, int, int]
"""A stratum by numbers: looks, category, resolution, overview budget."""


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

    def suffices(self, count: int) -> bool:
        """Whether there are `count` rows, and of each way of looking at least a third of that."""
        looks = Counter(candidate.looks for candidate in self.kept)
        return len(self.kept) >= count and all(looks[kind] >= share(count) for kind in Looks)


def select(candidates: Sequence[Candidate], count: int, cells: Sequence[Cell]) -> Selection:
    """At most `count` of the candidates; the same ones in whatever order they are given.

    One at a time: of the ways of looking that have candidates left, the one that has the fewest kept so far; in it,
    by the same rule, the category, then the resolution, then the overview budget; in that the first question. The
    first named wins a tie: direct, one, several; categories by name; resolutions and budgets as in `cells`. A candidate
    that repeats a kept one (see `Candidate.repeats`) is never kept. So what one kind lacks the others fill, evenly.
    """
    order = {cell: number for number, cell in enumerate(cells)}
    ordered = sorted(candidates, key=lambda candidate: (candidate.row.number, order[candidate.row.cell]))
    place = _places([candidate.stratum for candidate in ordered], cells)
    pools: dict[_Place, deque[Candidate]] = defaultdict(deque)
    for candidate in ordered:
        pools[place[candidate.stratum]].append(candidate)
    kept: list[Candidate] = []
    counted: Counter[tuple[int, ...]] = Counter()
    by_subject: dict[str, list[Candidate]] = defaultdict(list)
    while pools and len(kept) < count:
        emptiest = _fewest(pools, counted)
        candidate = pools[emptiest].popleft()
        if not pools[emptiest]:
            del pools[emptiest]
        if not _repeated(candidate, by_subject):
            kept.append(candidate)
            by_subject[candidate.subject].append(candidate)
            counted.update(emptiest[:depth] for depth in range(1, len(emptiest) + 1))
    taken = {candidate.row.key for candidate in kept}
    left = [candidate for candidate in ordered if candidate.row.key not in taken]
    repeated = sum(_repeated(candidate, by_subject) for candidate in left)
    return Selection(
        kept=tuple(candidate for candidate in ordered if candidate.row.key in taken),
        near_duplicates=repeated,
        surplus=len(left) - repeated,
    )


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
