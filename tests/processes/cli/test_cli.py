"""`cof-agent ask` as a shell sees it: what goes where, and the exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import COMMAND, ENDLESS, PHOTO, ROOT, ZOOM, script, wall
from tests.support.killing import running
from tests.support.patience import PATIENCE

ANSWER = "<think>Now I can read it.</think><answer>open until nine</answer>"


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


def test_the_command_itself_keeps_the_two_apart(image: str, tmp_path: Path) -> None:
    words = [COMMAND, "ask", image, "Until when?", "--show", "-p", script(tmp_path, ZOOM, ANSWER)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "open until nine\n")
    assert "▀" not in done.stderr, "views are drawn in colour terminals only"
    assert all(line.strip() for line in done.stderr.splitlines())


def test_ctrl_c_while_the_policy_thinks_leaves_cleanly() -> None:
    words = [*ENDLESS, "ask", str(PHOTO), "What is the phone number?", "--policy", "reader"]
    pipe = subprocess.PIPE
    with running(words, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("view 0"), "the overview is shown, the policy is asked next"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("cof-agent: interrupted: nothing was answered\n")
    assert "Traceback" not in err


def test_ctrl_c_does_not_wait_for_the_policy() -> None:
    code = """
import os
from cof_agent import ChainOfFocus
from cof_agent.cli.terminal import aside
from tests.support.conversations import answer, photo, slow
from tests.support.commands import COMMAND, ENDLESS, PHOTO, ROOT, ZOOM, script, wall
try:
    policy = slow(answer("42"), on_call=lambda: os.write(1, b"asked\\n"))
    for event in aside(ChainOfFocus(policy).stream(photo(), "What?")):
        print(event.view.kind, flush=True)
except KeyboardInterrupt:
    os._exit(130)
"""
    words, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with running(words, stdout=pipe, cwd=ROOT) as process:
        assert process.stdout is not None
        assert {process.stdout.readline() for _ in range(2)} == {"overview\n", "asked\n"}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130


def test_ctrl_c_that_comes_just_before_the_wait_is_heard() -> None:
    code = """
import _thread, os, sys, threading
from cof_agent.cli.terminal import aside
from tests.support.commands import COMMAND, ENDLESS, PHOTO, ROOT, ZOOM, script, wall
def work():
    while sys._current_frames()[threading.main_thread().ident].f_code is not aside.__code__:
        pass
    _thread.interrupt_main()  # is noted, but wakes nobody
    threading.Event().wait()
    yield
try:
    list(aside(work()))
except KeyboardInterrupt:
    os._exit(130)
"""
    with running([sys.executable, "-c", code], cwd=ROOT) as process:
        assert process.wait(PATIENCE) == 130


def test_a_policy_that_is_given_up_does_not_hold_the_command() -> None:
    words = [COMMAND, "ask", str(PHOTO), "What is the phone number?", "--json", "--max-seconds", "0.25"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    value = json.loads(done.stdout)
    assert (done.returncode, value["status"], value["stop_reason"]) == (3, "budget", "time_limit")
    assert "Traceback" not in done.stderr
