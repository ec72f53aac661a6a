"""A LoRA adapter on top of a model."""

from __future__ import annotations

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.policies.weights import check_links

WEIGHTS = "adapter_model.safetensors"


def check_adapter(directory: Path) -> None:
    """Raise ConfigError for no LoRA adapter, or one whose weights are pickle, and MissingExtraError without peft."""
    if find_spec("peft") is None:
        raise MissingExtraError.for_extra("local", "a LoRA adapter")
    if not (directory / "adapter_config.json").is_file():
        raise ConfigError(f"{directory} is not the directory of an adapter: it has no adapter_config.json")
    if not (directory / WEIGHTS).is_file():
        raise ConfigError(f"{directory} has no {WEIGHTS}: other forms of weights are not read")
    check_links(directory, ("adapter_config.json", WEIGHTS))
    try:
        config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
        kind = config["peft_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"adapter_config.json in {directory} cannot be read ({error!r}): copy it again") from error
    if kind != "LORA":  # others name further adapters, wherever these are
        raise ConfigError(f"{directory} is an adapter of type {kind!r:.40}: only LORA is read")
    if config.get("megatron_config"):  # peft would import the module that `megatron_core` names
        raise ConfigError(f"adapter_config.json in {directory} has a megatron_config: take that line out")


def add_adapter(model: Any, directory: Path) -> Any:
    """`model` with the layers of a checked adapter in it, not merged: what is computed is what was trained.

    Raises ConfigError when the adapter was made for another model.
    """
    from peft import PeftModel, get_peft_model_state_dict

    unfit = f"the adapter {directory} does not fit {model.config.name_or_path or 'the checkpoint'}"
    try:
        with_adapter = PeftModel.from_pretrained(model, str(directory))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # peft: layers missing, sizes that differ
        raise ConfigError(f"{unfit}: {str(error).strip().splitlines()[0]}: give the base it was trained on") from error
    # peft only warns about weights that it finds no place for: the model would answer as if there were no adapter.
    if _content(get_peft_model_state_dict(with_adapter)) != _content(load_file(directory / WEIGHTS)):
        raise ConfigError(f"{unfit}: some of its weights belong to no layer: give the base it was trained on")
    return with_adapter.get_base_model()


def _content(tensors: dict[str, torch.Tensor]) -> Counter[tuple[tuple[int, ...], float]]:
    """The tensors without their names, which differ between versions of transformers."""
    return Counter((tuple(tensor.shape), round(float(tensor.double().sum()), 6)) for tensor in tensors.values())
