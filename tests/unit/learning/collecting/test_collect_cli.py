"""`cof-agent collect` as a shell sees it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cof_agent import read_trajectories
from cof_agent.cli.collect import collect_command
from cof_agent.evaluation import read_run
from cof_agent.evaluation.sizes import numbers
from cof_agent.learning.collecting.collected import read_rows
from cof_agent.learning.collecting.collection import DEFAULT_RESOLUTIONS

pytestmark = pytest.mark.slow

app = typer.Typer()
app.command()(collect_command)

ASKED = ["scenes:train", "--policy", "observer", "--resolutions", "224,672"]


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


@pytest.mark.usefixtures("no_report")
def test_what_is_told_where(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*ASKED, "--count", "6", "--limit", "6", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    rows = list(read_rows(out))
    assert done.stdout.startswith(f"kept {len(rows)} of 12 runs (6 questions; even mix)\n")
    assert "looked" in done.stdout
    assert f"the training data are in {out}" in done.stderr
    told = CliRunner().invoke(app, [*ASKED, "--count", "6", "--limit", "6", "--out", str(out), "--json"])
    assert json.loads(told.stdout) == json.loads((out / "report.json").read_text())
    assert len(list(read_trajectories(out))) == len(rows) == json.loads(told.stdout)["kept"]
    results = out / "tried" / "results.jsonl"
    known = [json.loads(line) for line in results.read_text().splitlines()]
    results.write_text("".join(json.dumps(row | {"trajectory": None}) + "\n" for row in known))
    lost = CliRunner().invoke(app, [*ASKED, "--count", "6", "--limit", "6", "--out", str(out)])
    assert lost.exit_code == 1
    assert f"whose trajectory is not in {out / 'tried'}: {len(rows)}. Collect again into another --out" in lost.stderr


@pytest.mark.usefixtures("no_report")
def test_a_policy_that_writes_no_tags_is_told_how(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (112, 84), "red").save(tmp_path / "red.png")
    (tmp_path / "asked.jsonl").write_text('{"image": "red.png", "question": "Which colour?", "answer": "red"}\n')
    (tmp_path / "script.json").write_text(json.dumps(["<answer>red</answer>"]))
    words = [
        f"jsonl:{tmp_path / 'asked.jsonl'}", "--policy", f"script:{tmp_path / 'script.json'}", "--count", "1",
        "--out", str(tmp_path / "out"), "--resolutions", "native",
    ]  # fmt: skip
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "--allow-test" in refused.stderr
    done = CliRunner().invoke(app, [*words, "--allow-test"])
    assert done.exit_code == 1
    assert "not kept: format 1" in done.stdout
    assert "1 rows fewer than asked for: the benchmark has no more" in done.stderr
    assert "lack <think> or <answer>: --dialect cof" in done.stderr
    assert "nothing was kept of 1 runs" in done.stderr
    line = (tmp_path / "asked.jsonl").read_text()
    (tmp_path / "asked.jsonl").write_text(line * 20)
    words = [word.replace("jsonl:", "jsonl:train:") for word in words[:-4]]
    done = CliRunner().invoke(app, [*words, "--resolutions", "native", "--count", "9", "--out", str(tmp_path / "more")])
    assert done.exit_code == 1
    assert "not kept: format 9\n" in done.stdout
    assert "9 rows fewer than asked for: of the first 9 runs none was in the right format" in done.stderr
    assert "--dialect cof tells the policy how to write" in done.stderr


@pytest.mark.usefixtures("no_report")
def test_what_each_kind_lacks_is_told_with_what_to_do(tmp_path: Path) -> None:
    words = [*ASKED, "--count", "12", "--limit", "6", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    kinds = json.loads((tmp_path / "out" / "report.json").read_text())["kinds"]
    assert kinds["several"] < 4
    for kind, kept in kinds.items():
        assert f"\n{kind} " in done.stdout
        told = f"{kind}: {4 - kept} rows fewer than its share of a third: raise --limit (6), or try "
        assert (told in done.stderr) is (kept < 4)
    assert "share of a third: raise --limit (6), or try higher --resolutions" in done.stderr


@pytest.mark.usefixtures("no_report")
def test_a_natural_mix_stops_at_the_count_and_says_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [*ASKED, "--count", "4", "--mix", "natural", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    assert (report["mix"], report["ended"], report["kept"]) == ("natural", "enough", 4)
    assert done.stdout.startswith(f"kept 4 of {report['tried']} runs ({report['questions']} questions; natural mix)\n")
    assert "share of a third" not in done.stderr


def test_the_default_resolutions_are_those_of_python() -> None:
    command = inspect.signature(collect_command).parameters["resolutions"].default
    assert numbers(command, "--resolutions") == DEFAULT_RESOLUTIONS


def test_usage_errors_have_their_own_code(tmp_path: Path) -> None:
    for words in (
        ["scenes", "--policy", "observer", "--count", "3"],
        ["scenes:train", "--policy", "observer", "--count", "3", "--dialect", "qwen3"],
        ["scenes:train", "--policy", "observer", "--count", "3", "--resolutions", "small"],
        ["scenes:train", "--policy", "observer", "--count", "0"],
        ["scenes:train", "--policy", "observer", "--count", "3", "--mix", "odd"],
    ):
        done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
        assert done.exit_code == 2, done.output
    assert not (tmp_path / "out").exists()
