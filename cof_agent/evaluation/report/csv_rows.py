"""Rows of a run for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.sizes import told

COLUMNS = (
    "key", "number", "question", "category", "resolution", "first_look", "changed", "region", "text", "options",
    "truth", "answer", "correct", "rule", "status", "stop_reason", "message", "evidence", "zooms", "visual_tokens",
    "policy_calls", "prompt_tokens", "completion_tokens", "seconds", "trajectory",
)  # fmt: skip

_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d)")
"""How a cell begins that a spreadsheet would compute: some formulas send what is in the sheet to somebody."""


def as_csv(rows: Iterable[ResultRow]) -> str:
    """A line for each row below one of column names; lists are joined by `; `, what is not known is empty.

    A text that a spreadsheet would take for a formula begins with an apostrophe, as people write such a text there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _values(row)] for row in rows)
    return text.getvalue()


def _values(row: ResultRow) -> Iterable[object]:
    cell, usage = row.cell, row.usage
    yield from (row.key, row.number, row.question, row.category, told(cell.resolution), told(cell.budget))
    yield from (cell.counterfactual, cell.region, row.text, "; ".join(row.options), row.truth, row.answer)
    yield from (row.correct, row.rule, row.status, row.stop_reason, row.message)
    images = [f"image {number}: " for number in row.evidence_images] or [""] * len(row.evidence)
    yield "; ".join(image + " ".join(map(str, box)) for image, box in zip(images, row.evidence, strict=True))
    yield len(row.zooms)
    names = ("visual_tokens", "policy_calls", "prompt_tokens", "completion_tokens", "seconds")
    yield from (getattr(usage, name) if usage else None for name in names)
    yield row.trajectory


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text
