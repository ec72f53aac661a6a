"""Benchmarks, runs that resume, and reports. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.evaluation.evaluating import aevaluate as aevaluate
    from cof_agent.evaluation.evaluating import evaluate as evaluate
    from cof_agent.evaluation.progress import RunProgress as RunProgress
    from cof_agent.evaluation.question import Benchmark as Benchmark
    from cof_agent.evaluation.question import BenchmarkQuestion as BenchmarkQuestion
    from cof_agent.evaluation.question import MalformedRow as MalformedRow
    from cof_agent.evaluation.question import Role as Role
    from cof_agent.evaluation.results import Run as Run
    from cof_agent.evaluation.results import read_run as read_run
    from cof_agent.evaluation.row import Cell as Cell
    from cof_agent.evaluation.row import ResultRow as ResultRow
    from cof_agent.evaluation.settings import RunSettings as RunSettings
else:
    __getattr__, __dir__ = lazy_names(__name__)
