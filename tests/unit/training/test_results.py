"""The results of `tiny`: the log is well-formed, and the page agrees with it and names nothing that is not there."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TRAINING = Path(__file__).parents[3] / "training"
PAGE = (TRAINING / "RESULTS.md").read_text(encoding="utf-8")
RANGES = {
    "n": (1, 2400), "right": (0, 100), "zooms": (0, 6), "visual_tokens": (1, 1000),
    "points": (-100, 100), "zooms_saved": (-6, 6),
}  # fmt: skip
"""Columns of one number each."""


def read() -> tuple[list[str], list[list[str]]]:
    with (TRAINING / "results" / "runs.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    return header, rows


def runs() -> list[dict[str, str]]:
    header, rows = read()
    return [dict(zip(header, row, strict=True)) for row in rows]


def links(page: str) -> Iterator[str]:
    """What pictures and links of a page in Markdown lead to, web addresses apart."""
    return (to for to in re.findall(r"\]\(([^)\s]+)\)", page) if "://" not in to)


def anchors(page: str) -> set[str]:
    """What links may name of a page, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_row_of_the_log_is_whole_and_has_a_name_of_its_own() -> None:
    header, rows = read()
    assert len(set(header)) == len(header)
    assert {len(row) for row in rows} == {len(header)}
    names = [row[header.index("run")] for row in rows]
    assert all(names)
    assert len(set(names)) == len(names)
    assert {row["kind"] for row in runs()} == {"training", "evaluation", "comparison"}


@pytest.mark.parametrize("column", RANGES)
def test_figures_are_numbers_in_range(column: str) -> None:
    low, high = RANGES[column]
    figures = {row["run"]: float(row[column]) for row in runs() if row[column]}
    assert figures
    assert not {run: figure for run, figure in figures.items() if not low <= figure <= high}


@pytest.mark.parametrize("column", ["right", "points", "zooms_saved"])
def test_intervals_hold_their_figure(column: str) -> None:
    for row in runs():
        if interval := row[f"{column}_95"]:
            low, high = map(float, interval.split(" to "))
            assert low <= float(row[column]) <= high, row["run"]


@pytest.mark.parametrize("column", ["steps", "minutes", "seed"])
def test_runs_beside_each_other_and_legs_are_told_apart(column: str) -> None:
    cells = {row["run"]: row[column] for row in runs() if row[column]}
    one = r"\d+(\+\d+)*"
    assert not {run: cell for run, cell in cells.items() if not re.fullmatch(rf"{one}(; {one})*|\d+ to \d+", cell)}


def test_what_was_seen_has_a_unit() -> None:
    cells = {row["run"]: row["seen"] for row in runs() if row["seen"]}
    told = re.compile(r"\d+(; \d+)* (views|conversations|rollouts)")
    assert not {run: cell for run, cell in cells.items() if not told.fullmatch(cell)}


def test_comparisons_name_both_sides() -> None:
    for row in runs():
        assert (row["kind"] == "comparison") == bool(row["against"]), row["run"]
        assert row["weights"] or row["kind"] == "training", row["run"]


def test_the_page_and_the_log_tell_the_same() -> None:
    log = {row["run"]: row for row in runs()}
    table = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE.split("## By resolution")[1].split("##")[0], re.MULTILINE)
    assert len(table) == 8
    for side, cells in table:
        who = [log[f"{name}: test, {side}"] for name in ("shipped", "shipped, direct", "observer", "observer, direct")]
        told = [row["right"] for row in who] + [who[0]["zooms"], who[2]["zooms"]]
        told += [row["visual_tokens"] for row in who[:3]]
        assert cells.split(" | ") == told


def test_pictures_and_links_of_the_page_lead_somewhere() -> None:
    assert len(re.findall(r"!\[", PAGE)) == 3
    for to in links(PAGE):
        path, _, anchor = to.partition("#")
        target = TRAINING / path if path else TRAINING / "RESULTS.md"
        assert target.exists(), to
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), to


def test_what_the_guide_names_of_the_page_is_there() -> None:
    guide = (TRAINING / "README.md").read_text(encoding="utf-8")
    named = [to.partition("#")[2] for to in links(guide) if to.startswith("RESULTS.md#")]
    assert named
    assert set(named) <= anchors(PAGE)


def test_there_are_five_conclusions() -> None:
    section = PAGE.split("## Five conclusions")[1].split("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == list("12345")
