"""Runs of one benchmark side by side, over the rows that all of them have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from cof_agent.errors import ConfigError
from cof_agent.evaluation.report.comparison import ComparedRun, Comparison, RunTest
from cof_agent.evaluation.report.files import write_comparison
from cof_agent.evaluation.report.table import setting
from cof_agent.evaluation.results import Run, read_run
from cof_agent.evaluation.row import Cell, ResultRow
from cof_agent.evaluation.settings import differing
from cof_agent.evaluation.statistics import paired_test
from cof_agent.evaluation.tally import alike, cell_order, summarise


def compare_runs(directories: Sequence[str | Path], out: str | Path | None = None) -> Comparison:
    """Compare each run with the first; with `out`, write `comparison.json`, `plots/` and `report.html` there.

    Raises ConfigError for fewer than two runs, another benchmark, questions that do not agree, and runs that have no
    row in common.
    """
    if len(directories) < 2:
        raise ConfigError(f"a comparison needs two runs or more, not {len(directories)}: name their directories")
    runs = [read_run(directory) for directory in directories]
    comparison = compare(dict(zip(_names(directories), runs, strict=True)), [str(path) for path in directories])
    if out is not None:
        write_comparison(comparison, Path(out))
    return comparison


def compare(runs: Mapping[str, Run], directories: Sequence[str]) -> Comparison:
    """The comparison of runs by their names, the first being what the others are measured against."""
    settings = {name: run.settings.to_json() for name, run in runs.items()}
    benchmarks = {name: held["benchmark"] for name, held in settings.items()}
    if len(set(benchmarks.values())) > 1:
        named = ", ".join(f"{name} is of {benchmark}" for name, benchmark in benchmarks.items())
        raise ConfigError(f"runs of different benchmarks cannot be compared: {named}")
    rows = {name: {(row.question, row.cell): row for row in run.rows if row.source} for name, run in runs.items()}
    common = set.intersection(*(set(found) for found in rows.values()))
    if not common:
        held = "; ".join(f"{name} has {_settings_held(run.rows)}" for name, run in runs.items())
        raise ConfigError(f"the runs have no question and setting in common: {held}. Evaluate them with the same ones")
    _check_agreement(rows, common)
    kept = {name: [found[key] for key in sorted(common, key=_order)] for name, found in rows.items()}
    compared = tuple(
        ComparedRun(
            name=name,
            directory=directory,
            left_out=len(run.rows) - len(common),
            summary=summarise(settings[name], kept[name], malformed=run.malformed),
        )
        for (name, run), directory in zip(runs.items(), directories, strict=True)
    )
    first, *others = kept.values()
    tests = [test for number, other in enumerate(others, start=1) for test in _tests(number, first, other)]
    return Comparison(
        benchmark=next(iter(benchmarks.values())),
        common=len(common),
        differing=differing(list(settings.values())),
        runs=compared,
        tests=tuple(tests),
    )


def _tests(number: int, first: Sequence[ResultRow], other: Sequence[ResultRow]) -> list[RunTest]:
    pairs: dict[Cell, list[tuple[ResultRow, ResultRow]]] = defaultdict(list)
    for pair in zip(first, other, strict=True):
        pairs[pair[0].cell].append(pair)
    cells = sorted(pairs, key=cell_order)
    sets: list[tuple[Literal["resolution", "budget"] | None, list[Cell]]] = [(None, [cell]) for cell in cells]
    return [
        RunTest(run=number, cells=tuple(members), over=over, test=paired_test([pairs[cell] for cell in members]))
        for over, members in [*sets, *alike(cells)]
    ]


def _check_agreement(rows: Mapping[str, Mapping[tuple[str, Cell], ResultRow]], common: set[tuple[str, Cell]]) -> None:
    (name, first), *others = rows.items()
    for key in sorted(common, key=_order):
        for other_name, other in others:
            for field in ("text", "truth", "options"):
                here, there = getattr(first[key], field), getattr(other[key], field)
                if here != there:
                    raise ConfigError(
                        f"question {key[0]!r} is not the same in both runs: its {field} is {here!r} in {name} and "
                        f"{there!r} in {other_name}. Was the benchmark changed in between? Run one of them again"
                    )


def _order(key: tuple[str, Cell]) -> tuple[bool, int, float, float, str]:
    return (*cell_order(key[1]), key[0])


def _settings_held(rows: Sequence[ResultRow]) -> str:
    cells = sorted({row.cell for row in rows}, key=cell_order)
    shown = [" at first look ".join(setting(cell)) for cell in cells[:4]]
    return (", ".join(shown) + (", …" if len(cells) > 4 else "")) if shown else "no rows"


def _names(directories: Sequence[str | Path]) -> list[str]:
    short = [Path(path).resolve().name for path in directories]
    names = short if len(set(short)) == len(short) else [str(path) for path in directories]
    if len(set(names)) < len(names):
        raise ConfigError("a run cannot be compared with itself: name each directory once")
    return names
