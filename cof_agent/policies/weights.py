"""The files that hold a checkpoint's weights: safetensors, inside of its directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError
from cof_agent.images.named_file import NamedFileError, is_inside, named_file

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_SUFFIX = ".safetensors"
_PICKLES = ("bin", "pt", "pth", "ckpt")


def weight_files(folder: Path, again: str = "download it again") -> list[Path]:
    """The files that transformers reads the weights of `folder` from; none of them is opened.

    `again` is what to do about a damaged copy. Raises ConfigError when there are none, one is missing or is no
    safetensors file in `folder`, or there is something beside them that would be read as well.
    """
    if (folder / "adapter_config.json").exists():  # transformers would put it on top of the model, pickle or not
        raise ConfigError(
            f"{folder} holds a model and an adapter: move adapter_config.json and the adapter's weights to a directory "
            "of their own, and give that as the option adapter"
        )
    config = _config(folder)
    _check_attention(config, folder)
    named = config.get("transformers_weights")
    first: Path | None
    if named is not None:
        first = _inside(folder, named, (_SUFFIX, f"{_SUFFIX}.index.json"), "config.json", again)
    else:
        first = next((folder / name for name in (WHOLE, INDEX) if (folder / name).is_file()), None)
    if first is None:
        raise ConfigError(_lacking(folder, again))
    if first.suffix == _SUFFIX:
        return [_inside(folder, first.name, (_SUFFIX,), "the directory", again)]
    _inside(folder, first.name, (".json",), "the directory", again)
    try:
        names = sorted(set(json.loads(first.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{first.name} is damaged ({type(error).__name__}): {again}") from error
    if lacking := [name for name in names if isinstance(name, str) and not os.path.exists(folder / name)]:
        raise ConfigError(f"{len(lacking)} of {len(names)} files are not there, {lacking[0]} for one: {again}")
    return [_inside(folder, name, (_SUFFIX,), first.name, again) for name in names]


def check_links(folder: Path, patterns: Iterable[str]) -> None:
    """Raise ConfigError where a file of `folder` that matches one of `patterns` is a link that leads out of it."""
    for pattern in patterns:
        for file in sorted(folder.glob(pattern)):
            if not is_inside(file, folder):
                raise ConfigError(f"{file} is a link that leads out of {folder}: put the file itself there")


def _inside(folder: Path, name: Any, suffixes: tuple[str, ...], says: str, again: str) -> Path:
    """The file that `says` names. Raises ConfigError for anything but a file of such a kind in `folder`."""
    if not isinstance(name, str) or not name.endswith(suffixes):
        raise ConfigError(
            f"{says} in {folder} names {name!r:.80} as weights: only {_SUFFIX} files are read, since a pickle can run "
            f"any code; convert them with save_pretrained, or {again}"
        )
    try:
        return named_file(name, folder)
    except NamedFileError as error:
        raise ConfigError(f"the weights {name!r:.80}, which {says} in {folder} names: it {error}, or {again}") from None


def _config(folder: Path) -> dict[str, Any]:
    """What config.json says. Whoever loads it tells what is wrong with it."""
    try:
        value = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_attention(config: dict[str, Any], folder: Path) -> None:
    """Raise ConfigError for a configuration that has transformers fetch a kernel, which is code, from the hub."""
    for name, value in config.items():
        if name.endswith("attn_implementation") and "/" in str(value):
            raise ConfigError(
                f"config.json in {folder} names {value!r:.80} as {name}, which is code to be fetched and run: "
                "take that line out"
            )
        if isinstance(value, dict):
            _check_attention(value, folder)


def _lacking(folder: Path, again: str) -> str:
    others = sorted(path.name for end in _PICKLES for path in folder.glob(f"*.{end}"))
    if others:
        return (
            f"{folder} has its weights as pickle ({others[0]}), which can run any code when read: convert them to "
            f"safetensors with save_pretrained, or {again}"
        )
    return (
        f"{folder} has no weights: there is no {WHOLE} and no {INDEX}, and only safetensors are read: convert what is "
        f"there with save_pretrained, or {again}"
    )
