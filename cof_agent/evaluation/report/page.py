"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from cof_agent.evaluation.report.comparison import Comparison
from cof_agent.evaluation.report.comparison_tables import comparison_remarks, comparison_sheets
from cof_agent.evaluation.report.run_tables import headline, remarks, sheets
from cof_agent.evaluation.report.table import Table, describe, setting
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.summary import Summary, excerpt

TEXT = 400
"""Characters of a question or an answer that are shown."""
PLOTS = {
    "accuracy.png": "Right answers",
    "accuracy_by_tokens.png": "Right answers against visual tokens",
    "zooms.png": "Zooms per question",
    "visual_tokens.png": "Visual tokens per question",
    "text_tokens.png": "Text tokens per question",
    "followed.png": "Answers that follow a changed picture",
}
"""In the order shown, with what a screen reader says."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c6370; --rule: #dfe2e6; --paper: #ffffff; --card: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa3af; --rule: #363b42; --paper: #16181b; --card: #202327; }
}
body { margin: 2rem auto; max-width: 68rem; padding: 0 1.25rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.45rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.08rem; margin: 2.2rem 0 .5rem; }
.lead { font-size: 1.15rem; margin: 0 0 1rem; }
.note, .remarks { color: var(--soft); font-size: .87rem; margin: .4rem 0 0; max-width: 60rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
.word { text-align: left; overflow-wrap: anywhere; }
td.figure { white-space: nowrap; }
tbody tr:hover { background: var(--card); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; font-size: .87rem; margin: 0;
  background: var(--card); border-radius: 8px; padding: .8rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
.plots img { width: 100%; border-radius: 8px; border: 1px solid var(--rule); background: #ffffff; }
"""


def run_page(summary: Summary, plots: Mapping[str, bytes], wrong: Sequence[ResultRow]) -> str:
    """The report of one run; `wrong` are the wrong answers to show."""
    settings = describe(summary.settings)
    known = dict(settings)
    title = " · ".join(known[name] for name in ("benchmark", "policy", "mode") if name in known) or "Evaluation"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="lead">{_text(headline(summary))}</p>',
        _remarks(remarks(summary)),
        _plots(plots),
        *map(_table, sheets(summary)),
        *([_table(_wrong(wrong))] if wrong else []),
        "<h2>Settings</h2>",
        _settings(settings),
    ]
    return _page(title, parts)


def comparison_page(comparison: Comparison, plots: Mapping[str, bytes]) -> str:
    """The report of a comparison."""
    title = comparison.benchmark
    names = " · ".join(run.name for run in comparison.runs)
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="lead">{_text(names)}</p>',
        _remarks(comparison_remarks(comparison)),
        _plots(plots),
        *map(_table, comparison_sheets(comparison)),
    ]
    for run in comparison.runs:
        parts += [f"<h2>Settings of {_text(run.name)}</h2>", _settings(describe(run.summary.settings))]
    return _page(title, parts)


def _page(title: str, parts: Iterable[str]) -> str:
    body = "\n".join(part for part in parts if part)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _remarks(lines: Sequence[str]) -> str:
    return "".join(f'<p class="remarks">{_text(line)}</p>' for line in lines)


def _plots(plots: Mapping[str, bytes]) -> str:
    images = [
        f'<img alt="{_text(says)}" src="data:image/png;base64,{base64.b64encode(plots[name]).decode()}">'
        for name, says in PLOTS.items()
        if name in plots
    ]
    return f'<h2>Plots</h2>\n<div class="plots">{"".join(images)}</div>' if images else ""


def _table(sheet: Table) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = ["word" if position < sheet.words else "figure" for position in range(len(row))]
        return "".join(f'<{tag} class="{kind}">{_text(cell)}</{tag}>' for kind, cell in zip(kinds, row, strict=True))

    head = f"<thead><tr>{cells('th', sheet.columns)}</tr></thead>"
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in sheet.rows)
    note = f'<p class="note">{_text(sheet.note)}</p>' if sheet.note else ""
    table = f"<table>{head}<tbody>{body}</tbody></table>"
    return f'<h2>{_text(sheet.title)}</h2>\n<div class="scroll">{table}</div>{note}'


def _wrong(rows: Sequence[ResultRow]) -> Table:
    cells = [
        (
            " / ".join(setting(row.cell)),
            row.question,
            row.text,
            row.truth,
            row.answer if row.answer is not None else f"({row.status.value}: {row.message or row.stop_reason.value})",
            row.rule.value,
        )
        for row in rows
    ]
    columns = ("source / first look", "id", "question", "truth", "answer", "rule")
    shown = tuple(tuple(excerpt(cell, TEXT) for cell in row) for row in cells)
    return Table("Some wrong answers", columns, shown, words=len(columns), note=f"{len(rows)} of them, drawn by lot.")


def _settings(settings: Sequence[tuple[str, str]]) -> str:
    parts = (f"<dt>{_text(name)}</dt><dd>{_text(excerpt(value, TEXT))}</dd>" for name, value in settings)
    return f"<dl>{''.join(parts)}</dl>"


def _text(text: str) -> str:
    """Foreign text that can be nothing but text: escaped, and without what HTML or UTF-8 cannot hold."""
    shown = "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
    return escape(shown, quote=True)
