"""`cof-agent eval` and `compare` as a shell sees them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.cli.evaluate import evaluate_command
from cof_agent.evaluation import read_run
from cof_agent.evaluation.evaluating import aevaluate
from cof_agent.evaluation.sizes import DEFAULT_RESOLUTIONS, numbers
from tests.support.commands import script
from tests.support.conversations import answer, photo, zoom

pytestmark = pytest.mark.slow


def run(*words: Any):
    return CliRunner().invoke(app, ["eval", *map(str, words)], env={"COLUMNS": "160"})


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Three questions of one's own about a photo; one row more cannot be asked."""
    photo(224, 168).save(tmp_path / "photo.png")
    rows = [{"image": "photo.png", "question": f"Question {number}?", "answer": "42"} for number in range(3)]
    lines = [json.dumps(row) for row in [*rows, {"image": "photo.png"}]]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    return tmp_path / "asked.jsonl"


def test_a_run_prints_its_figures_and_leaves_a_report(asked: Path, tmp_path: Path) -> None:
    policy, out = script(tmp_path, zoom(10, 10, 60, 60), answer("42")), tmp_path / "run"
    done = run(f"jsonl:{asked}", "--policy", policy, "--resolutions", "112,native,448", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "100.0" in done.stdout
    assert f"the results and the report are in {out}" in done.stderr
    assert "one is asked.jsonl line 4: `question` is missing" in done.stderr
    assert "Not asked because the picture is smaller: 3 at 448." in done.stdout
    assert "Endings" not in done.stdout
    assert (out / "report.html").exists()
    found = read_run(out)
    assert [len(row.zooms) for row in found.rows] == [1] * 6
    assert (found.malformed, found.skipped) == (1, {448: 3})

    whole = run(f"jsonl:{asked}", "--policy", policy, "--resolutions", "112,native,448", "--out", out, "--full")
    assert "Endings" in whole.stdout
    again = run(f"jsonl:{asked}", "--policy", policy, "--resolutions", "112,native,448", "--out", out, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["rows"] == 6
    assert read_run(out).rows == found.rows

    other = run(f"jsonl:{asked}", "--policy", policy, "--resolutions", "112", "--out", out, "--mode", "direct")
    assert other.exit_code == 2
    assert 'mode was "adaptive" and is now "direct"' in other.stderr
    assert "resolutions was [112, null, 448] and is now [112]" in other.stderr


def test_two_runs_are_compared(asked: Path, tmp_path: Path) -> None:
    for name, said in (("good", "42"), ("bad", "41")):
        done = run(
            f"jsonl:{asked}",
            "--policy",
            script(tmp_path, answer(said)),
            "--resolutions",
            "112",
            "--out",
            tmp_path / name,
        )
        assert done.exit_code == 0, done.stderr
    compared = CliRunner().invoke(app, ["compare", str(tmp_path / "good"), str(tmp_path / "bad"), "--json"])
    assert compared.exit_code == 0, compared.stderr
    assert json.loads(compared.stdout)["common"] == 3
    shown = CliRunner().invoke(app, ["compare", str(tmp_path / "good"), str(tmp_path / "bad")])
    assert "good" in shown.stdout
    assert "bad" in shown.stdout
    nothing = CliRunner().invoke(app, ["compare", str(tmp_path), str(tmp_path / "bad")])
    assert (nothing.exit_code, "holds no run" in nothing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nonsense", "--policy", "observer"), "no benchmark is named 'nonsense'"),
        (("scenes", "--policy", "nonsense"), "no policy is named 'nonsense'"),
        (("scenes", "--policy", "observer", "--mode", "lazy"), "mode is one of adaptive, direct, proactive"),
        (("scenes", "--policy", "observer", "--region", "black"), "region is one of blank, elsewhere, overview"),
        (("scenes", "--policy", "observer", "--resolutions", "big"), "--resolutions takes whole numbers and native"),
        (("scenes", "--policy", "observer", "--resolutions", "native"), "no size of their own"),
        (("scenes", "--policy", "observer", "--resolutions", "448,4000"), "at most 3840 pixels, not 4000"),
        (("scenes", "--policy", "observer", "--mode", "direct", "--max-zooms", "2"), "--max-zooms 2 says nothing"),
        (("scenes", "--policy", "observer", "--dialect", "native"), "observer takes a --profile, but no --dialect"),
        (("scenes", "--policy", "observer", "--concurrency", "0"), "concurrency"),
        (("scenes",), "--policy"),
    ],
)
def test_mistakes_are_told_on_one_line_before_anything_is_written(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COF_POLICY", raising=False)
    done = run(*words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_which_everything_fails_says_so(asked: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"no photo")
    done = run(
        f"jsonl:{asked}",
        "--policy",
        script(tmp_path, answer("42")),
        "--resolutions",
        "native",
        "--out",
        tmp_path / "run",
    )
    assert done.exit_code == 1
    assert "all 3 questions failed, most often so:" in done.stderr
    assert "failed questions: 3." in done.stderr


def test_a_picture_that_cannot_be_opened_is_named_by_file_and_line_and_is_no_mistake(
    asked: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(b"no photo")
    with asked.open("a") as file:
        file.write("\n" + json.dumps({"image": "torn.png", "question": "?", "answer": "42", "id": "torn"}))
    words = [f"jsonl:{asked}", "--policy", script(tmp_path, answer("42")), "--resolutions", "native"]
    done = run(*words, "--out", tmp_path / "run")
    assert done.exit_code == 0
    assert "100.0" in done.stdout
    assert "pictures that could not be opened, in no figure: 1. One is asked.jsonl line 5: " in done.stderr
    assert "whose questions are in no figure: 1." in " ".join(done.stdout.split())
    assert read_run(tmp_path / "run").rows[-1].message.startswith("asked.jsonl line 5: ")  # type: ignore[union-attr]


def test_commands_that_differ_do_not_meet_in_one_directory(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"jsonl:{asked}", "--policy", script(tmp_path, answer("42"))]
    for more in ((), ("--overview-budgets", "56"), ("--limit", "1"), ("--resolutions", "56"), ("--max-zooms", "1")):
        done = run(*words, *more)
        assert done.exit_code == 0, done.stderr
    made = sorted(path.parent.name for path in tmp_path.glob("*/run.json"))
    assert len(made) == 5
    assert [name.partition("-adaptive")[2] for name in made] == [
        "", "-at-56", "-first-1", "-look-56", "-max-zooms-1"
    ]  # fmt: skip
    assert f"the results and the report are in {made[-1]}" in done.stderr


def test_one_run_tells_how_far_accuracy_falls_with_tampered_regions(asked: Path, tmp_path: Path) -> None:
    policy = script(tmp_path, zoom(10, 10, 60, 60), answer("42"))
    words = [f"jsonl:{asked}", "--policy", policy, "--resolutions", "native", "--out", tmp_path / "run"]
    words += ["--region", "blank", "--region", "elsewhere, overview"]
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    assert "Tampered regions: how far accuracy falls" in done.stdout
    assert " ".join(done.stdout.split()).count("with a zoom 3 100.0 100.0 0.0 [0.0, 0.0]") == 3
    summary = json.loads(run(*words, "--json").stdout)
    assert summary["settings"]["regions"] == ["blank", "elsewhere", "overview"]
    assert [found["region"] for found in summary["cells"][0]["regions"]] == ["blank", "elsewhere", "overview"]
    assert summary["cells"][0]["regions"][0]["zoomed"]["fall"] == {"value": 0, "low": 0, "high": 0}


def test_the_default_resolutions_are_those_of_python() -> None:
    command, front = (
        inspect.signature(asks).parameters["resolutions"].default for asks in (evaluate_command, aevaluate)
    )
    assert numbers(command, "--resolutions") == front == DEFAULT_RESOLUTIONS


def test_what_to_do_next_is_said(asked: Path, tmp_path: Path) -> None:
    words = (f"jsonl:{asked}", "--policy", script(tmp_path, answer("42")), "--out")
    large = run(*words, tmp_path / "large", "--resolutions", "448,672")
    assert large.exit_code == 0
    assert "Nothing was asked." in large.stdout
    assert "name smaller --resolutions, or native" in large.stderr


def test_a_terminal_that_lacks_characters_gets_others(asked: Path, tmp_path: Path) -> None:
    words = ["eval", f"jsonl:{asked}", "--policy", script(tmp_path, answer("42")), "--resolutions", "native"]
    done = CliRunner(charset="ascii").invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.stderr
    assert "Accuracy and cost" in done.stdout


def test_scenes_are_asked_with_their_truth_changed(tmp_path: Path) -> None:
    done = run(
        "scenes",
        "--policy",
        "observer",
        "--resolutions",
        "224",
        "--limit",
        6,
        "--counterfactual",
        "--out",
        tmp_path / "a",
    )
    assert done.exit_code == 0, done.stderr
    rows = read_run(tmp_path / "a").rows
    plain, changed = rows[::2], rows[1::2]
    assert [row.question for row in plain] == [row.question for row in changed]
    assert [row.text for row in plain] == [row.text for row in changed]
    assert all(one.truth != other.truth for one, other in zip(plain, changed, strict=True))
    assert not any(row.cell.counterfactual for row in plain)
    assert all(row.cell.counterfactual for row in changed)
    assert all(row.reachable is not None for row in rows)
