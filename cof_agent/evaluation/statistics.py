"""Shares with their 95% intervals, and whether one of two runs on the same questions is better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from math import sqrt
from statistics import NormalDist
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from cof_agent.agent.record import Record
from cof_agent.errors import MissingExtraError
from cof_agent.evaluation.row import ResultRow
from cof_agent.loop.state import Status

Z = NormalDist().inv_cdf(0.975)
"""Standard deviations to either side that hold 95% of a normal distribution."""


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95% score interval of a share that was observed in `n` independent trials.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212. `n` need not be whole. With no trials anything is possible: 0 to 1.
    """
    if n <= 0:
        return 0.0, 1.0
    square = Z * Z / n
    middle = share + square / 2
    reach = Z * sqrt(share * (1 - share) / n + square / (4 * n))
    low, high = (middle - reach) / (1 + square), (middle + reach) / (1 + square)
    return (0.0 if share <= 0 else low), (1.0 if share >= 1 else high)


def independent(clusters: Iterable[Hashable]) -> float:
    """How many independent trials there are at least when those of one cluster may all be alike (Kish).

    The square of the number of trials over the sum of the clusters' squared sizes: the number of clusters when all
    are of one size.
    """
    sizes = Counter(clusters).values()
    return sum(sizes) ** 2 / sum(size * size for size in sizes) if sizes else 0.0


class Share(BaseModel):
    """So many of so many, with the 95% Wilson interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    n: int
    value: float | None
    """`count / n`, 0.0 to 1.0; None when n is 0."""
    low: float | None
    high: float | None

    @classmethod
    def of(cls, flags: Iterable[bool]) -> Share:
        """The share of true ones among independent trials."""
        return cls.of_clusters((number, flag) for number, flag in enumerate(flags))

    @classmethod
    def of_clusters(cls, flags: Iterable[tuple[Hashable, bool]]) -> Share:
        """The share of true ones among pairs of a cluster and a flag; trials of one cluster count as if all alike."""
        pairs = list(flags)
        n, count = len(pairs), sum(flag for _, flag in pairs)
        if not n:
            return cls(count=0, n=0, value=None, low=None, high=None)
        low, high = wilson(count / n, independent(cluster for cluster, _ in pairs))
        return cls(count=count, n=n, value=count / n, low=low, high=high)


def mean(values: Iterable[float]) -> float | None:
    """Their mean; None when there are none."""
    known = list(values)
    return sum(known) / len(known) if known else None


RESAMPLES = 5_000
_AT_ONCE = 2_000_000
"""Draws held in memory together."""

Sample: TypeAlias = Sequence[tuple[str, float]]
"""The values of one cell, each with the id of its question."""


class Difference(Record):
    """A mean difference with its 95% bootstrap interval; of runs, the other less the first."""

    value: float
    low: float
    high: float


class PairedTest(Record):
    """One cell (or several) of two runs, over the questions that both were asked."""

    n: int
    """Pairs of rows."""
    both: int
    """Pairs right in both runs."""
    only_first: int
    only_other: int
    neither: int
    p: float | None
    """Exact McNemar test, two-sided. None over several cells: the same question recurs there."""
    accuracy: Difference
    zooms: Difference | None
    """Over the pairs that did not fail in either run, as are the tokens; None if there are none."""
    visual_tokens: Difference | None


def mcnemar(only_first: int, only_other: int) -> float:
    """The two-sided p-value of the exact McNemar test, from the two counts of disagreeing pairs.

    The binomial form, without mid-p: of the pairs that disagree, each is as likely to favour one as the other.
    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), 153-157. It errs on the side of finding no difference.
    """
    n, fewer = only_first + only_other, min(only_first, only_other)
    term = tail = 1
    for k in range(1, fewer + 1):
        term = term * (n - k + 1) // k
        tail += term
    return min(1.0, float(2 * tail / (1 << n)))


def bootstrap(samples: Sequence[Sample], *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """The mean over samples of each sample's mean, with its 95% percentile interval.

    Questions are drawn again with replacement, each with all its values in all samples, for they are not independent.
    The same seed gives the same interval on every machine. Raises MissingExtraError without numpy, ValueError without
    values.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise MissingExtraError.for_extra("eval", "comparing runs") from error

    samples = [sample for sample in samples if sample]
    if not samples:
        raise ValueError("there is nothing to take a mean of")
    places = {name: number for number, name in enumerate(sorted({name for sample in samples for name, _ in sample}))}
    sums, sizes = np.zeros((len(places), len(samples))), np.zeros((len(places), len(samples)))
    for column, sample in enumerate(samples):
        for name, value in sample:
            sums[places[name], column] += value
            sizes[places[name], column] += 1
    generator = np.random.RandomState(seed)  # the one whose numbers numpy promises never to change
    step = max(1, _AT_ONCE // len(places))
    means = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.randint(0, len(places), size=(rows, len(places)), dtype=np.int64)
        drawn += np.arange(rows, dtype=np.int64)[:, None] * len(places)
        weights = np.bincount(drawn.ravel(), minlength=rows * len(places)).reshape(rows, len(places)).astype(float)
        total, count = weights @ sums, weights @ sizes
        asked = count > 0
        means.append(np.divide(total, count, out=np.zeros_like(total), where=asked).sum(axis=1) / asked.sum(axis=1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    value = (sums.sum(axis=0) / sizes.sum(axis=0)).mean()
    return Difference(value=float(value), low=float(low), high=float(high))


def paired_test(cells: Sequence[Sequence[tuple[ResultRow, ResultRow]]]) -> PairedTest:
    """The first run's rows against the other's, cell by cell; each cell weighs the same in the differences."""
    pairs = [pair for cell in cells for pair in cell]
    outcomes = [(first.correct, other.correct) for first, other in pairs]
    only_first, only_other = outcomes.count((True, False)), outcomes.count((False, True))
    return PairedTest(
        n=len(pairs),
        both=outcomes.count((True, True)),
        only_first=only_first,
        only_other=only_other,
        neither=outcomes.count((False, False)),
        p=mcnemar(only_first, only_other) if len(cells) == 1 else None,
        accuracy=bootstrap([[(a.question, int(b.correct) - int(a.correct)) for a, b in cell] for cell in cells]),
        zooms=_usage_difference(cells, "zooms"),
        visual_tokens=_usage_difference(cells, "visual_tokens"),
    )


def _usage_difference(cells: Sequence[Sequence[tuple[ResultRow, ResultRow]]], name: str) -> Difference | None:
    samples = [
        [
            (first.question, getattr(other.usage, name) - getattr(first.usage, name))
            for first, other in cell
            if finished(first) and finished(other)
        ]
        for cell in cells
    ]
    return bootstrap(samples) if any(samples) else None


def finished(row: ResultRow) -> bool:
    """Whether the question was asked to its end, so that what it cost says something."""
    return row.usage is not None and row.status is not Status.FAILED
