"""The tables of a run's report, and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cof_agent.evaluation.report.table import (
    NONE,
    SETTING,
    Table,
    averaged,
    budget_name,
    number,
    percent,
    setting,
    share,
    with_interval,
)
from cof_agent.evaluation.row import Cell, Rule
from cof_agent.evaluation.sizes import told
from cof_agent.evaluation.summary import (
    CellFigures,
    Costs,
    Failure,
    Fall,
    Need,
    NeedFigures,
    Summary,
    TamperedRegions,
)
from cof_agent.loop.state import Status

COSTS = ("zooms", "visual", "prompt", "text", "s")
_OPEN_ENDS = {Status.DECLINED: "declined", Status.BUDGET: "out of budget"}
_BY_CATEGORY = "By category: right, in %"
NEEDS = {Need.NO_ZOOM: "no zoom", Need.ZOOM: "zooms", Need.OUT_OF_REACH: "out of reach"}


def headline(summary: Summary) -> str:
    """The run in one line."""
    if not summary.rows:
        return "Nothing was asked."
    overall = [average for average in summary.averages if average.plain and average.over == "resolution"]
    if overall:
        first = overall[0]
        values = f"{len(first.values)} resolutions from {min(first.values)} to {max(first.values)}"
        values += f", first look {budget_name(first.held)}" if len(overall) > 1 else ""
        return f"{with_interval(first.accuracy, first.low, first.high)} % right, the mean of {values}"
    cells = summary.plain or summary.cells
    if len(cells) == 1:
        return f"{share(cells[0].accuracy)} % right of {cells[0].n:,} question" + ("s" if cells[0].n != 1 else "")
    shown = [
        f"{percent(figures.accuracy.value)} at {' / '.join(_varied(figures.cell, cells))}" for figures in cells[:4]
    ]
    return "% right: " + ", ".join(shown) + (", …" if len(cells) > 4 else "")


def _varied(cell: Cell, cells: Sequence[CellFigures]) -> list[str]:
    """The parts of a setting that are not the same in all cells."""
    parts = zip(setting(cell), *(setting(figures.cell) for figures in cells), strict=True)
    return [own for own, *others in parts if len(set(others)) > 1]


def sheets(summary: Summary, *, full: bool = True) -> list[Table]:
    """All tables of a run that have something to say; unless `full`, only those that most people look for first."""
    made = [_main(summary, full), _in_categories(summary) if full else _categories(summary)]
    made += [_tampered(summary), _faithful(summary)]
    if full:
        made += [_needs(summary), _tampered_needs(summary), _endings(summary), _rules(summary), _evidence(summary)]
    made.append(_failures("Failures (counted as wrong)", summary.failures))
    made.append(_failures("Pictures that could not be opened (in no figure)", summary.unopened_why))
    return [sheet for sheet in made if sheet.rows]


def _main(summary: Summary, full: bool) -> Table:
    """Unless `full`, without tampered regions: their own table has what most people look for."""
    rows = []
    for figures in summary.cells:
        if figures.cell.region and not full:
            continue
        direct, chance = percent(figures.direct.value), percent(figures.chance)
        row = (*setting(figures.cell), number(figures.n), share(figures.accuracy), chance, direct)
        rows.append((*row, *costs(figures.costs)))
    for average in summary.averages:
        if average.region and not full:
            continue
        accuracy = with_interval(average.accuracy, average.low, average.high)
        row = (*averaged(average), NONE, accuracy, percent(average.chance), percent(average.direct))
        rows.append((*row, *costs(average.costs)))
    note = (
        "Shares in %, with 95% intervals; costs are means per question that did not fail. direct: answered, or rightly "
        "declined, without a zoom. visual, prompt, text: tokens. s: seconds, waiting for other questions included."
    )
    if summary.averages:
        note += " mean: each setting weighs the same; all answers to one question count as one in its interval."
    return Table.of("Accuracy and cost", (*SETTING, "n", "right %", "chance", "direct", *COSTS), rows, 2, note)


def costs(value: Costs) -> tuple[str, ...]:
    """Zooms, visual tokens, prompt tokens, text tokens, seconds."""
    return (
        number(value.zooms, 2),
        number(value.visual_tokens),
        number(value.prompt_tokens),
        number(value.completion_tokens),
        number(value.seconds, 2),
    )


def _categories(summary: Summary) -> Table:
    """A column for each resolution. Nothing where there is one category only, or several budgets."""
    cells = summary.plain
    sizes: dict[str, int] = {}
    for figures in cells if len({figures.cell.budget for figures in cells}) == 1 else ():
        for name, found in figures.categories.items():
            sizes[name] = max(found.n, sizes.get(name, 0))
    rows = [
        (name, number(size), *(_category(figures, name, alone=len(cells) == 1) for figures in cells))
        for name, size in sorted(sizes.items())
        if len(sizes) > 1
    ]
    columns = ("category", "n", *(told(figures.cell.resolution) for figures in cells))
    return Table.of(_BY_CATEGORY, columns, rows, 1)


def _category(figures: CellFigures, name: str, *, alone: bool) -> str:
    found = figures.categories.get(name)
    return NONE if found is None else share(found) if alone else percent(found.value)


def _in_categories(summary: Summary) -> Table:
    """The same with intervals, for all budgets. Nothing where there is one category only."""
    several = len({name for figures in summary.plain for name in figures.categories}) > 1
    rows = [
        (*setting(figures.cell), name, number(found.n), share(found))
        for figures in (summary.plain if several else ())
        for name, found in figures.categories.items()
    ]
    return Table.of(_BY_CATEGORY, (*SETTING, "category", "n", "right %"), rows, 3)


def _needs(summary: Summary) -> Table:
    rows = []
    for figures in summary.plain:
        rows += [_need(setting(figures.cell), found) for found in (figures.scenes.needs if figures.scenes else ())]
    for average in summary.averages:
        rows += [_need(averaged(average), found) for found in average.needs if average.plain]
    note = "What the ideal observer needs to tell the answer; ideal: its zooms. mean: all rows together."
    columns = (*SETTING, "needs", "n", "right %", "chance", "zooms", "ideal")
    return Table.of("By what the question needs", columns, rows, 3, note)


def _need(where: tuple[str, str], found: NeedFigures) -> tuple[str, ...]:
    cells = (NEEDS[found.need], number(found.accuracy.n), share(found.accuracy))
    return (*where, *cells, percent(found.chance), number(found.zooms, 2), number(found.ideal_zooms, 2))


def _tampered(summary: Summary) -> Table:
    rows = [
        (*where, found.region.value, name, *_fall(fall))
        for where, found in _kinds_of_regions(summary)
        for name, fall in (("all", found.all), ("with a zoom", found.zoomed))
    ]
    note = (
        "Each question was asked as it is, and again with other pixels in its regions: grey (blank), another place "
        "(elsewhere), or the first look enlarged (overview). fall: points of accuracy lost, with its 95% bootstrap "
        "interval by question, which is too narrow for few of them. with a zoom: asked as they are, they were shown a "
        "region, so the pixels may matter."
    )
    if any(average.regions for average in summary.averages):
        note += " mean: of all, each setting weighs the same; else all rows together."
    columns = (*SETTING, "regions", "questions", "n", "as it is %", "tampered %", "fall", "chance")
    return Table.of("Tampered regions: how far accuracy falls", columns, rows, 4, note)


def _tampered_needs(summary: Summary) -> Table:
    rows = [
        (*where, found.region.value, NEEDS[need], *_fall(fall))
        for where, found in _kinds_of_regions(summary)
        for need, fall in found.needs.items()
    ]
    columns = (*SETTING, "regions", "needs", "n", "as it is %", "tampered %", "fall", "chance")
    return Table.of("Tampered regions, by what the question needs", columns, rows, 4, "mean: all rows together.")


def _kinds_of_regions(summary: Summary) -> Iterator[tuple[tuple[str, str], TamperedRegions]]:
    for figures in summary.cells:
        yield from ((setting(figures.cell), found) for found in figures.regions)
    for average in summary.averages:
        yield from ((averaged(average), found) for found in average.regions)


def _fall(found: Fall) -> tuple[str, ...]:
    points = NONE
    if found.fall:
        value, low, high = (
            f"{round(100 * part, 1) + 0.0:.1f}" for part in (found.fall.value, found.fall.low, found.fall.high)
        )
        points = f"{value} [{low}, {high}]"
    return number(found.n), percent(found.plain), percent(found.tampered), points, percent(found.chance)


def _faithful(summary: Summary) -> Table:
    known = [(setting(figures.cell), figures.faithfulness) for figures in summary.cells]
    known += [(averaged(average), average.faithfulness) for average in summary.averages]
    rows = []
    for where, found in known:
        if found:
            needs = [percent(found.needs[need].value) if need in found.needs else NONE for need in Need]
            rows.append((*where, number(found.followed.n), share(found.followed), percent(found.kept.value), *needs))
    columns = (*SETTING, "n", "followed %", "kept", *NEEDS.values())
    note = (
        "Of the n questions answered right on the plain picture: on the changed one the answer followed (is right "
        "again), or was kept. The last columns: those that followed, by what the question needs."
    )
    return Table.of("Changed pictures", columns, rows, 2, note)


def _endings(summary: Summary) -> Table:
    rows = []
    for figures in summary.cells:
        counts = [number(figures.statuses.get(status) or None) for status in Status]
        counts.append(number(figures.timed_out or None))
        refused = (number(figures.costs.refused, 2), percent(figures.costs.refused_share))
        rows.append((*setting(figures.cell), *counts, *refused))
    columns = (*SETTING, *(status.value for status in Status), "by time", "refused", "% of calls")
    note = "Questions by how they ended; by time: of those out of budget, by max_seconds; refused calls per question."
    return Table.of("Endings", columns, rows, 2, note)


def _rules(summary: Summary) -> Table:
    rows = [
        (*setting(figures.cell), *(number(figures.rules.get(rule) or None) for rule in Rule))
        for figures in summary.cells
    ]
    columns = (*SETTING, *(rule.value for rule in Rule))
    return Table.of("Rules", columns, rows, 2, "Questions by the rule that decided whether the answer is right.")


def _evidence(summary: Summary) -> Table:
    rows = [
        (
            *setting(figures.cell),
            number(figures.statuses.get(Status.ANSWERED, 0)),
            number(figures.contains_truth.n),
            share(figures.contains_truth),
            number(figures.iou, 2),
        )
        for figures in summary.plain
        if figures.contains_truth.n
    ]
    columns = (*SETTING, "answers", "with evidence", "holds the truth %", "IoU")
    note = (
        "with evidence: the answers that name a place, where the place of the truth is known; the share and the mean "
        "IoU are of these."
    )
    return Table.of("Evidence", columns, rows, 2, note)


def _failures(title: str, alike: Sequence[Failure]) -> Table:
    rows = [(found.reason.value, found.message, number(found.count)) for found in alike]
    return Table.of(title, ("reason", "message", "questions"), rows, 2)


def remarks(summary: Summary) -> list[str]:
    """What was left out, what has no answer, what no rule could tell, and what failed."""
    lines = []
    if summary.malformed:
        lines.append(f"Malformed rows of the benchmark, which could not be asked: {summary.malformed:,}.")
    if summary.skipped:
        counts = ", ".join(f"{count:,} at {resolution}" for resolution, count in summary.skipped.items() if count)
        lines += [f"Not asked because the picture is smaller: {counts}."] if counts else []
    endings = {status: sum(figures.statuses.get(status, 0) for figures in summary.cells) for status in Status}
    rightly = sum(figures.rightly_declined for figures in summary.cells)
    endings[Status.DECLINED] -= rightly
    endings[Status.BUDGET] -= summary.timed_out
    if rightly:
        lines.append(f"Rightly declined, since they cannot be answered: {rightly:,}.")
    open_ends = [f"{endings[status]:,} {words}" for status, words in _OPEN_ENDS.items() if endings[status]]
    if open_ends:
        lines.append(f"Without an answer, which counts as wrong: {', '.join(open_ends)}.")
    if summary.timed_out:
        lines.append(
            f"Without an answer because their time ran out (max_seconds), which counts as wrong: {summary.timed_out:,}."
        )
    unmatched = sum(figures.rules.get(Rule.UNMATCHED, 0) for figures in summary.cells)
    if unmatched and not summary.settings.get("judge"):
        exact = all(figures.scenes and figures.scenes.reachable.n == figures.n for figures in summary.cells)
        hint = "" if exact else " A judge could tell."  # of a scene all right answers are known
        lines.append(f"Answers that no rule could match, which count as wrong: {unmatched:,}.{hint}")
    if summary.unopened:
        lines.append(f"Pictures that could not be opened, whose questions are in no figure: {summary.unopened:,}.")
    if summary.failed:
        lines.append(f"{summary.failed:,} of {summary.rows:,} failed and count as wrong.")
    return lines
