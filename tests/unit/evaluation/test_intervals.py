"""The Wilson interval: its values, its coverage, and what it makes of trials that are not independent."""

from __future__ import annotations

import random
from math import comb

import pytest

from cof_agent.evaluation.statistics import Share, Z, independent, wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),  # by hand: n / (n + z²)
    ],
)
def test_the_interval_is_wilsons(right: int, n: int, low: float, high: float) -> None:
    found = Share.of(number < right for number in range(n))
    assert (found.count, found.n, found.value) == (right, n, right / n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5.1e-5), pytest.approx(high, abs=5.1e-5))


def test_its_ends_are_where_the_score_test_just_rejects() -> None:
    for right, n in [(3, 17), (40, 50), (191, 400)]:
        for end in wilson(right / n, n):
            assert abs(right / n - end) / (end * (1 - end) / n) ** 0.5 == pytest.approx(Z)


@pytest.mark.parametrize("truth", [0.05, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [20, 100])
def test_it_holds_the_truth_about_95_times_in_100(truth: float, n: int) -> None:
    """Over every outcome, each with its probability: no drawing of lots needed."""
    covered = 0.0
    for right in range(n + 1):
        low, high = wilson(right / n, n)
        covered += comb(n, right) * truth**right * (1 - truth) ** (n - right) * (low <= truth <= high)
    assert 0.92 < covered < 0.985


def test_with_nothing_observed_nothing_is_claimed() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)
    assert Share.of([]) == Share(count=0, n=0, value=None, low=None, high=None)


def test_answers_to_one_question_count_as_one() -> None:
    once = Share.of([True, True, False])
    often = Share.of_clusters((name, name != "c") for name in "abc" for _ in range(8))
    assert (often.n, often.value) == (24, once.value)
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert independent("aabbcc") == 3
    assert independent("aaab") == pytest.approx(16 / 10)
    assert independent([]) == 0


def test_an_interval_of_recurring_questions_covers_even_when_all_their_answers_are_alike() -> None:
    draw, held = random.Random("coverage"), 0
    for _ in range(1000):
        flags = [
            (name, flag) for name in range(40) for flag in [draw.random() < 0.7] for _ in range(draw.choice([1, 8]))
        ]
        found = Share.of_clusters(flags)
        held += (found.low or 0) <= 0.7 <= (found.high or 0)
    assert held > 920
