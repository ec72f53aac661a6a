"""Whether a checkpoint is on this machine, whole, of a kind that loads here, and small enough for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cof_agent.errors import ConfigError
from cof_agent.files import parse_json
from cof_agent.policies.checks.check import Check
from cof_agent.policies.known_checkpoints import MODEL_TYPES
from cof_agent.policies.profiles import OWN, profile_for
from cof_agent.policies.weights import weight_files

_SHARE = 0.9
"""Share of a device's memory that weights may take: images and the cache of the conversation need the rest."""

_LATER = "it is looked at once the extra local is installed"


def check_checkpoint(rest: str) -> Iterator[Check]:
    """What `load_qwen(rest)` needs beside its packages. Raises ConfigError when `rest` cannot name a checkpoint."""
    where, revision = _parted(rest)  # not the loader's own function, which is not there without the extra
    folder = os.path.expanduser(where)
    if os.path.isdir(folder):
        if revision is not None:
            yield Check.missing(f"revision {revision} of {folder}", "a directory has no revisions: leave it out")
        yield from _directory(Path(folder), where, "copy or download it again")
        return
    found = _snapshot(where, revision)
    if isinstance(found, Path):
        yield from _directory(found, where, _download(where, revision))
        return
    yield found
    yield Check.profile_of(where)


def _parted(rest: str) -> tuple[str, str | None]:
    """The directory or id, and the revision."""
    where, at, revision = rest.rpartition("@")
    if not at or os.path.exists(os.path.expanduser(rest)):
        return rest, None
    if not where or not revision:
        raise ConfigError(f"{rest!r} names no checkpoint: give a directory, a hub id, or ID@REVISION")
    return where, revision


def _snapshot(where: str, revision: str | None) -> Path | Check:
    """The checkpoint in the hub's cache, or what to do where it is not."""
    no_directory = Check.missing(f"checkpoint directory {where}", "check the path, or name an id on the hub")
    if os.path.exists(os.path.expanduser(where)):
        return no_directory
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return Check.unknown(f"checkpoint {where}", _LATER)
    try:
        return Path(snapshot_download(where, revision=revision, local_files_only=True))
    except HFValidationError:
        return no_directory
    except LocalEntryNotFoundError:
        name = where if revision is None else f"{where}@{revision}"
        return Check.missing(f"checkpoint {name} on this machine", f"{_download(where, revision)}, or give a directory")


def _download(where: str, revision: str | None) -> str:
    return f"hf download {where}" + (f" --revision {revision}" if revision else "")


def _directory(folder: Path, where: str, again: str) -> Iterator[Check]:
    try:
        weights = _weights(folder, again)
    except ConfigError as error:
        yield Check.missing(f"weights in {folder}", error)
    else:
        size = sum(file.stat().st_size for file in weights)
        yield Check("ok", f"checkpoint {folder}, {_in_units(size)} of weights")
        yield from _memory(size)
    kind, factor = _model_type(folder), None
    what = f"model type {kind}, tokenizer, image settings and chat template"
    try:
        from cof_agent.policies.qwen.checkpoint import find_checkpoint

        factor = find_checkpoint(folder).factor
    except ConfigError as error:
        yield Check.missing(what, error)
    except ImportError:
        if kind in MODEL_TYPES:
            yield Check.unknown(what, _LATER)
        else:
            yield Check.missing(f"config.json with one of {', '.join(MODEL_TYPES)}", f"it has model_type {kind!r}")
    else:
        yield Check("ok", what)
    yield from _profiled(folder, where, kind, factor)


def _model_type(folder: Path) -> str | None:
    try:
        return str(parse_json((folder / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _weights(folder: Path, again: str) -> list[Path]:
    """The files with the weights. Raises ConfigError when one is missing, or is damaged."""
    files = weight_files(folder, again)
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        return files
    for file in files:
        try:
            with safe_open(file, framework="np"):  # reads the header alone and compares it with the file's length
                pass
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"{file.name} is damaged or cut off ({error}): {again}") from error
    return files


def _memory(weights: int) -> Iterator[Check]:
    """Whether weights of so many bytes, as stored, fit the device that would be chosen."""
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        free, device = torch.cuda.mem_get_info()[0], torch.cuda.get_device_name()
    else:
        free, device = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the CPU"
        weights *= 2  # stored as bfloat16 as a rule, computed with as float32
    what = f"memory: {_in_units(weights)} of weights on {device} with {_in_units(free)}"
    if weights <= _SHARE * free:
        yield Check("ok", what)
    else:
        yield Check.missing(
            what, "a smaller checkpoint, --option dtype=bfloat16, or a server (openai:MODEL --base-url)"
        )


def _in_units(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _profiled(folder: Path, where: str, model_type: str | None, factor: int | None) -> Iterator[Check]:
    """The profile that the checkpoint would be given, and whether its images have sides in multiples of `factor`."""
    try:
        profile, told_by = profile_for(where, model_type=model_type, folder=folder)
    except ConfigError as error:
        yield Check.missing(f"profile in its {OWN}", error)
        return
    yield Check.spoken_to(profile.dialect, told_by)
    if factor is not None and {profile.overview.factor, profile.regions.factor} != {factor}:
        yield Check.missing(
            f"profile with images in multiples of {factor} pixels", "set this as factor in its overview and regions"
        )
