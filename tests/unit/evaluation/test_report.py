"""Reports: what stands on disk, on the screen and on the page."""

from __future__ import annotations

import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.evaluation.report.files import some_wrong, write_report
from cof_agent.evaluation.report.page import PLOTS, run_page
from cof_agent.evaluation.report.plots import Curve, Point, line_plot, plots_of
from cof_agent.evaluation.report.run_tables import headline, remarks, sheets
from cof_agent.evaluation.report.terminal import print_summary
from cof_agent.evaluation.row import Rule
from cof_agent.evaluation.summary import Summary
from cof_agent.evaluation.tally import summarise
from cof_agent.loop.state import Status
from tests.support.evaluation.rows import failed_row, lifelike_rows, row, settings, write_run

pytestmark = pytest.mark.slow

VICIOUS = "<script>alert('x')</script> \"&\" | `x` [bold]b[/bold] $\\frac{1}{0}$ \x1b[31m\u202e漢字\ud800 _hidden\n\n# x](http://e.x)"
"""What a policy, a benchmark or a file's name may hold."""


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether tags are closed in order."""

    EMPTY = frozenset({"meta", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def drawn(summary: Summary, width: int = 100, *, full: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    print_summary(summary, console, full=full)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_report_is_whole_and_can_be_made_again(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", lifelike_rows(n=12), counterfactual=True)
    summary = write_report(directory)
    assert Summary.model_validate_json((directory / "summary.json").read_text(encoding="utf-8")) == summary
    assert json.loads((directory / "summary.json").read_text(encoding="utf-8"))["schema"] == 1
    plots = {path.name: path.read_bytes() for path in (directory / "plots").iterdir()}
    assert set(plots) == {
        "accuracy.png", "accuracy_by_tokens.png", "zooms.png", "visual_tokens.png", "text_tokens.png", "followed.png",
    }  # fmt: skip
    page = (directory / "report.html").read_bytes()
    (directory / "plots" / "of_before.png").write_bytes(b"")
    write_report(directory)
    assert {path.name: path.read_bytes() for path in (directory / "plots").iterdir()} == plots
    assert (directory / "report.html").read_bytes() == page
    assert not list(directory.rglob("*.part"))


def test_the_page_needs_nothing_from_elsewhere() -> None:
    summary = summarise({}, [row("q", True), row("r", False)])
    page = run_page(summary, plots_of({"": summary}), some_wrong([row("r", False)]))
    tags = read(page)
    names = {tag for tag, _ in tags.found}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
    for _, attributes in tags.found:
        assert not set(attributes) & {"href", "srcset", "onclick", "onerror", "style"}
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "prefers-color-scheme: dark" in style[1]


def test_tampered_regions_are_no_lines_of_a_plot_and_no_wrong_answers_to_show() -> None:
    rows = [*lifelike_rows(n=6, regions=("blank",)), row("b", False, region="blank", resolution=224)]
    without = [found for found in rows if found.cell.region is None]
    assert plots_of({"": summarise({}, rows)}) == plots_of({"": summarise({}, without)})
    assert some_wrong(rows) == some_wrong(without)
    text = read(run_page(summarise({}, rows), {}, [])).text
    assert "Tampered regions: how far accuracy falls" in text
    assert "Tampered regions, by what the question needs" in text


def test_foreign_text_stays_text_on_the_page(tmp_path: Path) -> None:
    rows = [row(f"q {VICIOUS}", False, text=VICIOUS, answer=VICIOUS, truth=VICIOUS, category=VICIOUS), row("r", True)]
    rows += [failed_row("f", VICIOUS)]
    told = settings(benchmark=f"jsonl:{VICIOUS}").to_json()
    page = run_page(summarise(told, rows), {}, some_wrong(rows))
    page.encode("utf-8")
    tags = read(page)
    assert not {tag for tag, _ in tags.found} & {"script", "a", "img"}
    assert "<script>alert('x')</script>" in tags.text
    assert "\x1b" not in page
    assert "\u202e" not in page
    plain = read(run_page(summarise(settings().to_json(), [row("r", True)]), {}, []))
    assert {tag for tag, _ in tags.found} == {tag for tag, _ in plain.found}


def test_the_page_shows_what_was_wrong_and_how_often_it_failed() -> None:
    rows = [row("w", False, text="How many legs?", truth="A", answer="B"), failed_row("f"), row("r", True)]
    summary = summarise(settings().to_json(), rows, malformed=4, skipped={"3840": 7})
    text = read(run_page(summary, {}, some_wrong(rows))).text
    for shown in (
        "How many legs?",
        "unmatched",
        "the server is gone",
        "not be asked: 4.",
        "7 at 3840",
        "1 of 3 failed",
    ):
        assert shown in text, shown


def test_the_tables_fit_100_columns_and_show_foreign_text_as_text() -> None:
    tampered = ("blank", "elsewhere", "overview")
    rows = [
        *lifelike_rows(budgets=(112, 224), n=8, regions=tampered),
        row("v", False, category=VICIOUS),
        failed_row("f", VICIOUS),
    ]
    shown = drawn(summarise(settings(policy=VICIOUS.replace("\ud800", "")).to_json(), rows), full=True)
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown  # nothing cut off
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert "[bold]b[/bold]" in " ".join(shown.split())
    for title in (
        "Accuracy and cost", "By what the question needs", "Changed pictures", "Tampered regions", "Endings", "Failures"
    ):  # fmt: skip
        assert title in shown


def test_a_terminal_shows_the_main_tables_and_what_went_wrong_unless_all_are_asked_for() -> None:
    rows = [*lifelike_rows(n=8, regions=("blank",)), failed_row("f", resolution=224)]
    rows += [row("d", False, resolution=224, answer=None, status=Status.DECLINED, rule=Rule.UNANSWERED)]
    summary = summarise(settings().to_json(), rows)
    short = drawn(summary)
    for title in ("Accuracy and cost", "By category", "Changed pictures", "Tampered regions: how far", "Failures"):
        assert title in short
    for title in ("Tampered regions, by what", "By what the question needs", "Endings", "Rules", "Evidence"):
        assert title not in short
        assert title in drawn(summary, full=True)
    said = " ".join(short.split())
    assert "Without an answer, which counts as wrong: 1 declined." in said
    wrong = sum(found.rule is Rule.UNMATCHED for found in rows)
    assert f"Answers that no rule could match, which count as wrong: {wrong}. A judge could tell." in said
    assert "no rule could" not in drawn(summarise(settings(judge="openai:m").to_json(), rows))


def test_no_judge_is_recommended_where_all_right_answers_are_known() -> None:
    scene = row("s", False, answer="?", reachable=True, ideal_zooms=0)
    (said,) = remarks(summarise(settings().to_json(), [scene]))
    assert said == "Answers that no rule could match, which count as wrong: 1."
    (said,) = remarks(summarise(settings().to_json(), [scene, row("p", False)]))
    assert said == "Answers that no rule could match, which count as wrong: 2. A judge could tell."


def test_pictures_that_could_not_be_opened_are_told_and_are_no_wrong_answers() -> None:
    rows = [row("a", True), failed_row("b", "mine.jsonl line 2: not an image", source=None, usage=None)]
    summary = summarise(settings().to_json(), rows)
    assert headline(summary).startswith("100.0")
    shown = " ".join(drawn(summary).split())
    assert "Pictures that could not be opened, whose questions are in no figure: 1." in shown
    assert "mine.jsonl line 2: not an image" in shown
    assert "count as wrong" not in shown
    assert some_wrong(rows) == []


def test_every_category_has_its_interval_at_every_setting_in_the_full_tables() -> None:
    rows = [
        row(f"{name}{number}", number < right, category=name, resolution=side, budget=budget)
        for name, right in (("x", 3), ("y", 1))
        for number in range(4)
        for side in (224, 448)
        for budget in (112, None)
    ]
    summary = summarise(settings().to_json(), rows)
    (sheet,) = (found for found in sheets(summary) if found.title.startswith("By category"))
    assert sheet.columns == ("source", "first look", "category", "n", "right %")
    assert sheet.rows[:2] == (
        ("224", "112", "x", "4", "75.0 [30.1, 95.4]"), ("224", "112", "y", "4", "25.0 [4.6, 69.9]")
    )  # fmt: skip
    assert len(sheet.rows) == 8
    assert "75.0 [30.1, 95.4]" in read(run_page(summary, {}, [])).text
    assert not any(found.title.startswith("By category") for found in sheets(summary, full=False))
    (short,) = (
        found
        for found in sheets(summarise({}, [one for one in rows if one.cell.budget]), full=False)
        if found.title.startswith("By category")
    )
    assert (short.columns, short.rows[0]) == (("category", "n", "224", "448"), ("x", "4", "75.0", "75.0"))


def test_costs_are_told_per_question_wherever_they_are_told() -> None:
    assert not any("per answer" in words for words in PLOTS.values())
    page = read(run_page(summarise(settings().to_json(), lifelike_rows(n=4)), dict.fromkeys(PLOTS, b""), [])).text
    assert "costs are means per question that did not fail" in page


def test_the_share_of_evidence_says_of_how_many_answers_it_is_taken() -> None:
    rows = [row("a", True, contains_truth=True, iou=0.5), row("b", True, contains_truth=False, iou=0.1)]
    (sheet,) = (sheet for sheet in sheets(summarise({}, [*rows, row("c", True)])) if sheet.title == "Evidence")
    assert sheet.columns == ("source", "answers", "with evidence", "holds the truth %", "IoU")
    assert sheet.rows == (("native", "3", "2", "50.0 [9.5, 90.5]", "0.30"),)


def test_the_headline_says_of_which_first_look_it_is() -> None:
    rows = [row("q", True, resolution=side, budget=budget) for side in (224, 448) for budget in (112, 168)]
    assert headline(summarise({}, rows)).endswith("2 resolutions from 224 to 448, first look 112")
    assert headline(summarise({}, rows[::2])).endswith("2 resolutions from 224 to 448")


def test_plots_are_pictures_of_every_axis_there_may_be() -> None:
    rows = [row("q", True, resolution=side, budget=budget) for side in (224, None) for budget in (112, None)]
    both = plots_of({"": summarise({}, rows)})
    native = plots_of({"a": summarise({}, [row("q", True)]), "b": summarise({}, [row("q", False)])})
    budgets = plots_of({"": summarise({}, [row("q", True, resolution=448, budget=side) for side in (112, 224)])})
    failed = plots_of({"": summarise({}, [failed_row("q", usage=None)])})
    for plots in (both, native, budgets, failed):
        assert "accuracy.png" in plots
        for data in plots.values():
            image = Image.open(io.BytesIO(data))
            assert image.format == "PNG"
            assert image.width > 900
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20
    assert "zooms.png" not in failed
    assert plots_of({"": summarise({}, [])}) == {}


def test_names_are_drawn_as_they_are_whatever_they_hold() -> None:
    points = (Point(224, 40.0, 30.0, 50.0), Point(448, 60.0, 50.0, 70.0))
    lines = [Curve(VICIOUS, points), Curve("_hidden", points), Curve("", points), Curve("$", points)]
    assert line_plot(lines, "Right answers (%)", "resolution", top=100, chance=0.25).startswith(b"\x89PNG")


def test_a_run_without_rows_has_a_report(tmp_path: Path) -> None:
    summary = write_report(write_run(tmp_path, []))
    assert summary.rows == 0
    assert "Nothing was asked." in read((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Nothing was asked." in drawn(summary)


def test_a_directory_that_holds_no_run_or_takes_no_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        write_report(tmp_path / "nowhere")
    directory = write_run(tmp_path / "run", [row("a", True)])
    (directory / "plots").write_text("in the way")
    with pytest.raises(ConfigError, match="plots"):
        write_report(directory)


def test_without_matplotlib_the_figures_are_kept_and_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    directory = write_run(tmp_path, [row("a", True)])
    with pytest.raises(MissingExtraError, match=r'pip install "cof-agent\[eval\]"'):
        write_report(directory)
    assert json.loads((directory / "summary.json").read_text(encoding="utf-8"))["rows"] == 1
