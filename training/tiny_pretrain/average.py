"""The mean of checkpoints that began alike: `python -m training.tiny_pretrain.average MODEL_DIR MODEL_DIR --into DIR`.

Runs with other seeds from one checkpoint differ by their noise, and their mean has less of it: so two machines, or two
cores, train one model.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cof_agent.errors import CofError, ConfigError
from cof_agent.files import atomic_directory
from training.tiny_pretrain.pupil import HEADS

_WEIGHTS = ("model.safetensors", HEADS)


def average(models: Sequence[Path], into: Path) -> Path:
    """Write the mean of the checkpoints `models` to the directory `into`, new or empty, and return it.

    Its small files are those of the first. Raises ConfigError for checkpoints of different weights or that cannot be
    read, and for a directory that holds something.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ConfigError(f"{into} is not empty: name another directory for the mean")
    means = {name: _mean([model / name for model in models]) for name in _WEIGHTS}
    with atomic_directory(into, private=False) as part:
        shutil.copytree(models[0], part, dirs_exist_ok=True)
        for name, mean in means.items():
            save_file(mean, part / name, metadata={"format": "pt"})
    return into


def _mean(files: Sequence[Path]) -> dict[str, torch.Tensor]:
    try:
        found = [load_file(file) for file in files]
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{error}: name directories that stages have written, with readings") from error
    forms = [{name: weight.shape for name, weight in weights.items()} for weights in found]
    for file, form in zip(files, forms, strict=True):
        if form != forms[0]:
            raise ConfigError(f"{file} has other weights than {files[0]}: name checkpoints that began alike")
    return {
        name: torch.stack([weights[name].float() for weights in found]).mean(0).to(weight.dtype)
        for name, weight in found[0].items()
    }


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code: 1 for an error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tiny_pretrain.average", description="The mean of checkpoints that began alike."
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL_DIR", help="what runs of a stage have written")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the mean is written")
    given = parser.parse_args(arguments)
    try:
        print(average(given.models, given.into))
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
