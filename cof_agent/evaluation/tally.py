"""Rows of a run become figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Literal, TypeAlias

from cof_agent.evaluation.faithfulness import Pair, faithfulness, tampered_regions
from cof_agent.evaluation.row import Cell, ResultRow
from cof_agent.evaluation.statistics import Share, finished, mean, wilson
from cof_agent.evaluation.summary import (
    Average,
    CellFigures,
    Costs,
    Failure,
    Faithfulness,
    Need,
    NeedFigures,
    SceneFigures,
    Summary,
    TamperedRegions,
)
from cof_agent.evaluation.tampering import Tampering
from cof_agent.loop.state import Status, StopReason

MESSAGE = 200
"""Characters of a failure's message that are kept."""
FAILURES = 20
KINDS = (None, *Tampering)
"""Regions as they are before tampered ones."""

Rows: TypeAlias = Mapping[Cell, Sequence[ResultRow]]
"""By cell, in order."""


def summarise(
    settings: Mapping[str, Any],
    rows: Iterable[ResultRow],
    *,
    malformed: int = 0,
    skipped: Mapping[str, int] | None = None,
) -> Summary:
    """The figures of a run. The order of its rows does not matter."""
    every = sorted(rows, key=lambda row: row.key)
    ordered = [row for row in every if row.source]  # what was never seen says nothing about the policy
    cells: dict[Cell, list[ResultRow]] = defaultdict(list)
    for row in ordered:
        cells[row.cell].append(row)
    by_cell = {cell: cells[cell] for cell in sorted(cells, key=cell_order)}
    figures = {cell: _cell_figures(cell, by_cell) for cell in by_cell}
    failed = [row for row in ordered if row.status is Status.FAILED]
    unopened = [row for row in every if not row.source]
    return Summary(
        settings=dict(settings),
        questions=len({row.question for row in ordered}),
        rows=len(ordered),
        cells=tuple(figures.values()),
        averages=tuple(
            _average(over, [figures[cell] for cell in members], by_cell) for over, members in alike(by_cell)
        ),
        skipped=dict(skipped or {}),
        malformed=malformed,
        unopened=len(unopened),
        unopened_why=_alike_failures(unopened),
        timed_out=sum(row.timed_out for row in ordered),
        failed=len(failed),
        failures=_alike_failures(failed),
    )


def _alike_failures(rows: Sequence[ResultRow]) -> tuple[Failure, ...]:
    """Failed rows by why they failed; those that have an answer by their judge's failure."""
    found = Counter(
        (StopReason.ERROR if row.answer is not None else row.stop_reason, (row.message or "")[:MESSAGE]) for row in rows
    )
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:FAILURES]
    return tuple(Failure(reason=reason, message=message, count=count) for (reason, message), count in most)


def cell_order(cell: Cell) -> tuple[bool, int, float, float]:
    """Plain cells first, then tampered regions, then changed pictures; by budget, then by resolution, native last."""
    inf = float("inf")
    return cell.counterfactual, KINDS.index(cell.region), cell.budget or inf, cell.resolution or inf


