"""How far does accuracy fall when regions show something else?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cof_agent.evaluation.faithfulness import Pair
from cof_agent.evaluation.intervals import mean
from cof_agent.evaluation.paired import bootstrap
from cof_agent.evaluation.regions import Region
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.summary import Fall, Need, TamperedRegions


def tampered_regions(region: Region, cells: Sequence[Sequence[Pair]]) -> TamperedRegions:
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
