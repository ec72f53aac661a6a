"""Processes that have imported torch and the recipes before they start: forks of one server for each worker."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.support.held import run, stop_at_lines, stop_at_rename
from tests.support.patience import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "tests.support.warm",
        "training.sft",
        "training.grpo",
        "training.tiny_pretrain.__main__",
        "cof_agent.cli.app",
        "cof_agent.policies.qwen.chat",
    ]
)


class WarmProcess:
    """A command, as `tests.support.held.run` takes it, in a process of its own that writes to the file `said`.

    It comes no further than `tests.support.held` says of the place `before`, and `lines`.
    """

    def __init__(
        self, words: Sequence[str | Path], said: Path, *, before: str | None = None, lines: int | None = None
    ) -> None:
        self._said = said
        given = ([str(word) for word in words], said, before, lines)
        self._process: BaseProcess = FORKS.Process(target=_carry_out, args=given)
        self._process.start()

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"it did not end within {PATIENCE:g} seconds: {self.said}"
        return self._process.exitcode

    def kill_when(self, reached: Callable[[], bool]) -> None:
        """Kill it with SIGKILL as soon as `reached` is true. It fails if the process ends before."""

        def still_runs() -> bool:
            assert self._process.exitcode is None, f"it ended before it could be killed: {self.said}"
            return True

        try:
            wait_until(lambda: still_runs() and reached())
        finally:
            self._process.kill()
            self._process.join(PATIENCE)

    @property
    def said(self) -> str:
        """On standard output and standard error so far."""
        return self._said.read_text(encoding="utf-8", errors="replace") if self._said.exists() else ""


def _carry_out(words: list[str], said: Path, before: str | None, lines: int | None) -> None:
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for channel in (1, 2):
        os.dup2(file, channel)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    if before is not None and lines is not None:
        stop_at_lines(before, lines)
    elif before is not None:
        stop_at_rename(before)
    run(words)
