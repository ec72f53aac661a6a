"""From trajectories, or from the rows of others, to training files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, ImageError, TrajectoryError
from cof_agent.evaluation.question import Role
from cof_agent.learning.exports.collected import Collected
from cof_agent.learning.exports.conversation import Conversation, Malformed, Picture, disorder
from cof_agent.learning.exports.files import LineFile, TableFile, fresh_directory
from cof_agent.learning.exports.prompts import OTHERS, Prompt, import_prompts, imports_several_images, prompts
from cof_agent.learning.exports.replay import sent
from cof_agent.learning.exports.sharegpt import ShareGptFile, read_sharegpt
from cof_agent.learning.exports.trl import CONVERSATIONS, PROMPTS, import_trl, row_of
from cof_agent.learning.exports.verl import VerlFile
from cof_agent.loop.state import Status

_Item = TypeVar("_Item", Conversation, Prompt)
_Choice = TypeVar("_Choice", bound=StrEnum)


class Target(StrEnum):
    """What is written."""

    TRL = "trl"
    """Conversations for TRL's SFTTrainer."""
    TRL_GRPO = "trl-grpo"
    """Prompts with their right answers for TRL's GRPOTrainer."""
    VERL = "verl"
    """Questions with their right answers for verl and the agent loop in `training/verl`."""
    SHAREGPT = "sharegpt"
    """Conversations for LLaMA-Factory."""


_QUESTIONS = (Target.TRL_GRPO, Target.VERL)
"""What is made of questions, whatever a policy said to them."""


class Origin(StrEnum):
    """What is read."""

    TRAJECTORIES = "trajectories"
    TRL = "trl"
    SHAREGPT = "sharegpt"


