"""Which candidates are kept: an even mix or the first, no near-duplicates, and always the same ones."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof_agent.evaluation.row import Cell, ResultRow, Rule
from cof_agent.learning.collecting.candidate import Candidate, Looks, Move
from cof_agent.learning.collecting.selection import Mix, select
from cof_agent.loop.state import Status, StopReason

pytestmark = pytest.mark.slow

CELLS = tuple(Cell(resolution=resolution, budget=budget) for resolution in (448, 224, None) for budget in (None, 56))
LEFT: Move = ("zoom", (0.1, 0.1, 0.3, 0.3))
RIGHT: Move = ("zoom", (0.6, 0.6, 0.9, 0.9))
MOVES = {Looks.DIRECT: (), Looks.ONE: (LEFT,), Looks.SEVERAL: (LEFT, RIGHT)}


def candidate(number: int, moves: tuple[Move, ...] = (), category: str = "a", cell: Cell = CELLS[0]) -> Candidate:
    row = ResultRow(
        key=f"q{number} @{cell.resolution}/{cell.budget}", number=number, question=f"q{number}", category=category,
        cell=cell, text="?", truth="42", answer="42", status=Status.ANSWERED, stop_reason=StopReason.ANSWERED,
        message=None, correct=True, rule=Rule.TEXT, usage=None,
    )  # fmt: skip
    return Candidate(row, row.question, number, moves, 0)


def plenty(questions: int) -> list[Candidate]:
    """As many of each kind, category and cell, all of different questions."""
    strata = [(moves, category, cell) for moves in MOVES.values() for category in "ab" for cell in CELLS]
    return [candidate(number, *strata[number % len(strata)]) for number in range(questions * len(strata))]


CANDIDATES = st.lists(
    st.builds(
        candidate,
        number=st.integers(0, 8),
        moves=st.sampled_from([*MOVES.values(), (RIGHT,), (RIGHT, LEFT)]),
        category=st.just("a"),
        cell=st.sampled_from(CELLS),
    ),
    max_size=40,
    unique_by=lambda one: one.row.key,
)


def test_every_kind_category_resolution_and_budget_gets_its_share() -> None:
    kept = select(plenty(10), 72, CELLS).kept
    assert set(Counter(one.stratum for one in kept).values()) == {2}
    assert len(kept) == 72


def test_what_one_kind_lacks_the_others_fill_evenly() -> None:
    few = [candidate(100, MOVES[Looks.SEVERAL]), *(candidate(number) for number in range(20))]
    few += [candidate(number, MOVES[Looks.ONE]) for number in range(50, 70)]
    selection = select(few, 9, CELLS)
    assert Counter(one.looks for one in selection.kept) == {"direct": 4, "one": 4, "several": 1}
    assert (selection.near_duplicates, selection.surplus) == (0, 32)
    assert not selection.suffices(9)
    assert select(plenty(1), 9, CELLS).suffices(9)
    assert not select(plenty(1), 37, CELLS).suffices(37)


def test_a_way_of_looking_is_a_number_of_regions() -> None:
    assert [Looks.of(zooms) for zooms in range(4)] == [Looks.DIRECT, Looks.ONE, Looks.SEVERAL, Looks.SEVERAL]


def test_the_first_questions_are_kept_and_come_in_their_order() -> None:
    many = [candidate(number) for number in range(30)]
    assert [one.row.number for one in select(many[::-1], 4, CELLS).kept] == [0, 1, 2, 3]


def test_the_same_question_with_the_same_moves_is_kept_once_whatever_its_size() -> None:
    near: Move = ("zoom", (0.11, 0.1, 0.31, 0.3))
    far: Move = ("zoom", (0.2, 0.1, 0.4, 0.3))
    cropped: Move = ("crop", LEFT[1])
    for one, other, same in (
        ((), (), True), ((LEFT,), (LEFT,), True), ((LEFT,), (near,), True), ((LEFT,), (far,), False),
        ((LEFT,), (cropped,), False), ((LEFT,), (), False), ((LEFT, RIGHT), (RIGHT, LEFT), False),
        ((LEFT, RIGHT), (near, RIGHT), True), ((LEFT, RIGHT), (LEFT,), False),
    ):  # fmt: skip
        pair = [candidate(0, one, cell=CELLS[0]), candidate(0, other, cell=CELLS[3])]
        selection = select(pair, 9, CELLS)
        assert (len(selection.kept), selection.near_duplicates) == ((1, 1) if same else (2, 0)), (one, other)
        assert pair[0].repeats(pair[1]) is pair[1].repeats(pair[0]) is same
    assert len(select([candidate(0), candidate(1)], 9, CELLS).kept) == 2  # other questions may look alike


def test_among_near_duplicates_the_resolution_that_has_less_is_kept() -> None:
    both = [candidate(number, cell=cell) for number in range(10) for cell in (CELLS[0], CELLS[2])]
    kept = select(both, 10, CELLS).kept
    assert Counter(one.row.cell.resolution for one in kept) == {448: 5, 224: 5}
    assert len({one.row.question for one in kept}) == 10


@given(candidates=CANDIDATES, count=st.integers(0, 45), data=st.data())
def test_what_holds_for_every_selection(candidates: list[Candidate], count: int, data: st.DataObject) -> None:
    selection = select(candidates, count, CELLS)
    assert select(data.draw(st.permutations(candidates)), count, CELLS) == selection
    assert len(selection.kept) <= count
    assert len(selection.kept) + selection.near_duplicates + selection.surplus == len(candidates)
    if len(selection.kept) < count:
        assert selection.surplus == 0
    for place, one in enumerate(selection.kept):
        assert not any(one.repeats(other) for other in selection.kept[:place])
    looks = Counter(one.looks for one in selection.kept)
    left = {one.looks for one in candidates if not any(one.repeats(kept) for kept in selection.kept)}
    for kind in left:  # none that has more to give has two less than another
        assert looks[kind] + 1 >= max(looks.values(), default=0)


@given(candidates=CANDIDATES, count=st.integers(0, 45), data=st.data())
def test_a_natural_mix_is_the_first_that_repeat_nothing(
    candidates: list[Candidate], count: int, data: st.DataObject
) -> None:
    selection = select(data.draw(st.permutations(candidates)), count, CELLS, Mix.NATURAL)
    wanted: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (one.row.number, CELLS.index(one.row.cell))):
        if len(wanted) < count and not any(one.repeats(other) for other in wanted):
            wanted.append(one)
    assert list(selection.kept) == wanted
    assert selection.suffices(count) is (len(wanted) == count)
    assert len(wanted) + selection.near_duplicates + selection.surplus == len(candidates)


def test_a_natural_mix_needs_no_thirds() -> None:
    direct = [candidate(number) for number in range(9)]
    assert select(direct, 9, CELLS, Mix.NATURAL).suffices(9)
    assert not select(direct, 9, CELLS).suffices(9)
    assert not select(direct, 10, CELLS, Mix.NATURAL).suffices(10)
