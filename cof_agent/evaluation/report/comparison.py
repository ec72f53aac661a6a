"""Several runs of one benchmark, as a value that is JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from cof_agent.agent.record import Record
from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.statistics import PairedTest
from cof_agent.evaluation.summary import SCHEMA, Summary


class ComparedRun(Record):
    """One run, reduced to what can be compared."""

    name: str
    """The directory's name; the whole path where two have the same."""
    directory: str
    left_out: int
    """Its rows that some other run does not have, and those whose image could not be opened in one."""
    summary: Summary
    """Over the rows that all runs have."""


class RunTest(Record):
    """A run against the first."""

    run: int
    """Its position among the runs, from 1."""
    cells: tuple[Cell, ...]
    """One, or those that an average is over."""
    over: Literal["resolution", "budget"] | None
    """The axis of that average; None for a single cell."""
    test: PairedTest


class Comparison(Record):
    """What `cof-agent compare` shows, as a value that is JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    benchmark: str
    common: int
    """Rows (question and setting) that all runs have."""
    differing: dict[str, tuple[Any, ...]]
    """Settings that are not the same in all runs, with each run's value."""
    runs: tuple[ComparedRun, ...]
    tests: tuple[RunTest, ...]
