"""Shares with their 95% intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from math import sqrt
from statistics import NormalDist

from pydantic import BaseModel, ConfigDict

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
