"""What a server says, or that none is there, as a command tells it; and an output that is full."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from tests.support.commands import COMMAND, wall
from tests.support.hostile import HOSTILE, unclean
from tests.support.misbehaving_server import playing, refuses, says
from tests.support.patience import PATIENCE


def run(*words: Any):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


def test_nobody_is_at_the_address(image: str) -> None:
    with playing() as server:
        url = f"http://127.0.0.1:{server.server_port}/v1"
    done = run("ask", image, "What?", "-p", "openai:m", "--base-url", url, "--max-retries", "0")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"is the server at http://127.0.0.1:{server.server_port} running, and is that its address?" in done.stderr


def test_a_server_that_says_what_steers_a_terminal(image: str, tmp_path: Path) -> None:
    for act in (refuses(400, HOSTILE), says(f"<answer>{HOSTILE}</answer>")):
        with playing(act, act) as server:
            url = f"http://127.0.0.1:{server.server_port}/v1"
            words = ["ask", image, "What?", "-p", "openai:m", "--base-url", url, "--dialect", "cof"]
            for more in ([], ["--json"]):
                done = run(*words, *more)
                assert unclean(done.stdout + done.stderr) == []
                assert "]52;c;aGk=" in done.stdout + done.stderr
            assert json.loads(done.stdout)["status"] in ("answered", "failed")
            checked = run("doctor", "openai:m", "--base-url", url)
            assert unclean(checked.stdout + checked.stderr) == []


@pytest.mark.parametrize("words", [["doctor"], ["--help"]], ids=" ".join)
def test_an_output_that_is_full(words: list[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as output:
        done = subprocess.run([COMMAND, *words], stdout=output, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert done.returncode in (1, 120)
    assert "Traceback" not in done.stderr, done.stderr
