"""What people type in their first hours: a wrong word gets a word that helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.cli.drawing import Sketches
from cof_agent.policies.checks.requirements import check_policy
from tests.support.commands import ZOOM, script, wall
from tests.support.conversations import answer, call

pytestmark = pytest.mark.slow

CALL = call("image_zoom_in_tool", bbox_2d=[20, 20, 80, 60])


def run(*words: Any, typed: str = ""):
    return CliRunner().invoke(app, [str(word) for word in words], input=typed, env={"COLUMNS": "100"})


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


def test_help_and_version() -> None:
    assert run("--version").stdout == f"cof-agent {version('cof-agent')}\n"
    for words in (["-h"], ["ask", "-h"], ["eval", "-h"]):
        done = run(*words)
        assert (done.exit_code, "Usage:" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["b.png"], "the last word is the question, and b.png is an image"),
        (
            ["b.png", "Which one is open?", "--dialect", "deepeyes"],
            "a call of the dialect deepeyes cannot say which image",
        ),
        (
            ["What", "is", "this?"],
            "takes images and then one question, and 'What' is no image: put the question in quotes",
        ),
        (["What?", "--policy", "observer"], "observer answers questions about drawn scenes only"),
        (["What?", "--policy", "raeder"], "no policy is named 'raeder' (did you mean reader?)"),
        (["What?", "--policy", "scirpt:x"], "did you mean script:FILE?"),
        (["What?", "--policy", "opnai:gpt-4o"], "did you mean openai:MODEL?"),
    ],
)
def test_wrong_words(words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32)).save(name)
    done = run("ask", "a.png", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_policy_that_knows_one_image_is_asked_about_no_two(image: str, tmp_path: Path) -> None:
    done = run("chat", image, image, "--policy", script(tmp_path, answer("x")), "-q", "What?")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "a call of the dialect cof cannot say which image" in done.stderr


def test_doctor_is_short_and_tells_more_when_asked() -> None:
    short, whole = run("doctor"), run("doctor", "--verbose")
    assert len(short.stdout.splitlines()) < 14
    assert "policies that run here: reader" in short.stdout
    assert "not here: extra serve (lacks langgraph-cli" in short.stdout
    assert len(whole.stdout.splitlines()) > 2 * len(short.stdout.splitlines())


def test_doctor_says_what_a_name_tells_and_what_it_does_not() -> None:
    def told(spec: str) -> str:
        return next(check.what for check in check_policy(spec) if check.what.startswith("dialect"))

    assert told("openai:deepeyes-7b").startswith("dialect deepeyes, as its name says")
    assert told("openai:whatever").startswith("dialect native, as its vendor says")
    assert told("ollama:whatever").startswith("dialect native, for it is no checkpoint whose name or type is known")
    assert "(questions are asked in another one with --dialect or --profile)" in told("openai:whatever")


def test_scenes_have_a_size_where_none_is_named(tmp_path: Path) -> None:
    done = run("scenes", tmp_path, "--count", "1")
    assert done.exit_code == 0, done.stderr
    (drawn,) = tmp_path.glob("*/*.png")
    with Image.open(drawn) as picture:
        assert max(picture.size) == 2240


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sketches go, so that they can be looked at afterwards."""
    folder = tmp_path / "drawn"
    folder.mkdir()

    @contextmanager
    def kept(agent: Any, show: bool) -> Iterator[Sketches]:
        yield Sketches(agent, folder, show)

    monkeypatch.setattr("cof_agent.cli.drawing.sketches", kept)
    return folder


def test_a_review_shows_both_boxes_on_the_picture_and_the_thought_once(image: str, drawn: Path, tmp_path: Path) -> None:
    other = CALL.replace("[20, 20, 80, 60]", "[100, 100, 160, 140]")
    policy = script(tmp_path, ZOOM + other, answer("nine"))
    done = run("chat", image, "--policy", policy, "--review", typed="What?\ny\ny\n")
    assert done.stdout == "nine\n"
    first, second = sorted(drawn.iterdir())
    assert f"it would be shown [5, 10, 95, 70]; both are drawn in {first} (asked for: red, shown: blue)" in done.stderr
    assert done.stderr.index(str(first)) < done.stderr.index("into [20, 20, 80, 60]?") < done.stderr.index(str(second))
    sketch = Image.open(first)
    assert sketch.size == (280, 196)
    for place, colour in (((20, 20), "red"), ((79, 59), "red"), ((5, 10), "blue"), ((94, 69), "blue")):
        assert sketch.getpixel(place) == {"red": (255, 0, 0), "blue": (0, 0, 255)}[colour], place
    assert sketch.getpixel((200, 150)) == Image.open(image).convert("RGB").getpixel((200, 150))
    assert done.stderr.count("The sign is small.") == 1


def test_a_sketch_of_a_large_picture_is_small_and_boxes_at_its_edge_are_drawn(drawn: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4000, 2000), "white").save(tmp_path / "large.png")
    corner = call("image_zoom_in_tool", bbox_2d=[0, 0, 1, 1])
    policy = script(tmp_path, corner, answer("nine"))
    done = run("chat", tmp_path / "large.png", "--policy", policy, "--review", typed="What?\nn no\n")
    assert done.stdout == "nine\n", done.stderr
    (path,) = drawn.iterdir()
    sketch = Image.open(path)
    assert sketch.size == (1024, 512)
    assert sketch.getpixel((0, 0)) == (255, 0, 0)


def test_sketches_are_gone_when_the_command_ends(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = run("chat", image, "--policy", script(tmp_path, ZOOM, answer("nine")), "--review", typed="What?\ny\n")
    assert str(tmp_path / "cof-agent-") in done.stderr
    assert not list(tmp_path.glob("cof-agent-*"))


def test_what_was_thought_before_two_regions_is_told_once(image: str, tmp_path: Path) -> None:
    done = run("ask", image, "What?", "--policy", script(tmp_path, ZOOM + CALL, answer("nine")))
    assert (done.stdout, done.stderr.count("The sign is small.")) == ("nine\n", 1)
    assert done.stderr.count("zoom") >= 2


def test_json_of_profile_and_doctor_is_json() -> None:
    assert json.loads(run("profile", "cof").stdout)["dialect"] == "cof"
    assert json.loads(run("doctor", "--json").stdout)["policies"]
