"""A Qwen-VL checkpoint: found, checked and opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.adapter import add_adapter, check_adapter
from cof_agent.policies.qwen.processor import SMALL_FILES, load_processor, local_directory
from cof_agent.policies.qwen.quiet import quietly
from cof_agent.policies.weights import weight_files

STRUCTURE = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
"""What Qwen-VL's chat templates build conversations of."""

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Defaults:
    """How the checkpoint's own `generation_config.json` says that it is to be sampled."""

    temperature: float = 0.0
    """0: the likeliest token always."""
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model in memory, ready to be run, with what belongs to it."""

    name: str
    """The directory or hub id it was opened from."""
    folder: Path
    """Where its files are."""
    model_type: str
    model: Any = field(repr=False)
    """A transformers model with a language model head, in eval mode."""
    processor: Any = field(repr=False)
    defaults: Defaults = Defaults()
    patch: int = 14
    """Side of a vision patch in pixels."""
    merge: int = 2
    """Patches along each side that become one visual token."""
    image_token: int = -1
    never: tuple[int, ...] = field(default=(), repr=False)
    """Ids that must not be generated: placeholders of images and videos."""
    ends: tuple[int, ...] = ()
    """Ids that end a turn; the first is the one that the chat template writes."""
    structure: frozenset[int] = field(default=frozenset(), repr=False)
    """Ids that build a conversation: ends of turns, padding, placeholders of images. They are in no text, while other
    special tokens, such as those around boxes, are words that the policy may write."""

    @property
    def factor(self) -> int:
        """Sides of images are multiples of this many pixels: 28 up to Qwen2.5-VL, 32 from Qwen3-VL on."""
        return self.patch * self.merge

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def positions(self) -> int:
        """Tokens that prompt and reply may have together."""
        return int(self.model.config.get_text_config().max_position_embeddings)


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint whose weights were neither fetched nor read yet."""

    name: str
    """The directory or hub id."""
    revision: str | None
    folder: Path
    """Where its small files are."""
    model_type: str
    processor: Any = field(repr=False)
    patch: int
    merge: int
    image_token: int
    never: tuple[int, ...] = field(repr=False)
    ends: tuple[int, ...]
    structure: frozenset[int] = field(repr=False)
    """As in `Checkpoint`, as far as the small files tell."""

    @property
    def factor(self) -> int:
        return self.patch * self.merge


def find_checkpoint(where: str | os.PathLike[str], *, revision: str | None = None) -> Found:
    """The checkpoint in a directory or, by its id, on the hub, but for its weights.

    Raises ConfigError when there is none, it is of another kind, or its small files are missing or damaged.
    """
    _check_text("revision", revision)
    name = os.fspath(where)
    folder = local_directory(where, revision=revision)
    processor: Any = load_processor(folder)
    try:
        config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, StrictDataclassError) as error:
        raise ConfigError(
            f"config.json in {folder} cannot be read ({_first_line(error)}): download it again"
        ) from error
    vision, images = config.vision_config, processor.image_processor
    ours = (int(vision.patch_size), int(vision.spatial_merge_size))
    theirs = (int(images.patch_size), int(images.merge_size))
    if ours != theirs:
        raise ConfigError(
            f"{name}: preprocessor_config.json has patch_size and merge_size {theirs}, but config.json {ours}"
        )
    tokenizer = processor.tokenizer
    known = tokenizer.get_vocab()
    ends = _distinct(known.get("<|im_end|>"), tokenizer.eos_token_id)
    placeholders = _distinct(config.image_token_id, config.video_token_id)
    others = (tokenizer.pad_token_id, tokenizer.bos_token_id)
    return Found(
        name=name,
        revision=revision,
        folder=folder,
        model_type=str(config.model_type),
        processor=processor,
        patch=ours[0],
        merge=ours[1],
        image_token=int(config.image_token_id),
        never=placeholders,
        ends=ends,
        structure=frozenset(_distinct(*map(known.get, STRUCTURE), *placeholders, *ends, *others)),
    )


