"""A recipe killed while it saves: `python -m tests.support.training.killed RECIPE STEP ARGUMENTS`."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel

import training.checkpoints as checkpoints
import training.tiny_pretrain.saves as saves
from tests.support.warm import WarmProcess

mark_whole = checkpoints.mark_whole


def killed(save: Path) -> None:
    if save.name == f"checkpoint-{sys.argv[2]}":
        os.kill(os.getpid(), signal.SIGKILL)
    mark_whole(save)


def run_killed(recipe: str, step: int, settings: BaseModel, directory: Path) -> Path:
    """Run a recipe in a process that is killed at a save. Returns the configuration, for going on with it."""
    config = directory / "config.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    words = [sys.executable, "-m", "tests.support.training.killed", recipe, str(step), "--config", config]
    process = WarmProcess(words, directory / "said")
    assert process.wait() == -signal.SIGKILL, process.said
    return config


if __name__ == "__main__":
    checkpoints.mark_whole = saves.mark_whole = killed
    raise SystemExit(import_module(f"training.{sys.argv[1]}").main(sys.argv[3:]))
