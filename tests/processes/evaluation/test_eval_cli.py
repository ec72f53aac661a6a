"""`cof-agent eval` and `compare` as a shell sees them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cof_agent.evaluation import read_run
from tests.support.commands import COMMAND, script
from tests.support.conversations import answer
from tests.support.killing import running
from tests.support.patience import PATIENCE, wait_until


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_it_at_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    lines = [json.dumps({"image": "photo.png", "question": "?", "answer": "42"})] * 20_000
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    words = ["eval", f"jsonl:{tmp_path / 'asked.jsonl'}", "--policy", script(tmp_path, answer("42"))]
    words += ["--resolutions", "native", "--out", str(tmp_path / "run")]
    results = tmp_path / "run" / "results.jsonl"
    with running([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: results.exists() and results.stat().st_size > 0)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert f"interrupted: what was answered is in {tmp_path / 'run'}; the same command goes on with it" in said
    assert "Traceback" not in said
    assert 0 < len(read_run(tmp_path / "run").rows) < 20_000
