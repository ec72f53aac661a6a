"""Paired tests against brute force."""

from __future__ import annotations

import itertools
import random
import sys

import pytest

from cof_agent.errors import MissingExtraError
from cof_agent.evaluation.statistics import bootstrap, mcnemar, paired_test
from tests.support.evaluation.rows import failed_row, row, usage


@pytest.mark.parametrize(("only_first", "only_other"), [(0, 0), (1, 0), (0, 5), (3, 3), (2, 9), (8, 4)])
def test_mcnemar_counts_the_ways_a_fair_coin_falls_as_far_out(only_first: int, only_other: int) -> None:
    n, far = only_first + only_other, abs(only_first - only_other)
    falls = list(itertools.product((1, -1), repeat=n))
    assert mcnemar(only_first, only_other) == pytest.approx(sum(abs(sum(fall)) >= far for fall in falls) / len(falls))


def test_mcnemar_of_thousands_of_pairs() -> None:
    assert mcnemar(5_000, 5_000) == 1
    assert mcnemar(6_000, 4_000) < 1e-80
    assert mcnemar(5_100, 4_900) == pytest.approx(0.0466, abs=5e-4)  # normal: z = 199 / 100, continuity corrected


def test_mcnemar_rejects_no_more_often_than_it_says() -> None:
    """Exact: over all counts of 30 disagreeing pairs of equal runs, by their probabilities."""
    from math import comb

    assert sum(comb(30, k) / 2**30 for k in range(31) if mcnemar(k, 30 - k) <= 0.05) <= 0.05


def test_the_bootstrap_agrees_with_every_resample_there_is() -> None:
    values = [("a", 1.0), ("b", 0.0), ("c", -1.0), ("d", 1.0), ("e", 1.0)]
    means = sorted(sum(drawn) / 5 for drawn in itertools.product([value for _, value in values], repeat=5))
    found = bootstrap([values], resamples=20_000)
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(means[round(0.025 * len(means))])
    assert found.high == pytest.approx(means[round(0.975 * len(means))])


def test_the_same_numbers_give_the_same_interval_in_any_order() -> None:
    draw = random.Random(1)
    sample = [(f"q{number}", draw.choice([-1.0, 0.0, 1.0])) for number in range(200)]
    assert bootstrap([sample]) == bootstrap([sample[::-1]])
    assert bootstrap([sample]) != bootstrap([sample], seed=1)


def test_questions_that_recur_are_drawn_together() -> None:
    draw = random.Random(2)
    base = [(f"q{number}", draw.choice([-1.0, 0.0, 1.0])) for number in range(60)]
    once, eight = bootstrap([base]), bootstrap([base] * 8)
    assert (eight.low, eight.high) == (pytest.approx(once.low), pytest.approx(once.high))  # no narrower for the copies
    apart = [[(f"{name} {copy}", value) for name, value in base] for copy in range(8)]
    assert bootstrap(apart).high - bootstrap(apart).low < 0.5 * (once.high - once.low)


def test_each_cell_weighs_the_same() -> None:
    assert bootstrap([[("a", 1.0)] * 9, [("a", 0.0)]]).value == 0.5


def test_the_bootstrap_interval_holds_a_known_difference() -> None:
    draw, held = random.Random("known"), 0
    for _ in range(150):
        sample = [(str(number), float(draw.choice([-1, 0, 0, 1, 1]))) for number in range(80)]
        found = bootstrap([sample], resamples=400)
        held += found.low <= 0.2 <= found.high
    assert held >= 135


def test_a_paired_test_by_hand() -> None:
    first = [row("a", True, zooms=2), row("b", False), row("c", True), row("d", False), failed_row("e")]
    other = [row("a", True), row("b", True), row("c", False), row("d", True, zooms=1), row("e", True)]
    found = paired_test([list(zip(first, other, strict=True))])
    assert (found.n, found.both, found.only_first, found.only_other, found.neither) == (5, 1, 1, 3, 0)
    assert found.p == pytest.approx(2 * (1 + 4) / 16)
    assert found.accuracy.value == pytest.approx(2 / 5)
    assert found.zooms is not None
    assert found.zooms.value == pytest.approx((-2 + 1) / 4)  # e failed in the first run: what it cost says nothing
    assert found.visual_tokens is not None
    assert found.visual_tokens.value == pytest.approx(-16)


def test_no_p_value_over_several_cells() -> None:
    cells = [[(row("a", True, resolution=size), row("a", False, resolution=size))] for size in (224, 448)]
    assert paired_test(cells).p is None
    assert paired_test(cells).accuracy.value == -1


def test_runs_that_all_failed_have_no_costs_to_compare() -> None:
    found = paired_test([[(failed_row("a"), failed_row("a", usage=usage(3)))]])
    assert (found.zooms, found.visual_tokens, found.accuracy.value) == (None, None, 0)


def test_without_numpy_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingExtraError, match="eval"):
        bootstrap([[("a", 1.0)]])
