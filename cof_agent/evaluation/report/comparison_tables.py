"""The tables of a comparison."""

from __future__ import annotations

from cof_agent.evaluation.report.comparison import Comparison, RunTest
from cof_agent.evaluation.report.table import (
    NONE,
    SETTING,
    Table,
    asked,
    averaged,
    budget_name,
    number,
    percent,
    setting,
    share,
    show,
    with_interval,
)
from cof_agent.evaluation.sizes import told
from cof_agent.evaluation.statistics import Difference
from cof_agent.evaluation.summary import Costs, excerpt

SHOWN = 80
"""Characters of a setting's value; `comparison.json` has all of them."""


def comparison_sheets(comparison: Comparison) -> list[Table]:
    """All tables of a comparison that have something to say."""
    made = [_differing(comparison), _side_by_side(comparison), _accuracy(comparison), _costs(comparison)]
    return [sheet for sheet in made if sheet.rows]


def comparison_remarks(comparison: Comparison) -> list[str]:
    """What was compared, and what was left out."""
    lines = [f"{comparison.common:,} rows (question and setting) that all runs have."]
    lines += [f"{run.name}: {run.left_out:,} rows of it left out." for run in comparison.runs if run.left_out]
    lines += [
        f"{run.name}: {run.summary.failed:,} failed and count as wrong."
        for run in comparison.runs
        if run.summary.failed
    ]
    return lines


def _differing(comparison: Comparison) -> Table:
    rows = [(name, *(excerpt(show(value), SHOWN) for value in values)) for name, values in comparison.differing.items()]
    columns = ("setting", *(run.name for run in comparison.runs))
    return Table("What differs", columns, tuple(rows), words=len(columns))


def _side_by_side(comparison: Comparison) -> Table:
    rows = []
    for same in zip(*(run.summary.cells for run in comparison.runs), strict=True):
        for run, figures in zip(comparison.runs, same, strict=True):
            accuracy, direct = share(figures.accuracy), percent(figures.direct.value)
            row = (*setting(figures.cell), run.name, number(figures.n), accuracy, direct)
            rows.append((*row, *_cost(figures.costs)))
    for means in zip(*(run.summary.averages for run in comparison.runs), strict=True):
        for run, average in zip(comparison.runs, means, strict=True):
            accuracy = with_interval(average.accuracy, average.low, average.high)
            row = (*averaged(average), run.name, NONE, accuracy, percent(average.direct))
            rows.append((*row, *_cost(average.costs)))
    columns = (*SETTING, "run", "n", "right %", "direct", "zooms", "visual", "text")
    note = (
        "Over the rows that all runs have. zooms, visual, text: per question that did not fail, the last two in tokens."
    )
    return Table.of("Side by side", columns, rows, 3, note)


def _cost(costs: Costs) -> tuple[str, str, str]:
    return number(costs.zooms, 2), number(costs.visual_tokens), number(costs.completion_tokens)


def _accuracy(comparison: Comparison) -> Table:
    first = comparison.runs[0].name
    rows = []
    for found in comparison.tests:
        test = found.test
        counts = (number(test.only_other), number(test.only_first), _p(test.p))
        rows.append((*_where(found), comparison.runs[found.run].name, _difference(test.accuracy, 100, 1), *counts))
    columns = (*SETTING, "run", "percentage points", "gained", "lost", "p")
    note = (
        f"Each run less {first}, on the same questions, with 95% bootstrap intervals by question. gained, lost: right "
        "in this run only, in the first only. p: exact McNemar test, not corrected for the number of tests. Of few "
        "questions, trust p: the intervals are too narrow then."
    )
    return Table.of(f"Against {first}: right answers", columns, rows, 3, note)


def _costs(comparison: Comparison) -> Table:
    first = comparison.runs[0].name
    rows = []
    for found in comparison.tests:
        differences = (_difference(found.test.zooms, 1, 2), _difference(found.test.visual_tokens, 1, 0))
        rows.append((*_where(found), comparison.runs[found.run].name, *differences))
    note = f"Each run less {first}, over the questions that failed in neither; intervals as above."
    return Table.of(f"Against {first}: cost", (*SETTING, "run", "zooms", "visual tokens"), rows, 3, note)


def _where(found: RunTest) -> tuple[str, str]:
    first = found.cells[0]
    if found.over is None:
        return setting(first)
    if found.over == "resolution":
        return "mean" + asked(first), budget_name(first.budget)
    return told(first.resolution) + asked(first), "mean"


def _difference(value: Difference | None, scale: float, digits: int) -> str:
    if value is None:
        return NONE
    middle, low, high = (
        f"{round(scale * part, digits) + 0.0:+,.{digits}f}" for part in (value.value, value.low, value.high)
    )
    return f"{middle} [{low}, {high}]"


def _p(value: float | None) -> str:
    return NONE if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
