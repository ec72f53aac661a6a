"""The examples of evaluation, run as a user would, and what they leave behind."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_questions_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate_jsonl.py"])
    runpy.run_path(str(EXAMPLES / "evaluate_jsonl.py"))
    summary = json.loads((tmp_path / "run-jsonl" / "summary.json").read_text(encoding="utf-8"))
    right = {cell["cell"]["resolution"]: cell["accuracy"]["count"] for cell in summary["cells"]}
    assert right == {448: 0, None: 2}  # its lettering is too small to be read once the photo is reduced
    native = next(cell for cell in summary["cells"] if cell["cell"]["resolution"] is None)
    assert (native["contains_truth"]["count"], native["contains_truth"]["n"]) == (2, 2)
    assert "Accuracy and cost" in capsys.readouterr().out
    assert (tmp_path / "run-jsonl" / "report.html").exists()


def test_another_file_of_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES / "images" / "motorcycle.jpg", tmp_path)
    question = {"image": "motorcycle.jpg", "question": "Which colour?", "answer": "blue"}
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(question) + "\nnot a question\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["evaluate_jsonl.py", str(file), str(tmp_path / "mine")])
    runpy.run_path(str(EXAMPLES / "evaluate_jsonl.py"))
    summary = json.loads((tmp_path / "mine" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["rows"], summary["malformed"]) == (2, 1)
    assert "could not be asked: 1." in capsys.readouterr().out


def test_a_benchmark_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "own_benchmark.py"))
    assert capsys.readouterr().out.splitlines() == [
        "direct: 0 of 1 right, 0.0 zooms, 1 malformed",
        "adaptive: 1 of 1 right, 3.0 zooms, 1 malformed",
    ]
