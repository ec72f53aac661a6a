"""`cof-agent chat`: a conversation that keeps its views, from options, a pipe, or line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cof_agent import read_trajectories
from cof_agent.cli.app import app
from tests.support.commands import ZOOM, script, wall

TURNS = [ZOOM, "<answer>nine</answer>", "<answer>yes</answer>", "<answer>cannot answer: too dark</answer>"]


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    return script(tmp_path, *TURNS)


def chat(image: str, policy: str, *words: str, typed: str | None = None):
    return CliRunner().invoke(app, ["chat", image, "--policy", policy, *words], input=typed)


def test_the_second_question_keeps_what_was_seen(image: str, policy: str, tmp_path: Path) -> None:
    done = chat(image, policy, "-q", "Until when?", "-q", "On Sundays too?", "--save", str(tmp_path / "runs"))
    assert (done.exit_code, done.stdout) == (0, "nine\nyes\n")
    assert done.stderr.count("overview") == 1
    first, second = read_trajectories(tmp_path / "runs")
    assert [view.kind for view in second.views] == ["overview", "zoom"]
    assert second.views == first.views
    assert (second.usage.policy_calls, second.usage.zooms, second.usage.visual_tokens) == (1, 0, 0)
    assert second.turns[: second.first_turn] == first.turns


def test_questions_come_from_a_pipe(image: str, policy: str) -> None:
    done = chat(image, policy, typed="Until when?\n\n  On Sundays too?  \n")
    assert (done.exit_code, done.stdout) == (0, "nine\nyes\n")
    assert "The sign is small." in done.stderr


def test_commands(image: str, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    typed = f"/help\n/views\n/save\nUntil when?\n/views\n/save\n/save {elsewhere}\n/dance\n/image\n/quit\nignored\n"
    done = chat(image, policy, typed=typed)
    assert done.exit_code == 0
    answer, overview, zoom = done.stdout.splitlines()
    assert answer == "nine"
    assert overview == "view 0, overview: [0, 0, 280, 196] shown at 280x196"
    assert zoom == "view 1, zoom “sign”: [5, 10, 95, 70] shown at 168x112"
    assert done.stderr.startswith("Ask a question, or: /views")
    assert "nothing was looked at" in done.stderr
    assert "there is nothing to save" in done.stderr
    assert "there is no command /dance. Ask a question, or: /views" in done.stderr
    assert "/image needs a path" in done.stderr
    for folder in (tmp_path / "cof-chat", elsewhere):
        assert [run.answer for run in read_trajectories(folder)] == ["nine"]


def test_save_does_not_append_twice(image: str, policy: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    done = chat(image, policy, "--save", str(runs), typed="Until when?\n/save\n")
    assert "already saved to" in done.stderr
    assert len(list(read_trajectories(runs))) == 1


def test_another_image_starts_another_conversation(image: str, policy: str, tmp_path: Path) -> None:
    other = tmp_path / "other photo.png"
    Image.new("RGB", (112, 112), "teal").save(other)
    runs = tmp_path / "runs"
    typed = f"Until when?\n/image {tmp_path / 'missing.png'}\nOn Sundays too?\n/image {other}\n/views\nAnd here?\n"
    done = chat(image, policy, "--save", str(runs), typed=typed)
    assert done.stdout == "nine\nyes\nnine\n", "a missing image leaves the conversation as it was"
    assert "missing.png" in done.stderr
    assert f"now looking at {other}" in done.stderr
    last = list(read_trajectories(runs))[-1]
    assert (last.image.source, last.first_turn) == (str(other), 0)
    assert last.views[0].box.as_list() == [0, 0, 112, 112]


def test_the_exit_code_is_that_of_the_last_question_without_answer(image: str, policy: str) -> None:
    assert chat(image, policy, typed="a?\nb?\nc?\n").exit_code == 3
    done = chat(image, policy, typed="a?\nb?\nc?\nd?\n")
    assert (done.exit_code, done.stdout) == (1, "nine\nyes\n"), "the script ran out"
    assert "declined (declined): too dark" in done.stderr
    assert chat(image, policy, typed="/quit\n").exit_code == 0
    assert chat(image, policy, typed="").exit_code == 0


def test_bad_arguments(image: str, policy: str, tmp_path: Path) -> None:
    assert chat(str(tmp_path / "missing.png"), policy, "-q", "What?").exit_code == 1
    assert chat(image, "oracle", "-q", "What?").exit_code == 2


def test_a_person_reviews_each_zoom_and_each_end(image: str, policy: str) -> None:
    first = ["Until when?", "maybe", "1 2 3", "/help me", "10 10 9000 40", "100, 100, 200, 180", "/views"]
    typed = [*first, "On Sundays?", "And now?", "n", "n look up"]
    done = chat(image, policy, "--review", typed="\n".join(typed))
    assert done.stdout == "nine\nview 0, overview: [0, 0, 280, 196] shown at 280x196\n" + (
        "view 1, zoom “chosen by a person”: [75, 80, 225, 196] shown at 308x224\nyes\n"
    )
    assert "zoom “sign” into [20, 20, 80, 60]? y: yes; n REASON: no; x1 y1 x2 y2" in done.stderr
    for typed_wrong in ("maybe", "1 2 3", "/help me"):
        assert f"{typed_wrong!r} is none of these: y: yes; n REASON: no; x1 y1 x2 y2: look there" in done.stderr
    assert "reaches outside the image of 280x196 pixels" in done.stderr
    assert "end as declined (too dark)? y: yes; n REASON: try again" in done.stderr
    assert "'n' is none of these: y: yes; n REASON: try again, told this" in done.stderr
    assert done.exit_code == 1, "asked to try again, the script has no more turns"


def test_decisions_about_questions_that_were_given_are_typed(image: str, policy: str) -> None:
    done = chat(image, policy, "--review", "-q", "Until when?", "-q", "On Sundays?", typed="y\n")
    assert (done.exit_code, done.stdout) == (0, "nine\nyes\n")
    assert "zoom “sign” into" in done.stderr


def test_quit_instead_of_a_decision(image: str, policy: str) -> None:
    done = chat(image, policy, "--review", typed="Until when?\n/quit\nOn Sundays?\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("nobody decided, so the question was left without an answer\n")


def test_nobody_decides(image: str, policy: str) -> None:
    done = chat(image, policy, "--review", typed="Until when?\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("nobody decided, so the question was left without an answer\n")
