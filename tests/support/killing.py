"""Processes that hear of Ctrl-C, and are killed with SIGKILL at the end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any


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
