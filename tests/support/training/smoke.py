"""The smoke configuration of `training.sft` with other settings, and the weights that a run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from training.settings import SftSettings, load_settings

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "training" / "configs"


def told(seed: Path, rows: Path, output: Path, **changes: Any) -> SftSettings:
    names = {"model": str(seed), "data": str(rows), "output": str(output), "steps": 2, "schedule": "linear"}
    return load_settings(CONFIGS / "sft_tiny_smoke.yaml", **{**names, "warmup": 0.0, **changes})


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")