def open_checkpoint(
    where: str | os.PathLike[str],
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    adapter: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """Open a Qwen2-VL, Qwen2.5-VL, Qwen3-VL or Qwen3.5 checkpoint from a directory or, by its id, from the hub.

    Weights are read from safetensors inside of the checkpoint only, and code that comes with it is never run.
    `device` is a torch device; without it CUDA is taken, else MPS, else the CPU. `dtype` is `bfloat16` (the default
    on CUDA and MPS), `float16` or `float32` (the default on the CPU). `adapter` is the directory of a LoRA adapter of
    peft.

    Raises ConfigError when something is missing, is not supported or does not fit, and MissingExtraError for an
    adapter without peft.
    """
    return open_found(find_checkpoint(where, revision=revision), device=device, dtype=dtype, adapter=adapter)


def open_found(
    found: Found,
    *,
    device: str | None = None,
    dtype: str | None = None,
    adapter: str | os.PathLike[str] | None = None,
) -> Checkpoint:
    """`open_checkpoint` for one that was found."""
    name = found.name
    target = _device(device)
    kind = _dtype(dtype, target)
    _check_text("adapter", adapter)
    addition = None if adapter is None else Path(os.path.expanduser(adapter))
    if addition:
        check_adapter(addition)
    folder = local_directory(name, revision=found.revision, patterns=(*SMALL_FILES, "*.safetensors"))
    weight_files(folder)
    try:
        with quietly():
            opened: Any = AutoModelForImageTextToText.from_pretrained(
                folder, dtype=kind, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            model, report = opened
            if missing := sorted(report["missing_keys"]):  # transformers would go on with random ones
                raise ConfigError(
                    f"{name} lacks {len(missing)} of its weights, {missing[0]} for one: download it again"
                )
            if addition:
                model = add_adapter(model, addition)
            model = model.to(target).eval()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ConfigError(_too_large(name, target)) from error
    except (OSError, ValueError, SafetensorError, StrictDataclassError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"the model in {name} cannot be read ({_first_line(error)}): download it again") from error
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise ConfigError(_too_large(name, target)) from error
        raise ConfigError(f"the weights of {name} do not fit its config.json: {_first_line(error)}") from error
    return _assembled(found, folder, model)


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name} must be a text, not {value!r}")


def _device(device: str | None) -> torch.device:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    _check_text("device", device)
    if device is None:
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"{device!r} is not a device: give cuda, cuda:1, mps or cpu") from error
    there = {"cpu": True, "mps": mps, "cuda": cuda and (found.index or 0) < torch.cuda.device_count()}
    if not there.get(found.type, False):
        raise ConfigError(f"the device {device!r} is not available on this machine: give another one, such as cpu")
    return found


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    _check_text("dtype", dtype)
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if dtype not in DTYPES:
        raise ConfigError(f"{dtype!r} is not a dtype: choose one of {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _assembled(found: Found, folder: Path, model: Any) -> Checkpoint:
    config, own = model.config, model.generation_config
    beyond = range(len(found.processor.tokenizer), int(config.get_text_config().vocab_size))  # padding, never trained
    defaults = _defaults(own)
    others = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    ends = _distinct(*found.ends, *others)
    # `generate` would mix the values there into ours.
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    return Checkpoint(
        name=found.name,
        folder=folder,
        model_type=str(config.model_type),
        model=model,
        processor=found.processor,
        defaults=defaults,
        patch=found.patch,
        merge=found.merge,
        image_token=found.image_token,
        never=(*sorted(_distinct(*found.never, *(own.suppress_tokens or ()))), *beyond),
        ends=ends,
        structure=found.structure | {*ends},
    )


def _distinct(*tokens: int | None) -> tuple[int, ...]:
    """Each id once; None is none."""
    return tuple(dict.fromkeys(int(token) for token in tokens if token is not None))


def _defaults(config: Any) -> Defaults:
    temperature = config.temperature if config.temperature is not None else 1.0
    return Defaults(
        temperature=float(temperature) if config.do_sample else 0.0,
        top_p=float(config.top_p if config.top_p is not None else 1.0),
        top_k=int(config.top_k or 0),
        repetition_penalty=float(config.repetition_penalty or 1.0),
    )


def _too_large(name: str, device: torch.device) -> str:
    return (
        f"{name} does not fit into the memory of {device}: give another device, dtype=bfloat16 or a smaller checkpoint"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