def alike(cells: Iterable[Cell]) -> list[tuple[Literal["resolution", "budget"], list[Cell]]]:
    """The sets of two or more cells that differ in one axis only, and which axis that is.

    Cells without a number on that axis are left out: a picture as it is has another size with each question.
    """
    groups: dict[tuple[Literal["resolution", "budget"], Cell], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.resolution:
            groups["resolution", cell.model_copy(update={"resolution": None})].append(cell)
        if cell.budget:
            groups["budget", cell.model_copy(update={"budget": None})].append(cell)
    sets = [(over, members) for (over, _), members in groups.items() if len(members) > 1]
    return sorted(sets, key=lambda found: (found[0] == "budget", cell_order(found[1][0])))


def need_of(row: ResultRow) -> Need | None:
    """What the ideal observer needs; None for a picture that is no scene."""
    if row.reachable is None:
        return None
    if not row.reachable:
        return Need.OUT_OF_REACH
    return Need.ZOOM if row.ideal_zooms else Need.NO_ZOOM


def _pairs(members: Iterable[Cell], by_cell: Rows, **change: Any) -> list[list[Pair]]:
    """Of each plain cell: its rows, each with the one of the cell that differs from it by `change`."""
    found = []
    for cell in members:
        if cell.plain:
            changed = {row.question: row for row in by_cell.get(cell.model_copy(update=change), ())}
            rows = [row for row in by_cell[cell] if row.question in changed]
            found.append([(row, changed[row.question], need_of(row)) for row in rows])
    return found


def _changed(members: Sequence[Cell], by_cell: Rows) -> Faithfulness | None:
    """Of plain cells: what became of their answers on the changed pictures."""
    pairs = [pair for pairs in _pairs(members, by_cell, counterfactual=True) for pair in pairs]
    return faithfulness(pairs) if pairs else None


def _tampered(members: Sequence[Cell], by_cell: Rows) -> tuple[TamperedRegions, ...]:
    """Of plain cells: how far accuracy falls with each kind of regions."""
    kinds = [(region, _pairs(members, by_cell, region=region)) for region in Tampering]
    return tuple(tampered_regions(region, cells) for region, cells in kinds if any(cells))


def _cell_figures(cell: Cell, by_cell: Rows) -> CellFigures:
    rows = by_cell[cell]
    categories: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        categories[row.category].append(row.correct)
    return CellFigures(
        cell=cell,
        n=len(rows),
        accuracy=Share.of(row.correct for row in rows),
        chance=_chance(rows),
        categories={name: Share.of(categories[name]) for name in sorted(categories)},
        direct=Share.of(
            row.usage.zooms == 0 for row in rows if row.usage and (row.correct or row.status is Status.ANSWERED)
        ),
        costs=_costs(rows),
        statuses=dict(sorted(Counter(row.status for row in rows).items())),
        timed_out=sum(row.timed_out for row in rows),
        rightly_declined=sum(row.correct and row.status is Status.DECLINED for row in rows),
        rules=dict(sorted(Counter(row.rule for row in rows).items())),
        contains_truth=Share.of(row.contains_truth for row in rows if row.contains_truth is not None),
        iou=mean(row.iou for row in rows if row.iou is not None),
        scenes=_scene_figures(rows),
        faithfulness=_changed([cell], by_cell),
        regions=_tampered([cell], by_cell),
    )


def _scene_figures(rows: Sequence[ResultRow]) -> SceneFigures | None:
    scenes = [row for row in rows if row.reachable is not None]
    if not scenes:
        return None
    return SceneFigures(
        reachable=Share.of(bool(row.reachable) for row in scenes),
        ideal_zooms=mean(row.ideal_zooms or 0 for row in scenes if row.reachable),
        needs=_needs(scenes),
    )


def _needs(rows: Sequence[ResultRow]) -> tuple[NeedFigures, ...]:
    found = []
    for need in Need:
        members = [row for row in rows if need_of(row) is need]
        if members:
            accuracy = Share.of_clusters((row.question, row.correct) for row in members)
            zooms = mean(row.usage.zooms for row in members if row.usage and finished(row))
            ideal = None if need is Need.OUT_OF_REACH else mean(row.ideal_zooms or 0 for row in members)
            found.append(
                NeedFigures(need=need, accuracy=accuracy, chance=_chance(members), zooms=zooms, ideal_zooms=ideal)
            )
    return tuple(found)


def _costs(rows: Sequence[ResultRow]) -> Costs:
    used = [row.usage for row in rows if row.usage and finished(row)]
    if not used:
        return Costs(n=0)
    refused, zooms = sum(usage.refused for usage in used), sum(usage.zooms for usage in used)
    return Costs(
        n=len(used),
        zooms=zooms / len(used),
        visual_tokens=mean(usage.visual_tokens for usage in used),
        prompt_tokens=mean(usage.prompt_tokens for usage in used) or None,
        completion_tokens=mean(usage.completion_tokens for usage in used) or None,
        policy_calls=mean(usage.policy_calls for usage in used),
        refused=refused / len(used),
        refused_share=refused / (refused + zooms) if refused + zooms else None,
        seconds=mean(usage.seconds for usage in used),
        median_seconds=median(usage.seconds for usage in used),
    )


def _average(over: Literal["resolution", "budget"], cells: Sequence[CellFigures], by_cell: Rows) -> Average:
    members = [figures.cell for figures in cells]
    accuracy = sum(figures.accuracy.count / figures.n for figures in cells) / len(cells)
    # The spread of a mean is at most the mean of the spreads, and that, since sqrt(p(1-p)) is concave, at most the
    # spread at the mean share with the smallest n: so this interval holds however alike a question's answers are.
    low, high = wilson(accuracy, min(figures.n for figures in cells))
    first = members[0]
    return Average(
        over=over,
        values=tuple(getattr(cell, over) for cell in members),
        held=first.budget if over == "resolution" else first.resolution,
        counterfactual=first.counterfactual,
        region=first.region,
        accuracy=accuracy,
        low=low,
        high=high,
        chance=mean(figures.chance for figures in cells if figures.chance is not None),
        direct=mean(figures.direct.value for figures in cells if figures.direct.value is not None),
        costs=_mean_costs([figures.costs for figures in cells]),
        needs=_needs([row for cell in members for row in by_cell[cell]]),
        faithfulness=_changed(members, by_cell),
        regions=_tampered(members, by_cell),
    )


def _mean_costs(costs: Sequence[Costs]) -> Costs:
    known = [item.model_dump() for item in costs if item.n]
    names = [name for name in Costs.model_fields if name != "n"]
    means = {name: mean(item[name] for item in known if item[name] is not None) for name in names}
    return Costs(n=sum(item.n for item in costs), **means)


def _chance(rows: Iterable[ResultRow]) -> float | None:
    return mean(row.chance for row in rows if row.chance is not None)
