"""What a run reports: a line of JSON and TensorBoard's records."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

LINES = "metrics.jsonl"
_log = logging.getLogger("training.tiny_pretrain")


class Metrics:
    """Sums up losses and writes down what is measured."""

    def __init__(self, output: Path, done: int) -> None:
        """Go on after `done` steps in the directory `output`."""
        self._lines = output / LINES
        self._writer = SummaryWriter(str(output / "logs"), purge_step=done + 1 if done else None)
        self._losses: dict[str, list[torch.Tensor]] = {}
        self._views, self._since = 0, time.monotonic()

    def add(self, losses: Mapping[str, torch.Tensor], views: int) -> None:
        """Count a step's losses and views."""
        for name, loss in losses.items():
            self._losses.setdefault(f"loss/{name}", []).append(loss.detach())
        self._views += views

    def note_mean(self, step: int) -> None:
        """Write down the mean losses since the last time, and the views a second."""
        values = {name: float(torch.stack(kept).mean()) for name, kept in self._losses.items()}
        now = time.monotonic()
        self.note(step, values | {"views a second": self._views / (now - self._since)})
        self._losses, self._views, self._since = {}, 0, now

    def note(self, step: int, values: Mapping[str, float]) -> None:
        """Write down `values` after `step` steps."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        line = {"step": step, **{name: round(value, 4) for name, value in values.items()}}
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        _log.info("%s", line)

    def close(self) -> None:
        self._writer.close()
