"""How far a run is, on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cof_agent.evaluation.row import ResultRow

_LINE_SECONDS = 30.0
"""Between two lines where there is no terminal for a bar."""


class RunProgress:
    """A bar in a terminal, or a line now and then elsewhere: what is done, how it goes, how long it will take.

    It may tell of several runs, one after the other, each of which goes on with the one before.
    """

    def __init__(self, console: Console | None = None, line_seconds: float = _LINE_SECONDS) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._line_seconds = line_seconds
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bar_task = self._bar.add_task("asking", total=None, figures="")
        self.directory: Path | None = None
        """Where the results go, as soon as it is known."""
        self._total: int | None = None
        self._done = self._plain = self._correct = self._zooms = self._here = self._skipped = self._runs = 0
        self._began = self._told = time.monotonic()

    def begin(self, total: int | None, rows: Iterable[ResultRow]) -> None:
        """`total` tasks at most, of which `rows` are there from before."""
        self._total = total
        self._done = self._plain = self._correct = self._zooms = self._here = self._skipped = 0
        self._runs += 1
        for row in rows:
            self._count(row)
        self._began = self._told = time.monotonic()
        if self._done and self._runs == 1 and not self._console.is_terminal:
            self._console.print(f"going on after {self._done} results", markup=False)
        self._show()

    def expect(self, total: int) -> None:
        """It is known by now how many tasks there are."""
        self._total = total - self._skipped
        self._show()

    def add(self, row: ResultRow) -> None:
        """One more result."""
        self._count(row)
        self._here += 1
        self._show()

    def skip(self) -> None:
        """One task less."""
        self._skipped += 1
        if self._total is not None:
            self._total -= 1
        self._show()

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._console.is_terminal and self._here:
            self._console.print(self._line(), markup=False, soft_wrap=True)

    def _count(self, row: ResultRow) -> None:
        self._done += 1
        if row.cell.plain and row.source:
            self._plain += 1
            self._correct += row.correct
            self._zooms += len(row.zooms)

    def _show(self) -> None:
        if self._console.is_terminal:
            self._bar.update(self._bar_task, total=self._total, completed=self._done, figures=self._figures())
        elif self._here and time.monotonic() - self._told >= self._line_seconds:
            self._told = time.monotonic()
            self._console.print(self._line(), markup=False, soft_wrap=True)

    def _figures(self) -> str:
        """Of the questions asked as they are."""
        if not self._plain:
            return ""
        return f"accuracy {self._correct / self._plain:.1%}, {self._zooms / self._plain:.2f} zooms a question"

    def _line(self) -> str:
        of = f" of {self._total}" if self._total is not None else ""
        left = ""
        if self._total is not None and self._here and self._total > self._done:
            seconds = (time.monotonic() - self._began) / self._here * (self._total - self._done)
            left = f", about {round(seconds)} s left"
        return f"{self._done}{of} done{f': {self._figures()}' if self._plain else ''}{left}"
