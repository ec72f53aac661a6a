"""`make bench` takes minutes, and no test runs it: its modules can at least be loaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("[a-z]*.py")))
def test_every_benchmark_can_begin(name: str) -> None:
    assert importlib.import_module(f"tests.benchmarks.{name}").__doc__
