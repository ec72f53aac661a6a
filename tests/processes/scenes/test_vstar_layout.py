"""Scenes written for what reads V* Bench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_without_numpy_the_command_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys, typer; sys.modules['numpy'] = None; from cof_agent.cli.scenes import scenes; "
        "app = typer.Typer(); app.command()(scenes); app()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out"), "--count", "1", "--resolution", "9"]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 1
    assert 'pip install "cof-agent[eval]"' in told.stderr
    assert "Traceback" not in told.stderr
