"""The files of a report: `summary.json`, `plots/`, `report.html` and `results.csv` beside a run's results."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from cof_agent.errors import ConfigError
from cof_agent.evaluation.report.comparison import Comparison
from cof_agent.evaluation.report.csv_rows import as_csv
from cof_agent.evaluation.report.page import comparison_page, run_page
from cof_agent.evaluation.report.plots import plots_of
from cof_agent.evaluation.results import Run, read_run
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.sizes import told
from cof_agent.evaluation.summary import Summary
from cof_agent.evaluation.tally import summarise
from cof_agent.files import atomic_write, locked, private_directory

PAGE = "report.html"
TABLE = "results.csv"
PLOTS = "plots"
WRONG = 20
"""Wrong answers that a report shows."""


def sum_up(directory: str | Path) -> Summary:
    """The figures of a run, finished or not; nothing is written. Raises ConfigError when it is no run."""
    return _summary(read_run(directory))


def write_report(directory: str | Path) -> Summary:
    """Make a run's report from what stands in its directory, finished or not; an older report is replaced.

    Raises ConfigError when it is no run or cannot be written, MissingExtraError without matplotlib (after
    `summary.json` is written).
    """
    run = read_run(directory)
    summary = _summary(run)
    directory = Path(directory)
    _write(directory / "summary.json", summary.model_dump_json(indent=1) + "\n")
    plots = plots_of({"": summary})
    _write_plots(directory, plots)
    _write(directory / PAGE, run_page(summary, plots, some_wrong(run.rows)))
    _write(directory / TABLE, as_csv(run.rows))
    return summary


def write_comparison(comparison: Comparison, directory: str | Path) -> None:
    """Write `comparison.json`, `plots/` and `report.html`.

    Raises as `write_report`, and LockedError where another comparison is written there.
    """
    directory = Path(directory)
    plots = plots_of({run.name: run.summary for run in comparison.runs})
    try:
        private_directory(directory)
    except OSError as error:
        raise ConfigError(f"cannot write {directory}: {error.strerror or error}; choose another directory") from error
    with locked(directory, f"comparing {len(comparison.runs)} runs"):
        _write(directory / "comparison.json", comparison.model_dump_json(indent=1) + "\n")
        _write_plots(directory, plots)
        _write(directory / PAGE, comparison_page(comparison, plots))


def some_wrong(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Wrong answers drawn by lot, the same in every report of the same rows; none that tampered regions asked for."""
    seen = (row for row in rows if row.source and row.cell.region is None)
    wrong = sorted((row for row in seen if not row.correct), key=lambda row: row.key)
    drawn = random.Random("wrong answers").sample(wrong, min(WRONG, len(wrong)))
    return sorted(drawn, key=lambda row: row.key)


def _summary(run: Run) -> Summary:
    return summarise(run.settings.to_json(), run.rows, malformed=run.malformed, skipped=_skipped(run.skipped))


def _skipped(counts: Mapping[int | None, int]) -> dict[str, int]:
    ordered = sorted(counts.items(), key=lambda item: item[0] or float("inf"))
    return {told(resolution): count for resolution, count in ordered if count}


def _write_plots(directory: Path, plots: Mapping[str, bytes]) -> None:
    for name, data in plots.items():
        _write(directory / PLOTS / name, data)
    for old in (directory / PLOTS).glob("*.png"):
        if old.name not in plots:
            old.unlink()


def _write(path: Path, data: str | bytes) -> None:
    """Whole or not at all: a reader sees the old file or the new one."""
    try:
        private_directory(path.parent)
        with atomic_write(path) as file:
            file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}; choose another directory") from error
