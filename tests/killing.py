"""Processes that are killed with SIGKILL once they have come so far."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PATIENCE = 180.0
"""Seconds until a process must have come as far as it is waited for."""


def kill_when(words: Sequence[str], reached: Callable[[], bool], *, cwd: Path | None = None) -> None:
    """Run a command and kill it as soon as `reached` is true. It fails if the command ends before or takes too long."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        try:
            _await(process, reached)
        finally:
            process.kill()


def _await(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if process.poll() is not None:
            said = process.stderr.read() if process.stderr else ""
            raise AssertionError(f"it ended by itself with {process.returncode} before it could be killed: {said}")
        assert time.monotonic() < deadline, f"it did not come so far within {PATIENCE} seconds"
        time.sleep(0.0005)
