"""The model that is trained: which weights move, and what is left at the end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.distributed.fsdp import FSDPModule
from transformers import AutoModelForImageTextToText
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.files import atomic_directory
from cof_agent.policies.qwen.processor import SMALL_FILES, load_processor, local_directory
from cof_agent.policies.qwen.quiet import quietly
from cof_agent.policies.weights import weight_files
from training.checkpoints import write_json
from training.settings import Settings

FINAL, ADAPTER = "final", "adapter"
_VISION = "model.visual."
_PROJECTOR = re.compile(r"model\.visual\.(merger|deepstack_merger_list\.\d+)")


def open_model(settings: Settings) -> Any:
    """The checkpoint, with gradients only where something is learnt. Adapters are not in it yet."""
    folder = local_directory(settings.model, revision=settings.revision, patterns=(*SMALL_FILES, "*.safetensors"))
    weight_files(folder)
    with quietly():
        try:
            model: Any = AutoModelForImageTextToText.from_pretrained(
                folder, dtype=getattr(torch, settings.dtype), use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"the model in {folder} cannot be read ({str(error).splitlines()[0]})") from error
    model.config.name_or_path = settings.model  # adapters name their base
    for name, weight in model.named_parameters():
        weight.requires_grad_(_learns(name, settings))
    return model


def adapters(model: Any, settings: Settings) -> LoraConfig | None:
    """Where adapters go: every linear layer of the parts that learn. The projector learns as a whole."""
    if settings.lora is None:
        return None
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and not name.endswith("lm_head")
        and _learns(f"{name}.weight", settings)
        and not _PROJECTOR.match(name)
    ]
    whole = [name for name, _ in model.named_modules() if _PROJECTOR.fullmatch(name)]
    return LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=linear,
        modules_to_save=whole if settings.train_projector else None,
        task_type="CAUSAL_LM",
    )


def take_weights(model: Any, save: Path) -> None:
    """Put the weights of a save into the model, all of them."""
    weight_files(save)
    with quietly():
        saved: Any = AutoModelForImageTextToText.from_pretrained(save, dtype=torch.float32, use_safetensors=True)
    model.load_state_dict(saved.state_dict())


def keep_learnt_in_full(model: Any) -> int:
    """Weights that learn become float32: small steps would be lost in fewer bits. Returns how many numbers they are."""
    count = 0
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
            count += weight.numel()
    return count


def gather_head_in_time(model: Any) -> None:
    """Let a sharded output layer be whole whenever the model is run.

    TRL 1.16 multiplies with its weight and never calls the layer, which is what FSDP waits for: each process would
    learn its shard of it from its own rows alone.
    """
    head, backbone = model.get_output_embeddings(), model.get_base_model() if hasattr(model, "peft_config") else model

    def gather(*_: Any) -> None:
        if isinstance(head, FSDPModule):
            head.unshard()

    backbone.base_model.register_forward_pre_hook(gather)


def write_final(weights: Mapping[str, torch.Tensor], settings: Settings, profile: Profile) -> Path:
    """Write the trained model to OUTPUT/final, with its profile, and what was added by LoRA to OUTPUT/adapter.

    `weights` are all of the model that was trained, adapters and frozen ones too, under its own names. They are put
    into the checkpoint anew, whole and in the memory of this process: the model itself may be spread over many.
    """
    output = Path(settings.output)
    base = local_directory(settings.model, revision=settings.revision)
    unset_hf_deepspeed_config()  # under ZeRO-3 a model that is opened is spread over all processes, and waits for them
    model = open_model(settings)
    added = adapters(model, settings)
    if added is not None:
        model = get_peft_model(model, added)
    keep_learnt_in_full(model)
    model.load_state_dict(weights)
    if added is not None:
        with atomic_directory(output / ADAPTER, private=False) as folder:
            model.save_pretrained(folder)
            write_json(folder / "focus.json", profile.model_dump(mode="json"))
        model = model.merge_and_unload()
    with atomic_directory(output / FINAL, private=False) as folder, quietly():
        model.to(getattr(torch, settings.dtype)).save_pretrained(folder)
        load_processor(base).save_pretrained(folder)
        if (base / "generation_config.json").is_file():
            shutil.copyfile(base / "generation_config.json", folder / "generation_config.json")
        write_json(folder / "focus.json", profile.model_dump(mode="json"))
    return output / FINAL


def _learns(name: str, settings: Settings) -> bool:
    if _PROJECTOR.match(name):
        return settings.train_projector
    return settings.train_vision_tower or not name.startswith(_VISION)
