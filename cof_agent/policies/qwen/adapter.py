"""A LoRA adapter on top of a model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from cof_agent.errors import ConfigError, MissingExtraError


def add_adapter(model: Any, directory: Path) -> Any:
    """`model` with the adapter's layers in it, not merged: what is computed is what was trained.

    Raises ConfigError when the adapter is missing, is kept as pickle or was made for another model, and
    MissingExtraError without peft.
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise MissingExtraError.for_extra("local", "a LoRA adapter") from error
    if not (directory / "adapter_config.json").is_file():
        raise ConfigError(f"{directory} is not the directory of an adapter: it has no adapter_config.json")
    weights = directory / "adapter_model.safetensors"
    if not weights.is_file():
        raise ConfigError(f"{directory} has no adapter_model.safetensors: other forms of weights are not read")
    unfit = f"the adapter {directory} does not fit {model.config.name_or_path or 'the checkpoint'}"
    try:
        with_adapter = PeftModel.from_pretrained(model, str(directory))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # peft: layers missing, sizes that differ
        raise ConfigError(f"{unfit}: {str(error).strip().splitlines()[0]}: give the base it was trained on") from error
    # peft only warns about weights that it finds no place for: the model would answer as if there were no adapter.
    if _content(get_peft_model_state_dict(with_adapter)) != _content(load_file(weights)):
        raise ConfigError(f"{unfit}: some of its weights belong to no layer: give the base it was trained on")
    return with_adapter.get_base_model()


def _content(tensors: dict[str, torch.Tensor]) -> Counter[tuple[tuple[int, ...], float]]:
    """The tensors without their names, which differ between versions of transformers."""
    return Counter((tuple(tensor.shape), round(float(tensor.double().sum()), 6)) for tensor in tensors.values())
