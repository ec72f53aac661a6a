"""The smallest seed that all stages of pretraining take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.tiny_pretrain.seed import SIZES, write_tiny_seed

SMALLEST = replace(
    SIZES,
    text_width=64,
    text_depth=2,
    text_heads=4,
    text_kv_heads=2,
    text_mlp=96,
    vision_width=32,
    vision_depth=2,
    vision_heads=2,
    vision_mlp=64,
)


def write_smallest(directory: Path) -> Path:
    return write_tiny_seed(directory, SMALLEST)
