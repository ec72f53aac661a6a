"""A run of `training.sft` that is killed while it writes the save at a step: `python -m … STEP ARGUMENTS`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import training.checkpoints as checkpoints
from training.sft import main

mark_whole = checkpoints.mark_whole


def killed(save: Path) -> None:
    if save.name == f"checkpoint-{sys.argv[1]}":
        os.kill(os.getpid(), signal.SIGKILL)
    mark_whole(save)


if __name__ == "__main__":
    checkpoints.mark_whole = killed
    raise SystemExit(main(sys.argv[2:]))
