"""Reports for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cof_agent.evaluation.report.comparison import Comparison
from cof_agent.evaluation.report.comparison_tables import comparison_remarks, comparison_sheets
from cof_agent.evaluation.report.run_tables import headline, remarks, sheets
from cof_agent.evaluation.report.table import Table, describe
from cof_agent.evaluation.summary import Summary

if TYPE_CHECKING:
    from rich.console import Console


def print_summary(summary: Summary, console: Console, *, full: bool = False) -> None:
    """Draw a run's main tables, or all with `full`; readable from 100 columns on."""
    settings = dict(describe(summary.settings))
    names = [settings[name] for name in ("benchmark", "policy", "mode") if name in settings]
    _line(console, " · ".join(names), bold=True)
    _line(console, headline(summary))
    _print(console, sheets(summary, full=full), remarks(summary))


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Draw a comparison's tables."""
    names = " · ".join(run.name for run in comparison.runs)
    _line(console, f"{comparison.benchmark}: {names}", bold=True)
    _print(console, comparison_sheets(comparison), comparison_remarks(comparison))


def printable(text: str) -> str:
    """On one line, and without characters that would steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))


def _line(console: Console, text: str, *, bold: bool = False) -> None:
    console.print(printable(text), style="bold" if bold else None, markup=False, highlight=False, emoji=False)


def _print(console: Console, tables: Sequence[Table], lines: Sequence[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for sheet in tables:
        table = Table(
            title=Text(printable(sheet.title), style="bold"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 0),
            pad_edge=False,
            collapse_padding=True,
        )
        for position, name in enumerate(sheet.columns):
            words = position < sheet.words
            table.add_column(Text(printable(name)), justify="left" if words else "right", overflow="fold")
        for row in sheet.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)
        if sheet.note:
            console.print(Text(sheet.note, style="dim"), end="\n\n")
    for line in lines:
        _line(console, line)
