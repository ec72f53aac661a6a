"""The demo is true: its answer needs the zoom. Real photo, real reader, the command that `make demo` runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cof_agent import Box, ChainOfFocus, FocusConfig
from cof_agent.cli.app import app
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]
PHOTO = ROOT / "examples" / "images" / "motorcycle.jpg"
BRAND = (Box(399, 189, 448, 214), Box(354, 326, 386, 345))
"""Where the photo shows the brand: on the tank and on the engine, in pixels of the photo."""


def words() -> list[str]:
    """Of the demo's command, as the Makefile writes it."""
    recipe = re.search(r"^demo:.*\n\t\S*cof-agent (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert recipe is not None
    return shlex.split(recipe[1])


def test_the_demo_zooms_and_answers_rightly() -> None:
    command = [Path(sys.executable).with_name("cof-agent"), *words(), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
    value = json.loads(done.stdout)
    assert (done.returncode, value["status"], value["answer"]) == (0, "answered", "(C) Yamaha")
    assert value["usage"]["zooms"] >= 1
    evidence = value["evidence"][0]
    assert evidence["source"] == "reader"
    box = Box(*evidence["box"])
    assert any(place.intersection(box) is not None for place in BRAND)
    view = value["views"][evidence["view"]]
    assert view["kind"] == "zoom"
    assert view["shown"][0] >= 1.5 * (view["box"][2] - view["box"][0]), "more pixels than the overview had"


def test_without_zooms_it_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, [*words(), "--json", "--max-zooms", "0"])
    value = json.loads(done.stdout)
    assert done.exit_code == 3
    assert (value["status"], value["answer"], value["usage"]["zooms"]) == ("declined", None, 0)


def test_the_same_holds_for_another_question() -> None:
    agent = ChainOfFocus("reader")
    result = agent.ask(PHOTO, "Does the motorcycle say Yamaha?")
    assert (result.answer, result.usage.zooms > 0) == ("yes", True)
    assert agent.ask(PHOTO, "Does the motorcycle say Yamaha?", config=FocusConfig(max_zooms=0)).answer is None