class RowFormat(StrEnum):
    """How rows for TRL are kept."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Export:
    """What an export gave."""

    directory: Path
    rows: int
    left_out: tuple[Malformed, ...]


def export(
    source: str | Path,
    out: str | Path,
    *,
    to: str = "trl",
    origin: str = "trajectories",
    form: str = "jsonl",
    profile: Profile | None = None,
    images: str | Path | None = None,
    allow_test: bool = False,
) -> Export:
    """Write training files to the directory `out`, which must be new or empty.

    `source` is a directory of trajectories (`origin` "trajectories": a collected one, an evaluation's or any other), a
    file in the ShareGPT layout or a directory whose `dataset_info.json` names one ("sharegpt", whose image paths may
    count from a folder `images`) or an export for TRL ("trl"). `to` is "trl", "trl-grpo" or "verl" (these two from
    trajectories, or from an export to "trl-grpo") or "sharegpt"; `form` "jsonl" or "parquet", for trl (verl's rows are
    parquet always, and name the originals by their paths in `out`). `profile` says how the policy was spoken to, where
    neither the run beside the trajectories nor their dialect does. The same source gives the same files. `out` appears
    when all is written, and not at all if this raises.

    A row that cannot be used is left out, with a reason. Raises ConfigError for what cannot be asked for, a test set
    without `allow_test`, and an unknown profile; TrajectoryError when nothing is left or a file is damaged;
    MissingExtraError for parquet without pyarrow.
    """
    target, source_kind, kept_as = _chosen(Target, to), _chosen(Origin, origin), _chosen(RowFormat, form)
    if target is Target.SHAREGPT and kept_as is RowFormat.PARQUET:
        raise ConfigError("the layout sharegpt is JSON: leave form=parquet out")
    if target in _QUESTIONS and source_kind is Origin.SHAREGPT:
        raise ConfigError(f"prompts with right answers are made from trajectories, not from {source_kind}")
    if profile is not None and source_kind is not Origin.TRAJECTORIES:
        raise ConfigError(f"a profile says how trajectories were spoken; rows of {source_kind} are taken as they are")
    if images is not None and source_kind is not Origin.SHAREGPT:
        raise ConfigError(f"a folder of images belongs to rows of sharegpt, not to {source_kind}")
    collected = None
    if source_kind is Origin.TRAJECTORIES:
        collected = Collected(source, profile=profile)
    with fresh_directory(out) as directory:
        if target in _QUESTIONS:
            asked = _allowed(import_prompts(source) if collected is None else prompts(collected), allow_test)
            several = imports_several_images(source) if collected is None else collected.has_several_images
            if target is Target.VERL:
                home = Path(os.path.expanduser(out)).absolute()
                with VerlFile(directory, home, several=several) as file:
                    rows, left_out = _written(asked, file.add)
            else:
                rows, left_out = _write_prompts(directory, asked, kept_as, several)
        else:
            if collected is not None:
                found: Iterable[Conversation | Malformed] = conversations(collected)
            elif source_kind is Origin.SHAREGPT:
                found = read_sharegpt(source, images)
            else:
                found = import_trl(source)
            rows, left_out = _write_conversations(directory, _allowed(found, allow_test), target, kept_as)
        if not rows:
            why = f"; the first: {left_out[0].where}: {left_out[0].why}" if left_out else ""
            raise TrajectoryError(f"{source} has nothing to export: {len(left_out)} rows cannot be used{why}")
    return Export(Path(out), rows, tuple(left_out))


def conversations(collected: Collected) -> Iterator[Conversation | Malformed]:
    """The trajectories that ended with an answer, or with a reason why the image cannot tell, as they were spoken."""
    images = collected.images
    for example in collected:
        trajectory = example.trajectory
        try:
            if trajectory.status not in (Status.ANSWERED, Status.DECLINED):
                raise TrajectoryError(f"it ended without an answer ({trajectory.stop_reason})")
            messages = sent(trajectory, collected.profile(trajectory), images)
            if why := disorder(messages):
                raise TrajectoryError(why)
            yield Conversation(messages, example.facts)
        except TrajectoryError as error:
            yield Malformed(collected.where(example), str(error))


def _write_conversations(
    directory: Path, found: Iterable[Conversation | Malformed], target: Target, form: RowFormat
) -> tuple[int, list[Malformed]]:
    if target is Target.SHAREGPT:
        with ShareGptFile(directory) as sharegpt:
            return _written(found, sharegpt.add)
    jsonl = form is RowFormat.JSONL
    rows = LineFile(directory) if jsonl else TableFile(directory, CONVERSATIONS, ["images"])
    with rows:
        return _written(found, lambda item: rows.add(row_of(item), {"images": item.images}))


def _write_prompts(
    directory: Path, found: Iterable[Prompt | Malformed], form: RowFormat, several: bool
) -> tuple[int, list[Malformed]]:
    lists = ["images", OTHERS] if several else ["images"]
    rows = LineFile(directory) if form is RowFormat.JSONL else TableFile(directory, PROMPTS, lists, ["original"])

    def add(item: Prompt) -> None:
        held: dict[str, tuple[Picture, ...] | Picture] = {"images": item.images, "original": item.original}
        rows.add(item.row, held | {OTHERS: item.other_originals} if several else held)

    with rows:
        return _written(found, add)


def _allowed(found: Iterable[_Item | Malformed], allow_test: bool) -> Iterator[_Item | Malformed]:
    """The same. Raises ConfigError at one that is of a test set, unless that is meant."""
    for item in found:
        if not allow_test and not isinstance(item, Malformed) and item.facts.role == Role.TEST:
            raise ConfigError(
                f"{item.facts.id} is of a test set ({item.facts.benchmark}): after training on it its figures say "
                "nothing. If you mean it, add allow_test=True"
            )
        yield item


def _written(found: Iterable[_Item | Malformed], add: Callable[[_Item], None]) -> tuple[int, list[Malformed]]:
    """How many were added, and what was left out: also those whose images turn out to be unreadable."""
    rows = 0
    left_out: list[Malformed] = []
    for item in found:
        if isinstance(item, Malformed):
            left_out.append(item)
            continue
        try:
            add(item)
            rows += 1
        except (ImageError, TrajectoryError) as error:
            left_out.append(Malformed(item.facts.id, str(error)))
    return rows, left_out


def _chosen(choices: type[_Choice], value: str) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        raise ConfigError(f"there is no {value!r} here: choose one of {', '.join(choices)}") from None
