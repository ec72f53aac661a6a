"""Saves of a run: made in time, known to be whole, and of the same configuration."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from pydantic import BaseModel
from transformers import TrainerCallback

from cof_agent.errors import ConfigError
from cof_agent.files import atomic_write, json_line

RECORD = "training.json"
"""In the output directory: settings and data of the run."""
CACHE = "rows"
"""In the output directory: what `datasets` makes of the rows."""
JUDGMENTS = "judge.jsonl"
"""In the output directory: what a judge has said."""
WHOLE = "whole.json"
"""In a save, written last: its files and their sizes in bytes."""
_OF_THE_PLACE = {"output", "data", "workers", "save_steps", "save_minutes", "keep", "log_steps"}
"""Settings that say where and how often, and change nothing in what is learnt; rows are known by their content."""
_END = 2**20
"""Bytes of each end of a file of weights by which it is known."""
_NAME = re.compile(r"checkpoint-(\d+)")


class TimelySaves(TrainerCallback):
    """Saves when the last save is `minutes` old, and marks every save that is whole.

    A save is due only after multiples of `every` steps. `clock` gives seconds.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic, *, every: int = 1) -> None:
        self._seconds, self._clock, self._every = 60 * minutes, clock, every
        self._last = clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        due = self._clock() - self._last >= self._seconds
        if args.world_size > 1:  # all processes save, or none
            due = broadcast_object_list([due])[0]
        control.should_save = control.should_save or (due and state.global_step % self._every == 0)
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._last = self._clock()
        if args.world_size > 1:  # until all have written their parts
            PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def mark_whole(save: Path) -> None:
    """Write down what a finished save holds, the parts of all processes among it."""
    sizes = {
        str(file.relative_to(save)): file.stat().st_size
        for file in sorted(save.rglob("*"))
        if file.is_file() and file.name != WHOLE
    }
    write_json(save / WHOLE, sizes)


def last_save(output: Path, *, clean: bool = False) -> Path | None:
    """The newest whole save. With `clean`, torn ones are removed."""
    found = [(int(match[1]), path) for path in output.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    whole = [path for _, path in sorted(found) if _is_whole(path)]
    if clean:
        for _, path in found:
            if path not in whole:
                shutil.rmtree(path, ignore_errors=True)
    return whole[-1] if whole else None


def _is_whole(save: Path) -> bool:
    try:
        sizes = json.loads((save / WHOLE).read_text(encoding="utf-8"))
        return bool(sizes) and all((save / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def check_same_run(output: Path, settings: BaseModel) -> None:
    """See that what `output` holds, if anything, is of this configuration.

    Raises ConfigError that names what differs, or when the directory holds something else.
    """
    now = _record(settings)
    path = output / RECORD
    if not path.exists():
        if output.exists() and (not output.is_dir() or any(map(_foreign, output.iterdir()))):
            raise ConfigError(f"{output} exists and holds no run of this kind: name a new directory as output")
        return
    try:
        then = json.loads(path.read_text(encoding="utf-8"))
        names = sorted({*then, *now})
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): name a new directory as output") from error
    different = [
        f"{name} was {then.get(name)!r:.80}, is {now.get(name)!r:.80}"
        for name in names
        if then.get(name) != now.get(name)
    ]
    if different:
        raise ConfigError(
            f"{output} holds a run of another configuration: {'; '.join(different)}. Take that configuration to go on "
            "with it, or name a new directory as output"
        )


def _foreign(path: Path) -> bool:
    """Whether it is nothing that a run leaves before its record."""
    return path.name not in (CACHE, JUDGMENTS) and not path.name.startswith(".")


def record_run(output: Path, settings: BaseModel) -> None:
    """Write down settings and data, for `check_same_run`."""
    output.mkdir(parents=True, exist_ok=True)
    if not (output / RECORD).exists():
        write_json(output / RECORD, _record(settings))


def write_json(path: Path, value: Any) -> None:
    """Write it whole or not at all."""
    with atomic_write(path, private=False) as file:
        file.write(json_line(value, indent=2))


def _record(settings: BaseModel) -> dict[str, Any]:
    record = settings.model_dump(mode="json", exclude=_OF_THE_PLACE)
    if (model := Path(record["model"])).is_dir():
        record["model (SHA-256)"] = _fingerprint(model)
    if (data := getattr(settings, "data", None)) is None:
        return record
    digest = hashlib.sha256()
    for file in sorted(path for kind in ("*.jsonl", "*.parquet") for path in Path(data).glob(kind)):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return {**record, "rows (SHA-256)": digest.hexdigest()}


def _fingerprint(model: Path) -> str:
    """Of a checkpoint's directory, quick for any size: configuration, sizes, and each weight file's two ends."""
    digest = hashlib.sha256()
    for file in sorted([*model.glob("config.json"), *model.glob("*.safetensors")]):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as content:
            digest.update(content.read(_END))
            content.seek(max(0, size - _END))
            digest.update(content.read(_END))
    return digest.hexdigest()
