"""How weights move: Muon for matrices, AdamW for the rest, and how their rates rise and fall."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from training.tiny_pretrain.settings import PretrainSettings

_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.98)
_WITHIN = ("blocks.", "merger.", "layers.")
"""Where Muon (Jordan and others, 2024) suits: matrices between hidden states. Embeddings and readings are AdamW's."""


class Mover:
    """The optimizers of a run."""

    def __init__(self, model: nn.Module, settings: PretrainSettings) -> None:
        """For the weights of `model` that learn."""
        matrices, others = [], []
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                inner = weight.ndim == 2 and any(part in name for part in _WITHIN)
                (matrices if inner else others).append(weight)
        self._settings = settings
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=settings.matrix_rate, weight_decay=_WEIGHT_DECAY),
            torch.optim.AdamW(others, lr=settings.rate, betas=_BETAS, weight_decay=_WEIGHT_DECAY, fused=True),
        ]

    def step(self, step: int) -> None:
        """Move the weights at `step` (from 0) and forget the gradients."""
        share = share_of_rate(step, self._settings)
        rates = (self._settings.matrix_rate, self._settings.rate)
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad()

    def state_dict(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for optimizer, state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def share_of_rate(step: int, settings: PretrainSettings) -> float:
    """Which share of the rates `step` (from 0) has: it rises for `warmup` steps and falls in the last share `decay`."""
    falling = settings.decay * settings.steps
    fall = min(1.0, (settings.steps - step) / falling) if falling else 1.0
    return min(1.0, (step + 1) / settings.warmup) * fall
