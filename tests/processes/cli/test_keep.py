"""`--keep`: conversations that outlive the command, as a shell sees them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import COMMAND
from tests.support.conversations import answer
from tests.support.keeping import TURNS, kept, run, write_files
from tests.support.killing import running
from tests.support.misbehaving_server import keeps_silent, playing, says
from tests.support.patience import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COF_POLICY", "script:script.json")
    write_files()


def test_killed_while_it_waits_for_a_person() -> None:
    words = ["chat", "photo.png", "--keep", "runs.db", "--thread", "sign", "--review", "-q", "Until when?"]
    pipe = subprocess.PIPE
    with subprocess.Popen([COMMAND, *words], stdin=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        assert any("zoom “sign” into" in line for line in process.stderr)
        process.kill()
    assert kept() == [("Until when?", "waiting", None)]
    single = run("ask", "photo.png", "Until when?", "--keep", "runs.db", "--thread", "sign")
    assert (single.exit_code, single.stdout) == (1, "")
    assert "waits for a person: cof-agent chat --keep runs.db --thread sign" in single.stderr
    done = run("chat", "--keep", "runs.db", "--thread", "sign", typed="y\nReally?\n")
    assert (done.exit_code, done.stdout) == (0, "nine\nyes\n")
    assert "cut short before, goes on: Until when?" in done.stderr
    assert kept() == [("Until when?", "answered", "nine"), ("Really?", "answered", "yes")]


@pytest.mark.parametrize("command", ["chat", "ask"])
def test_killed_while_the_policy_thinks(command: str) -> None:
    question = "Which brand is it? (A) Honda (B) Yamaha"
    asked = [question] if command == "ask" else ["-q", question]
    with playing(says(TURNS[0]), keeps_silent(), says(answer("(B) Yamaha"))) as server:
        policy = ["--policy", "openai:m", "--base-url", server.url]
        words = [command, "photo.png", *asked, *policy, "--keep", "runs.db", "--thread", "brand"]
        with running([COMMAND, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stderr is not None
            assert any(line.startswith("view 1") for line in process.stderr)
            wait_until(lambda: len(server.requests) == 2)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert kept() == [(question, "unfinished", None)]
        again = words if command == "ask" else ["chat", *words[4:]]
        done = run(*again, typed="/quit\n")
        assert len(server.requests) == 3, "what was done is not repeated"
    assert (done.exit_code, done.stdout) == (0, "(B) Yamaha\n")
    assert "view 0" not in done.stderr
    assert kept() == [(question, "answered", "(B) Yamaha")]


def test_ctrl_c_says_how_to_go_on() -> None:
    words = [COMMAND, "chat", "photo.png", "--keep", "runs.db", "--thread", "sign"]
    pipe = subprocess.PIPE
    with running(words, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Until when?\n")
        process.stdin.flush()
        assert process.stdout.readline() == "nine\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.endswith("cof-agent: interrupted: --keep runs.db --thread sign goes on with it\n")
    assert run("chat", "--keep", "runs.db", "--thread", "sign", "-q", "Really?").stdout == "yes\n"
