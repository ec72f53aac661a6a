"""`cof-agent chat`: a conversation that keeps its views, from options, a pipe, or line by line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cof_agent import read_trajectories
from tests.support.commands import COMMAND, ENDLESS, PHOTO, ROOT, ZOOM, script, wall
from tests.support.killing import running
from tests.support.patience import PATIENCE, wait_until

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


def test_ctrl_c_clears_the_line_and_only_a_second_one_leaves(image: str, policy: str, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="only POSIX has terminals of this kind")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb"}
    words = [COMMAND, "chat", image, "--policy", policy]
    with running(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        screen = Screen(ours)

        def ctrl_c() -> None:
            wait_until(lambda: asleep(process.pid))  # a signal between the prompt and its wait is seen at the next key
            process.send_signal(signal.SIGINT)

        screen.wait_for("> ")
        for typed, then in (
            (None, "Ctrl-C once more, Ctrl-D or /quit leaves"),
            ("Until w", "Until w"),
            (None, "Ctrl-C once more"),
            ("Until when?\n", "nine"),
            ("/save " + str(tmp_path / "runs") + "\n", "saved to"),
            (None, "Ctrl-C once more"),
        ):
            screen.do(partial(os.write, ours, typed.encode()) if typed else ctrl_c, then)
            assert process.poll() is None, "it goes on"
        screen.do(ctrl_c, f"interrupted: what you saved is in {tmp_path / 'runs' / 'trajectories.jsonl'}")
        assert process.wait(PATIENCE) == 130


def asleep(pid: int) -> bool:
    """Whether a process waits for something, such as a key. Taken for granted where the system does not say."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "S"


class Screen:
    """What a program writes to a terminal, and what is typed there."""

    def __init__(self, terminal: int) -> None:
        self._terminal, self._text = terminal, ""

    def wait_for(self, words: str) -> None:
        """Until the program has written them since something was typed, followed by a prompt unless it ends."""
        while words not in self._text.replace("\r\n", "").replace("\n", ""):
            assert select.select([self._terminal], [], [], PATIENCE)[0], f"it does not write {words!r}: {self._text!r}"
            self._text += os.read(self._terminal, 4096).decode()

    def do(self, what: Callable[[], object], then: str) -> None:
        self._text = ""
        what()
        self.wait_for(then)
        if then != "Until w" and "interrupted" not in then:
            self.wait_for("> ")
