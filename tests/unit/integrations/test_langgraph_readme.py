"""What the README says of LangGraph, run as it stands there, but for the policy."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from cof_agent import FocusResult
from tests.support.conversations import answer, zoom

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "README.md").read_text().partition("\n#### LangGraph\n")[2].partition("\n#### ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.S)


@pytest.fixture(autouse=True)
def beside_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "images" / "motorcycle.jpg", "photo.jpg")
    Path("script.json").write_text(json.dumps([zoom(340, 320, 390, 350), answer("Yamaha"), answer("no")]))


def run(number: int) -> dict[str, Any]:
    """The names that a block leaves. It finds nothing but the photo: its imports and classes are its own."""
    assert BLOCKS[number].count('"reader"') == 1
    Path("pasted.py").write_text(BLOCKS[number].replace('"reader"', '"script:script.json"'))
    return runpy.run_path("pasted.py")


def test_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(0)["end"]["answer"] == "Yamaha"
    assert capsys.readouterr().out.startswith("Yamaha answered [{'view': 1")


def test_in_a_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    run(1)
    said = ["human Does it say Yamaha?", "ai Yamaha", "human Does it say Honda?", "ai no"]
    assert len(list(Path("images").iterdir())) == 3
    assert capsys.readouterr().out.splitlines() == said


def test_many_questions(capsys: pytest.CaptureFixture[str]) -> None:
    run(2)
    assert capsys.readouterr().out.splitlines() == [
        "Does it say Yamaha? answered Yamaha None", "Does it say Honda? answered Yamaha None",
    ]  # fmt: skip
    assert len(list(Path("images").iterdir())) == 3


def test_a_person_in_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(3)["end"]["evidence"]
    assert capsys.readouterr().out.splitlines()[1:] == ["Yamaha"]


def test_a_person_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    end = run(4)["end"]
    assert isinstance(end, FocusResult)
    assert (end.answer, len(BLOCKS)) == ("Yamaha", 5)
    assert capsys.readouterr().out.startswith("zoom into [")
