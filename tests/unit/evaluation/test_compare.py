"""Comparing runs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from cof_agent.errors import ConfigError
from cof_agent.evaluation.compare import compare_runs
from cof_agent.evaluation.report.comparison import Comparison
from cof_agent.evaluation.report.terminal import print_comparison
from tests.support.evaluation.rows import failed_row, lifelike_rows, row, write_run

pytestmark = pytest.mark.slow


def test_runs_are_compared_over_what_all_of_them_have(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [row(name, name in "ab") for name in "abcd"], mode="direct")
    second = write_run(tmp_path / "second", [row(name, name in "bc", zooms=1) for name in "zdcb"])
    third = write_run(tmp_path / "third", [row(name, True) for name in "abcd"] + [row("b", True, resolution=448)])
    found = compare_runs([first, second, third])
    assert found.common == 3
    assert [(run.name, run.left_out) for run in found.runs] == [("first", 1), ("second", 1), ("third", 2)]
    assert [run.summary.cells[0].accuracy.count for run in found.runs] == [1, 2, 3]
    assert found.differing == {"mode": ("direct", "adaptive", "adaptive")}
    against_second, against_third = found.tests
    assert (against_second.run, against_second.test.n) == (1, 3)
    assert (against_second.test.only_first, against_second.test.only_other) == (0, 1)
    assert against_second.test.accuracy.value == pytest.approx(1 / 3)
    assert against_second.test.zooms is not None
    assert against_second.test.zooms.value == 1
    assert (against_third.run, against_third.test.only_other, against_third.test.p) == (2, 2, 0.5)


def test_a_run_with_tampered_regions_is_compared_as_it_is_asked(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [row(name, True) for name in "abc"])
    rows = [row(name, region is None, region=region) for name in "abc" for region in (None, "blank")]
    both = [first, write_run(tmp_path / "other", rows, regions=("blank",))]
    found = compare_runs(both)
    assert (found.common, [run.left_out for run in found.runs], found.tests[0].test.both) == (3, [0, 3], 3)
    (test, tampered) = compare_runs([both[1], write_run(tmp_path / "again", rows, regions=("blank",))]).tests
    assert (test.cells[0].region, tampered.cells[0].region, tampered.test.neither) == (None, "blank", 3)


def test_a_comparison_is_json_and_has_a_report(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"run{skill}", lifelike_rows(skill, n=10)) for skill in (0, 1)]
    found = compare_runs(runs, tmp_path / "out")
    text = (tmp_path / "out" / "comparison.json").read_text(encoding="utf-8")
    assert Comparison.model_validate_json(text) == found
    assert (tmp_path / "out" / "plots" / "accuracy.png").exists()
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Against run0" in page
    means = [test for test in found.tests if test.over == "resolution"]
    assert [len(test.cells) for test in means] == [5, 5]  # plain and changed
    assert all(test.test.p is None for test in means)


def test_a_comparison_fits_100_columns(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / name, lifelike_rows(n=8, budgets=(112, 224), regions=("elsewhere",)), policy=name)
        for name in ("openai-Qwen2.5-VL-7B-Instruct-direct", "a name with [markup] in it")
    ]
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    found = compare_runs(runs)
    print_comparison(found, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 100
    assert "Side by side" in shown
    words = set(shown.replace("[", " ").split())
    assert {"percentage", "gained", "visual", "changed"} <= words  # no heading broken apart
    assert "[markup]" in shown


def test_a_picture_that_one_run_could_not_open_is_compared_in_none(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [row("a", True), row("b", True)])
    second = write_run(tmp_path / "second", [row("a", True), failed_row("b", source=None, usage=None)])
    found = compare_runs([first, second])
    assert (found.common, [run.left_out for run in found.runs]) == (1, [1, 1])
    assert found.tests[0].test.only_first == 0


def test_runs_that_cannot_be_compared_are_refused_by_name(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", [row("a", True), row("b", True)])
    for name, rows, told, words in [
        ("other", [row("a", True)], {"benchmark": "vstar:x"}, "first is of scenes:test, other is of vstar:x"),
        ("changed", [row("a", True, truth="C")], {}, "question 'a'.*truth is 'A' in first and 'C' in changed"),
        ("words", [row("a", True, text="Why?")], {}, "text"),
        ("apart", [row("a", True, resolution=448)], {}, "no question and setting in common.*apart has 448"),
        ("empty", [], {}, "empty has no rows"),
    ]:
        other = write_run(tmp_path / name, rows, **told)
        with pytest.raises(ConfigError, match=words):
            compare_runs([first, other])
    with pytest.raises(ConfigError, match="two runs"):
        compare_runs([first])
    with pytest.raises(ConfigError, match="itself"):
        compare_runs([first, first])
    with pytest.raises(ConfigError, match="nowhere"):
        compare_runs([first, tmp_path / "nowhere"])
