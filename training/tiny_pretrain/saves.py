"""Saves of a pretraining run: all that its next step depends on."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import nn

from training.checkpoints import mark_whole
from training.tiny_pretrain.rates import Mover

_STATE = "state.pt"
_KEPT = 2


def write_save(output: Path, step: int, model: nn.Module, averaged: nn.Module, mover: Mover) -> None:
    """Write the state after `step` steps, and keep the last two."""
    save = output / f"checkpoint-{step}"
    save.mkdir(parents=True, exist_ok=True)
    parts = {"step": step, "weights": model, "averaged": averaged, "mover": mover}
    state = {name: part if isinstance(part, int) else part.state_dict() for name, part in parts.items()}
    torch.save(state, save / _STATE)
    mark_whole(save)
    saves = sorted(output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for old in saves[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def read_save(save: Path, model: nn.Module, averaged: nn.Module, mover: Mover) -> int:
    """Take the state that `write_save` wrote, and return the steps done."""
    state = torch.load(save / _STATE, map_location="cpu", weights_only=True)
    model.load_state_dict(state["weights"])
    averaged.load_state_dict(state["averaged"])
    mover.load_state_dict(state["mover"])
    return int(state["step"])
