"""A recipe killed while it writes the save at a step: `python -m tests.training.killed RECIPE STEP ARGUMENTS`."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import training.checkpoints as checkpoints

mark_whole = checkpoints.mark_whole


def killed(save: Path) -> None:
    if save.name == f"checkpoint-{sys.argv[2]}":
        os.kill(os.getpid(), signal.SIGKILL)
    mark_whole(save)


if __name__ == "__main__":
    checkpoints.mark_whole = killed
    raise SystemExit(import_module(f"training.{sys.argv[1]}").main(sys.argv[3:]))
