"""The processor of a Qwen-VL checkpoint, for images and text, without torchvision.

transformers' own `AutoProcessor` needs torchvision for the video half of these processors, which a zooming policy
never uses. The classes here leave it out, under the upstream names, so that what they save loads upstream.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.policies.weights import check_links

try:
    import httpx
    import jinja2  # noqa: F401  # the chat template needs it, and torch everything else
    import torch  # noqa: F401
    import transformers
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from transformers import AutoTokenizer, PreTrainedTokenizerBase, ProcessorMixin, Qwen2VLImageProcessorPil
except ImportError as missing:
    raise MissingExtraError.for_extra("local", "a checkpoint run on this machine") from missing

__all__ = ["SMALL_FILES", "load_processor", "local_directory"]

IMAGE_TOKEN = "<|image_pad|>"

SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""All of a checkpoint but its weights."""
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_LONGEST_ID = 96
"""The hub's own limit."""


class _ImagesOnly(ProcessorMixin):
    """What the three classes share."""

    video_processor = None

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            image_processor, tokenizer, None, chat_template=chat_template, **kwargs
        )

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> Any:
        """Save for upstream classes: also the image settings in a file of their own, which other engines look for."""
        saved = super().save_pretrained(save_directory, push_to_hub, **kwargs)
        return [*saved, *self.image_processor.save_pretrained(save_directory)]


class Qwen2VLProcessor(_ImagesOnly, transformers.Qwen2VLProcessor):
    """Qwen2-VL's, for images and text."""


class Qwen2_5_VLProcessor(_ImagesOnly, transformers.Qwen2_5_VLProcessor):  # noqa: N801
    """Qwen2.5-VL's, for images and text."""


class Qwen3VLProcessor(_ImagesOnly, transformers.Qwen3VLProcessor):
    """Qwen3-VL's and Qwen3.5's, for images and text."""


PROCESSORS: dict[str, type[_ImagesOnly]] = {
    "qwen2_vl": Qwen2VLProcessor,
    "qwen2_5_vl": Qwen2_5_VLProcessor,
    "qwen3_vl": Qwen3VLProcessor,
    "qwen3_vl_moe": Qwen3VLProcessor,
    "qwen3_5": Qwen3VLProcessor,
    "qwen3_5_moe": Qwen3VLProcessor,
}
"""By the `model_type` of a checkpoint's config.json."""


NOT_YET = ("qwen4_exp",)
"""Model types of Qwen's that transformers knows and that were not tried here: Qwen4-Exp has further kinds of layers."""


def load_processor(directory_or_id: str | os.PathLike[str], *, revision: str | None = None) -> ProcessorMixin:
    """The processor of a Qwen2-VL, Qwen2.5-VL, Qwen3-VL or Qwen3.5 checkpoint, with its chat template.

    `directory_or_id` is a directory, or an id on the Hugging Face hub (then `revision` may name a branch, tag or
    commit), which is taken from the local cache where there is no network. No code of the checkpoint is run. Raises
    ConfigError, naming the place and what to do, when there is no such checkpoint, it is of another kind, or its
    config.json, tokenizer, image settings or chat template are missing or damaged.
    """
    folder = local_directory(directory_or_id, revision=revision)
    check_links(folder, SMALL_FILES)
    kind = _read_json(folder, "config.json", "is this a checkpoint in the format of transformers?").get("model_type")
    if kind in NOT_YET:
        raise ConfigError(
            f"{folder} is a checkpoint of model_type {kind!r}, which is not supported yet: start a server that runs it "
            "and name it as openai:MODEL with its base_url, and how it is spoken to with dialect or profile"
        )
    if kind not in PROCESSORS:
        raise ConfigError(
            f"{folder} is a checkpoint of model_type {kind!r}; those that load here are {', '.join(PROCESSORS)}: for "
            "other models start a server and name it as openai:MODEL with its base_url"
        )
    again = "copy it from the checkpoint that this one was trained from"
    _read_json(folder, "tokenizer_config.json", f"without it turns would not end; {again}")
    _read_json(folder, _image_settings(folder), again)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
        settings, _ = PROCESSORS[kind].get_processor_dict(folder)
    except Exception as error:  # a damaged file raises nearly anything, Rust's errors among it
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"the processor in {folder} cannot be loaded ({reason}): download it again") from error
    template = settings.get("chat_template") or tokenizer.chat_template
    if not template:
        raise ConfigError(f"{folder} has no chat template: put its chat_template.jinja there; {again}")
    _check_image_token(tokenizer, folder)
    return PROCESSORS[kind](image_processor, tokenizer, chat_template=template)


def local_directory(
    directory_or_id: str | os.PathLike[str], *, revision: str | None = None, patterns: Sequence[str] = SMALL_FILES
) -> Path:
    """Where the files of a checkpoint are: the directory itself, or the hub's snapshot after fetching what is missing.

    `patterns` says which files of a hub id are fetched (default: all but the weights). Raises ConfigError, naming the
    place and what to do, when there is no such directory or id, or it is not cached and cannot be fetched.
    """
    name = os.fspath(directory_or_id)
    folder = Path(os.path.expanduser(name))
    if name and _is_directory(folder):
        if revision is not None:
            raise ConfigError(f"{folder} is a directory and has no revision {revision!r}: leave it out")
        return folder
    if isinstance(directory_or_id, Path) or not _HUB_ID.fullmatch(name) or len(name) > _LONGEST_ID or folder.exists():
        raise ConfigError(f"there is no checkpoint directory {name!r}: check the path")
    where = name if revision is None else f"{name} at revision {revision}"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except GatedRepoError as error:
        raise ConfigError(f"{where} may not be read: accept its terms on the hub and run `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise ConfigError(f"the hub has no revision {revision!r} of {name}: name a branch, tag or commit") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ConfigError(
            f"neither this machine nor the hub has a checkpoint {where}: check the path or the id; if it is private, "
            "run `hf auth login`"
        ) from error
    except (LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise ConfigError(
            f"there is no directory {where}, and as an id on the hub it is not in the local cache and cannot be "
            f"fetched: check the path, or run `hf download {name}` where there is a network"
        ) from error


def _is_directory(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # a name that is too long
        return False


def _image_settings(folder: Path) -> str:
    """The file with the settings of images: newer checkpoints may have them among those of the processor."""
    whole = "processor_config.json"
    if (folder / whole).is_file() and not (folder / "preprocessor_config.json").is_file():
        return whole
    return "preprocessor_config.json"


def _read_json(folder: Path, name: str, remedy: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{folder} has no readable {name} ({error.strerror or error}): {remedy}") from error
    except ValueError as error:
        raise ConfigError(f"{folder / name} is not JSON ({error}): {remedy}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{folder / name} is not a JSON object: {remedy}")
    return value


def _check_image_token(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    if len(tokenizer.encode(IMAGE_TOKEN, add_special_tokens=False)) != 1:
        raise ConfigError(f"the tokenizer in {folder} has no token {IMAGE_TOKEN}: it is not that of a Qwen-VL model")
