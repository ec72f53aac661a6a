"""The random checkpoint that `tiny` begins as: `python -m training.tiny_pretrain.seed DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.seed import SeedSizes, seed_command, write_seed
from cof_agent.scenes.reach import SCENE_PROFILE
from training.tiny_pretrain.heads import number_waves
from training.tiny_pretrain.page import page
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import NUMBERS

SIZES = SeedSizes(
    vocab=1344,
    text_width=192,
    text_depth=4,
    text_heads=3,
    text_kv_heads=1,
    text_mlp=512,
    vision_width=192,
    vision_depth=4,
    vision_heads=3,
    vision_mlp=512,
    window=1120,
    max_positions=4096,
    tie_embeddings=True,
)
"""4.5 million parameters, 9 MB in bfloat16. Every layer of the tower sees the whole of views up to 1,120 pixels."""

_DEVIATION = 0.02
"""Of the embeddings: transformers' own."""


def write_tiny_seed(directory: str | Path, sizes: SeedSizes = SIZES) -> Path:
    """Write a seed of `sizes` for scenes to `directory`, new or empty, and return it.

    Whole numbers are single tokens whose embeddings are waves: near numbers are alike from the start. Raises
    ConfigError as `cof_agent.policies.qwen.seed.write_seed` does.
    """
    folder = write_seed(directory, sizes=sizes, whole_numbers=NUMBERS, text=page(), profile=SCENE_PROFILE)
    processor: Any = load_processor(folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("embed_tokens.weight"))
    waves = number_waves()
    mixing = torch.randn(waves.shape[1], sizes.text_width, generator=torch.Generator().manual_seed(0))
    mixed = waves @ mixing
    weights[name][Scribe(processor.tokenizer).number_ids] = mixed * (_DEVIATION / mixed.std())
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def main(arguments: Sequence[str]) -> int:
    """Write the seed of `tiny` to the directory named. Returns the exit code."""
    return seed_command("training.tiny_pretrain.seed", write_tiny_seed, arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
