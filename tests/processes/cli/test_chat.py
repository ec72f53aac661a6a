"""`cof-agent chat`: a conversation that keeps its views, from options, a pipe, or line by line."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from cof_agent import read_trajectories
from tests.support.commands import COMMAND, ENDLESS, PHOTO, ROOT, ZOOM, script, wall
from tests.support.killing import running
from tests.support.patience import PATIENCE

TURNS = [ZOOM, "<answer>nine</answer>", "<answer>yes</answer>", "<answer>cannot answer: too dark</answer>"]


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    return script(tmp_path, *TURNS)


def test_ctrl_c_while_waiting_for_a_question_keeps_what_was_saved(image: str, policy: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    words = [COMMAND, "chat", image, "--policy", policy, "--save", str(runs)]
    pipe = subprocess.PIPE
    with running(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Until when?\n")
        process.stdin.flush()
        assert process.stdout.readline() == "nine\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.endswith(f"cof-agent: interrupted: what was answered is in {runs}\n")
    assert [run.answer for run in read_trajectories(runs)] == ["nine"]


def test_ctrl_c_while_the_policy_thinks_keeps_what_was_saved(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    questions = ["-q", "Does it say Yamaha?", "-q", "What is the phone number?"]
    words = [*ENDLESS, "chat", str(PHOTO), *questions, "--policy", "reader", "--save", str(runs)]
    pipe = subprocess.PIPE
    with running(words, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.endswith(f"cof-agent: interrupted: what was answered is in {runs}\n")
    assert "Traceback" not in err
    assert len(list(read_trajectories(runs))) == 1
