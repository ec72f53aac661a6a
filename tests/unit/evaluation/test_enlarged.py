"""A run may begin later in its benchmark, go on with more questions, and is a table for a spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof_agent import FocusConfig, Profile
from cof_agent.errors import ConfigError
from cof_agent.evaluation import read_run
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.evaluation.report.csv_rows import COLUMNS, as_csv
from cof_agent.evaluation.settings import Mode, limits_of, with_budget
from cof_agent.images.geometry import SizeRule
from cof_agent.loop.state import StopReason
from tests.support.conversations import answer, scripted, zoom
from tests.support.made_questions import Made, question, questions

pytestmark = pytest.mark.slow

ASKED: Any = {"resolutions": (56,), "report": False}


def numbers(directory: Path) -> list[int]:
    return [row.number for row in read_run(directory).rows]


def test_a_run_goes_on_with_a_larger_limit_and_asks_nothing_twice(tmp_path: Path) -> None:
    made, policy = Made(list(questions(6))), scripted(answer("42"))
    evaluate(made, policy, out=tmp_path, limit=2, **ASKED)
    before = (tmp_path / "results.jsonl").read_bytes()
    assert evaluate(made, policy, out=tmp_path, limit=4, **ASKED).questions == 4
    assert (tmp_path / "results.jsonl").read_bytes().startswith(before)
    assert json.loads((tmp_path / "run.json").read_text())["limit"] == 4
    with pytest.raises(ConfigError, match="limit was 4 and is now 3"):
        evaluate(made, policy, out=tmp_path, limit=3, **ASKED)
    assert evaluate(made, policy, out=tmp_path, **ASKED).questions == 6
    with pytest.raises(ConfigError, match="limit was null and is now 6"):
        evaluate(made, policy, out=tmp_path, limit=6, **ASKED)
    with pytest.raises(ConfigError, match='mode was "adaptive" and is now "direct"'):
        evaluate(made, policy, out=tmp_path, mode="direct", **ASKED)
    assert numbers(tmp_path) == list(range(6))


def test_a_run_may_begin_later(tmp_path: Path) -> None:
    made, policy = Made(list(questions(6))), scripted(answer("42"))
    evaluate(made, policy, out=tmp_path / "part", start=2, limit=3, **ASKED)
    assert numbers(tmp_path / "part") == [2, 3, 4]
    evaluate(made, policy, out=tmp_path / "part", start=2, limit=9, **ASKED)
    assert numbers(tmp_path / "part") == [2, 3, 4, 5]
    with pytest.raises(ConfigError, match="start was 2 and is now 0"):
        evaluate(made, policy, out=tmp_path / "part", limit=9, **ASKED)
    with pytest.raises(ConfigError, match="no question that can be asked after the first 6"):
        evaluate(made, policy, out=tmp_path / "none", start=6, **ASKED)
    evaluate("scenes", "observer", out=tmp_path / "scenes", start=4, limit=2, resolutions=(224,), report=False)
    assert numbers(tmp_path / "scenes") == [4, 5]


def test_a_run_of_an_earlier_version_had_no_start(tmp_path: Path) -> None:
    made, policy = Made(list(questions(2))), scripted(answer("42"))
    evaluate(made, policy, out=tmp_path, **ASKED)
    stored = json.loads((tmp_path / "run.json").read_text())
    del stored["start"]
    (tmp_path / "run.json").write_text(json.dumps(stored))
    assert evaluate(made, policy, out=tmp_path, **ASKED).questions == 2


def test_the_table_has_a_line_for_each_row_and_no_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.plots_of", lambda runs: {})
    texts = ["=HYPERLINK(1)", "@SUM(1)", "+cmd|x", "-x", "-18.5 °C", 'a "b", c\nd', "\tx"]
    asked = [question(number, text=text, answer="42") for number, text in enumerate(texts)]
    evaluate(Made(asked), scripted(zoom(4, 4, 30, 30), answer("=1+1")), out=tmp_path, resolutions=(56,))
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    guarded = ["'=HYPERLINK(1)", "'@SUM(1)", "'+cmd|x", "'-x", "-18.5 °C", 'a "b", c\nd', "'\tx"]
    assert [row["text"] for row in rows] == guarded
    assert {(row["answer"], row["correct"], row["zooms"], row["resolution"]) for row in rows} == {
        ("'=1+1", "False", "1", "56")
    }
    assert [row["key"] for row in rows] == [row.key for row in read_run(tmp_path).rows]
    assert as_csv([]).count("\n") == 1


RELEASE = SizeRule(max_pixels=3840**2)
"""Of the published evaluations."""


@pytest.mark.parametrize("profile", [Profile(overview=RELEASE, regions=RELEASE), Profile()], ids=["release", "ours"])
def test_there_is_room_for_all_zooms_at_the_sizes_of_the_release(profile: Profile) -> None:
    budgets = (None, 3840)
    limits = limits_of(Mode.ADAPTIVE, FocusConfig(), profile, budgets)
    most = [with_budget(profile, side).overview.max_pixels // 28**2 for side in budgets]
    assert limits.max_visual_tokens == max(16384, max(most) + 6 * (profile.regions.max_pixels // 28**2))
    typed = FocusConfig(max_visual_tokens=16384)
    assert limits_of(Mode.ADAPTIVE, typed, profile, budgets) == typed, "what is named stays"
    assert limits_of(Mode.ADAPTIVE, FocusConfig(), Profile()).max_visual_tokens == 16384


def test_a_picture_of_the_size_of_the_release_is_zoomed_on(tmp_path: Path) -> None:
    Image.new("RGB", (3840, 2160), "white").save(tmp_path / "large.png")
    made = Made([question(0, image=str(tmp_path / "large.png"))])
    policy = scripted(
        zoom(100, 100, 1900, 1100),
        zoom(0, 0, 3000, 2000),
        answer("42"),
        profile=Profile(overview=RELEASE, regions=RELEASE),
    )
    evaluate(made, policy, out=tmp_path / "run", resolutions=("native",), report=False)
    (row,) = read_run(tmp_path / "run").rows
    assert row.usage
    assert (row.stop_reason, row.usage.zooms, row.correct) == (StopReason.ANSWERED, 2, True)
    assert row.usage.visual_tokens > 10_549 + 16_384
