"""A table of plain text cells, before it is drawn for a terminal, Markdown or HTML, and how values read in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.sizes import NATIVE, told
from cof_agent.evaluation.statistics import Share
from cof_agent.evaluation.summary import Average

NONE = "–"
OWN = "own"
SETTING = ("source", "first look")
"""The columns of a setting."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 0
    """So many columns from the left hold words; the others hold figures, which stand at the right."""
    note: str = ""

    @classmethod
    def of(cls, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], words: int, note: str = "") -> Table:
        """Leaves out columns in which no row has anything to say."""
        cells = [tuple(row) for row in rows]
        kept = [n for n in range(len(columns)) if any(row[n] not in (NONE, OWN) for row in cells)]
        return cls(
            title,
            tuple(columns[n] for n in kept),
            tuple(tuple(row[n] for n in kept) for row in cells),
            sum(n < words for n in kept),
            note,
        )


def number(value: float | None, digits: int = 0) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """A share as a percentage, one decimal, without the sign."""
    return NONE if value is None else f"{100 * value:.1f}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    return NONE if value is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def share(value: Share) -> str:
    return with_interval(value.value, value.low, value.high)


def budget_name(budget: int | None) -> str:
    return OWN if budget is None else str(budget)


def asked(what: Cell | Average) -> str:
    """In a word, after a space, how a question was asked if not as it is: its picture changed, or its regions."""
    return " changed" if what.counterfactual else f" {what.region}" if what.region else ""


def setting(cell: Cell) -> tuple[str, str]:
    """The first two columns of most tables: the picture's long side, and the side of the overview's budget."""
    return told(cell.resolution) + asked(cell), budget_name(cell.budget)


def averaged(average: Average) -> tuple[str, str]:
    if average.over == "resolution":
        return "mean" + asked(average), budget_name(average.held)
    return told(average.held) + asked(average), "mean"


def describe(settings: dict[str, object]) -> list[tuple[str, str]]:
    """Settings as names and values, without what is not set, and with the profile by its digest alone."""
    left_out = ("schema", "profile")
    known = {name: value for name, value in settings.items() if name not in left_out}
    return [(name, show(value)) for name, value in known.items() if value not in (None, False, [], {}, "")]


def show(value: object) -> str:
    """A setting's value in a few words."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {show(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(NATIVE if item is None else show(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NONE if value is None else str(value)
