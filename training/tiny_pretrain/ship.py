"""Put a trained checkpoint into the package as the policy `tiny`: `python -m training.tiny_pretrain.ship MODEL_DIR`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cof_agent.errors import CofError, ConfigError
from cof_agent.files import atomic_write
from cof_agent.policies.qwen import load_qwen
from training.tiny_pretrain.seed import SIZES

ASSETS = Path(__file__).parents[2] / "cof_agent" / "policies" / "tiny" / "checkpoint"
"""Where the package has it."""
CARD = "README.md"
"""The model card, which stays as it is."""
LIMIT = 12_000_000
"""Bytes of all files together."""
NEEDED = (
    "chat_template.jinja", "config.json", "focus.json", "generation_config.json", "model.safetensors",
    "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip
"""What the policy needs of a checkpoint; readings, optimizers and records of the training are left behind."""
ALSO = ("processor_config.json",)
"""What a trainer writes beside, and loaders of transformers look for."""


def ship(model: Path, assets: Path = ASSETS) -> Path:
    """Replace what is in `assets` by the checkpoint in `model`, whole or not at all, and return `assets`.

    Weights are put into bfloat16. The card that is there stays; where there is none it is the package's. Raises
    ConfigError for a directory that is no trained checkpoint of this kind or holds more than `LIMIT` bytes, and for
    `assets` with anything else in it.
    """
    model, assets = model.expanduser(), assets.expanduser().absolute()
    part, old = (assets.with_name(f".{assets.name}.{end}") for end in ("part", "old"))
    if old.exists() and not assets.exists():  # killed between the two renames below
        old.rename(assets)
    _check_place(assets)
    names = _names(model)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        card = assets / CARD if (assets / CARD).is_file() else ASSETS / CARD
        for source in (*(model / name for name in names), *([card] if card.is_file() else [])):
            with atomic_write(part / source.name, private=False) as copy, source.open("rb") as content:
                shutil.copyfileobj(content, copy)
        _check_checkpoint(part, model)
        _shorten(part / "model.safetensors")
        _check_policy(part, model)
        shutil.rmtree(old, ignore_errors=True)
        if assets.exists():
            assets.rename(old)
        part.rename(assets)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return assets


def _check_place(assets: Path) -> None:
    if assets.exists() and not assets.is_dir():
        raise ConfigError(f"{assets} is no directory: name the one that the checkpoint is to be in")
    found = {path.name for path in assets.iterdir()} if assets.exists() else set()
    if foreign := sorted(found - {CARD, *NEEDED, *ALSO}):
        raise ConfigError(f"{assets} holds {foreign[0]}, which is no part of tiny: name another place")


def _names(model: Path) -> Iterable[str]:
    """What is taken of a checkpoint."""
    if lacking := [name for name in NEEDED if not (model / name).is_file()]:
        raise ConfigError(f"{model} has no {', no '.join(lacking)}: name the directory of a trained checkpoint of tiny")
    return [name for name in (*NEEDED, *ALSO) if (model / name).is_file()]


def _check_checkpoint(folder: Path, model: Path) -> None:
    """See that it has tiny's vocabulary, and that its weights are numbers."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, vocabulary = config["model_type"], config["text_config"]["vocab_size"]
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ConfigError(f"{model} is no checkpoint of tiny: {type(error).__name__}: {error}") from error
    if (kind, vocabulary) != ("qwen2_5_vl", SIZES.vocab):
        raise ConfigError(
            f"{model} is a {kind} with {vocabulary} tokens, and tiny is a qwen2_5_vl with {SIZES.vocab}: start from "
            "training.tiny_pretrain.seed"
        )
    if broken := sorted(name for name, weight in weights.items() if not weight.isfinite().all()):
        raise ConfigError(f"{model} has weights that are no numbers, {broken[0]} for one: take an earlier save")


def _shorten(file: Path) -> None:
    """Put weights into bfloat16: a run that learnt in float32 writes them so."""
    weights = load_file(file)
    if any(weight.dtype == torch.float32 for weight in weights.values()):
        save_file({name: weight.bfloat16() for name, weight in weights.items()}, file, {"format": "pt"})


def _check_policy(folder: Path, model: Path) -> None:
    """See that it is as small as tiny is to be, and that the policy opens."""
    if (size := sum(path.stat().st_size for path in folder.iterdir() if path.name != CARD)) > LIMIT:
        raise ConfigError(f"{model} has {size:,} bytes in bfloat16, more than the {LIMIT:,} of tiny")
    load_qwen(str(folder), device="cpu")


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code: 1 for an error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tiny_pretrain.ship", description="Put a trained checkpoint into the package as `tiny`."
    )
    parser.add_argument(
        "model", type=Path, metavar="MODEL_DIR", help="what a stage, training.sft or training.grpo has written"
    )
    parser.add_argument("--assets", type=Path, default=ASSETS, help="instead of the package's own place")
    given = parser.parse_args(arguments)
    try:
        placed = ship(given.model, given.assets)
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{placed}: {sum(path.stat().st_size for path in placed.iterdir()):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
