"""Does the answer follow when the picture is changed, and fall when regions show something else?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from cof_agent.evaluation.matching import asked_in, decide_by_rules
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.statistics import Share, bootstrap, mean
from cof_agent.evaluation.summary import Faithfulness, Fall, Need, TamperedRegions
from cof_agent.evaluation.tampering import Tampering

Pair: TypeAlias = tuple[ResultRow, ResultRow, Need | None]
"""One question's row as it is, its row with something changed, and what the first needs."""


def faithfulness(pairs: Sequence[Pair]) -> Faithfulness:
    """Of pairs of a plain and a changed picture's row, and what the plain one needs: what became of right answers.

    A question may occur in several pairs (other settings); all of its answers then count as one in the intervals.
    """
    right = [pair for pair in pairs if pair[0].correct]
    return Faithfulness(
        asked=len(pairs),
        followed=_followed(right),
        kept=Share.of_clusters((plain.question, kept_answer(plain, changed)) for plain, changed, _ in right),
        needs={
            need: _followed([pair for pair in right if pair[2] is need])
            for need in Need
            if any(pair[2] is need for pair in pairs)
        },
    )


def _followed(pairs: Sequence[Pair]) -> Share:
    return Share.of_clusters((plain.question, changed.correct) for plain, changed, _ in pairs)


def kept_answer(plain: ResultRow, changed: ResultRow) -> bool:
    """Whether the answer to the changed picture is what was right on the plain one, as rules tell (no judge)."""
    verdict = decide_by_rules(asked_in(plain), changed.answer)
    return not changed.correct and verdict is not None and verdict.correct


def tampered_regions(region: Tampering, cells: Sequence[Sequence[Pair]]) -> TamperedRegions:
    """Of each cell, the rows of its questions as they are and with regions that show `region`."""
    together = [pair for pairs in cells for pair in pairs]
    needs = {need: [pair for pair in together if pair[2] is need] for need in Need}
    return TamperedRegions(
        region=region,
        all=_fall(cells),
        zoomed=_fall([[pair for pair in together if pair[0].usage and pair[0].usage.zooms]]),
        needs={need: _fall([pairs]) for need, pairs in needs.items() if pairs},
    )


def _fall(cells: Sequence[Sequence[Pair]]) -> Fall:
    """Over the pairs of each cell; the cells that have any weigh the same."""
    cells = [pairs for pairs in cells if pairs]
    samples = [[(plain.question, float(plain.correct - other.correct)) for plain, other, _ in pairs] for pairs in cells]
    return Fall(
        n=sum(map(len, cells)),
        chance=mean(_means(cells, lambda plain, _: plain.chance)),
        plain=mean(_means(cells, lambda plain, _: plain.correct)),
        tampered=mean(_means(cells, lambda _, other: other.correct)),
        fall=bootstrap(samples) if samples else None,
    )


def _means(cells: Sequence[Sequence[Pair]], value: Callable[[ResultRow, ResultRow], float | None]) -> Iterator[float]:
    """Of each cell, the mean of what is known."""
    for pairs in cells:
        known = mean(found for plain, other, _ in pairs if (found := value(plain, other)) is not None)
        if known is not None:
            yield known
