"""Benchmarks, runs that resume, and reports. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.evaluation.evaluating import aevaluate, evaluate
    from cof_agent.evaluation.progress import RunProgress
    from cof_agent.evaluation.question import Benchmark, BenchmarkQuestion, MalformedRow, Role
    from cof_agent.evaluation.results import Run, read_run
    from cof_agent.evaluation.row import Cell, ResultRow
    from cof_agent.evaluation.settings import RunSettings

_HOMES = {
    "evaluating": ("aevaluate", "evaluate"),
    "progress": ("RunProgress",),
    "question": ("Benchmark", "BenchmarkQuestion", "MalformedRow", "Role"),
    "results": ("Run", "read_run"),
    "row": ("Cell", "ResultRow"),
    "settings": ("RunSettings",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Benchmark",
    "BenchmarkQuestion",
    "Cell",
    "MalformedRow",
    "ResultRow",
    "Role",
    "Run",
    "RunProgress",
    "RunSettings",
    "aevaluate",
    "evaluate",
    "read_run",
]


__getattr__ = lazy_names(__name__, _HOME)
