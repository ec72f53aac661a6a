"""Processes that are killed with SIGKILL once they have come so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.patience import wait_until

ROOT = Path(__file__).parents[2]


@contextmanager
def running(words: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that hears of Ctrl-C, and is killed at the end of the block if it still runs."""
    with subprocess.Popen(words, text=True, preexec_fn=_listens, **options) as process:
        try:
            yield process
        finally:
            process.kill()


_listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
"""A child of a process in the background would ignore Ctrl-C."""


def kill_when(
    words: Sequence[str], reached: Callable[[], bool], *, before: str, lines: int | None = None, cwd: Path | None = None
) -> None:
    """Run a command and kill it as soon as `reached` is true. It fails if the command ends before or takes too long.

    However late it is killed, it comes no further than `tests.support.held` says of the place `before`, and `lines`.
    """
    held = [sys.executable, "-m", "tests.support.held", before, *([] if lines is None else [str(lines)]), "--", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with running(held, stdout=nowhere, stderr=pipe, cwd=cwd, env=environment) as process:
        wait_until(lambda: _still_runs(process) and reached())


def _still_runs(process: subprocess.Popen[str]) -> bool:
    if process.poll() is not None:
        said = process.stderr.read() if process.stderr else ""
        raise AssertionError(f"it ended by itself with {process.returncode} before it could be killed: {said}")
    return True
