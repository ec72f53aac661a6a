"""Rows to imitate: loaded, measured, and how the policy in them was spoken to."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from cof_agent.dialects import default_profile, load_profile, parse_profile
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.codecs.decoding import orientation_of, turned
from cof_agent.images.geometry import Size
from cof_agent.scenes.reach import SCENE_PROFILE
from training.checkpoints import CACHE
from training.settings import Settings, SftSettings


@dataclass(frozen=True, slots=True)
class Rows:
    """What is learnt from."""

    table: Any
    """A `datasets.Dataset` with the columns `messages` and `images`."""
    profile: Profile
    too_long: int
    """Rows that were left out for their length."""


def load_rows(settings: SftSettings, processor: Any, base: Path, template: str | None, factor: int) -> Rows:
    """The rows of `settings.data` that are short enough; `base` is the directory of the checkpoint's small files.

    Raises ConfigError when there are none, an image is not of a size that the model sees as it is, or nothing says how
    the policy was spoken to.
    """
    directory = Path(settings.data).expanduser()
    table = open_table(settings, "trl", ("messages", "images"))
    profile = _profile(settings, table, base)
    check_factor(profile, factor, settings)
    undecoded = table.cast_column("images", datasets.List(datasets.Image(decode=False)))
    kept = []
    for number, row in enumerate(undecoded):
        visual, overviews = 0, _overviews(row["messages"])
        for position, image in enumerate(row["images"]):
            width, height = size = size_of(image, f"row {number + 1} of {directory}")
            if settings.fit_images:
                width, height = profile.overview.fit(size)
            elif width % factor or height % factor:
                raise ConfigError(
                    f"row {number + 1} of {directory} has an image of {width}x{height} pixels, which is not as a "
                    f"policy saw it (multiples of {factor}): export trajectories, or set fit_images: true"
                )
            most = (profile.overview if position < overviews else profile.regions).max_pixels
            if not settings.fit_images and width * height > most:
                raise ConfigError(
                    f"row {number + 1} of {directory} has an image of {width}x{height} pixels, and the profile shows "
                    f"at most {most} pixels there: name the profile that the policy was asked with as profile"
                )
            visual += (width // factor) * (height // factor) - 1
        text = processor.apply_chat_template(row["messages"], chat_template=template, tokenize=False)
        if len(processor.tokenizer(text)["input_ids"]) + visual <= settings.max_tokens:
            kept.append(number)
    if not kept:
        raise ConfigError(f"all {len(table)} rows are longer than max_tokens={settings.max_tokens}: raise it")
    return Rows(table.select(kept), profile, len(table) - len(kept))


@dataclass(frozen=True, slots=True)
class TurnsOnly:
    """TRL's collator, whose labels stop with the end of a turn: some of its templates also mark the newline after."""

    collate: Any
    end: int
    """Id of the token that ends a turn."""

    def __call__(self, examples: list[dict[str, Any]]) -> Any:
        batch = self.collate(examples)
        labels = batch["labels"]
        labels[:, 1:][labels[:, :-1] == self.end] = -100
        return batch


def open_table(settings: Settings, form: str, columns: Sequence[str]) -> Any:
    """What `cof-agent export --to FORM` has written to `settings.data`. Raises ConfigError where that is not there."""
    directory = Path(settings.data).expanduser()
    if not any((directory / name).is_file() for name in ("metadata.jsonl", "train.parquet")):
        raise ConfigError(
            f"{directory} has no rows: write them with `cof-agent export KEPT --to {form} --out {directory}`"
        )
    try:
        table = datasets.load_dataset(str(directory), split="train", cache_dir=str(Path(settings.output) / CACHE))
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        why = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"the rows of {directory} cannot be read ({why:.300}): export them again") from error
    if missing := {*columns} - {*table.column_names}:
        raise ConfigError(f"the rows of {directory} have no {', '.join(sorted(missing))}: export them with --to {form}")
    return table


def check_factor(profile: Profile, factor: int, settings: Settings) -> None:
    """Raise ConfigError where the profile shows images in sizes that the model does not take."""
    if profile.overview.factor != factor:
        raise ConfigError(
            f"the profile shows images in multiples of {profile.overview.factor} pixels, {settings.model} takes "
            f"multiples of {factor}: set factor={factor} in its overview and regions and collect again"
        )


def size_of(image: Mapping[str, Any], where: str) -> Size:
    """Width and height, upright, of an image that is not decoded. Raises ConfigError that names its row, `where`."""
    try:
        with Image.open(io.BytesIO(image["bytes"]) if image["bytes"] else image["path"]) as opened:
            return turned(opened.size, orientation_of(opened))
    except OSError as error:
        raise ConfigError(f"an image of {where} cannot be read ({error}): export again") from error


def _overviews(messages: Sequence[Mapping[str, Any]]) -> int:
    """Images that stand before the policy's first turn: the first looks."""
    count = 0
    for message in messages:
        if message["role"] == "assistant":
            break
        count += sum(block["type"] == "image" for block in message["content"])
    return count


def given_profile(settings: Settings) -> Profile | None:
    """The profile of the configuration, if it has one."""
    given = settings.profile
    if isinstance(given, str):
        return load_profile(Path(given).expanduser())
    return None if given is None else parse_profile(given, "profile in the configuration")


def _profile(settings: SftSettings, table: Any, base: Path) -> Profile:
    """The profile of the configuration; else, of those that may be meant, the one whose prompts open the rows."""
    openings = {_opening(messages) for messages in table["messages"]}
    if given := given_profile(settings):
        return _told_as(given, openings, settings) if settings.rows_prompt else given
    if settings.rows_prompt:
        raise ConfigError("rows_prompt changes a profile: name dialect and sizes as profile")
    for profile in _candidates(table, base):
        task, direct = profile.prompts.task, profile.prompts.direct
        if all(opening.startswith((task, direct)) for opening in openings):
            return profile
    raise ConfigError(
        f"no known profile has the prompts of {settings.data}: name the one that the policy was asked with as profile"
    )


def _told_as(profile: Profile, openings: set[str], settings: SftSettings) -> Profile:
    """The profile, with the one system turn of the rows, which tells of the tools itself."""
    if len(openings) != 1:
        raise ConfigError(f"the rows of {settings.data} have {len(openings)} system turns: rows_prompt takes one")
    (opening,) = openings
    if "<tools>" not in opening:
        raise ConfigError(
            f"the system turn of {settings.data} tells of no tools in <tools></tools>: leave rows_prompt out"
        )
    return profile.model_copy(update={"prompts": profile.prompts.model_copy(update={"task": opening})})


def _candidates(table: Any, base: Path) -> Sequence[Profile]:
    columns = {name: set(table[name]) for name in ("dialect", "benchmark") if name in table.column_names}
    dialects = columns.get("dialect", {None})
    if len(dialects) > 1:
        raise ConfigError(f"the rows speak several dialects ({', '.join(map(str, dialects))}): export them apart")
    scenes = all(str(name).startswith("scenes:") for name in columns.get("benchmark", {None}))
    found = [load_profile(base / "focus.json")] if (base / "focus.json").is_file() else []
    found += [default_profile(name) for name in dialects if name]
    found = [profile for profile in found if profile.dialect in dialects or dialects == {None}]
    return [SCENE_PROFILE, *found] if scenes else found


def _opening(messages: Any) -> str:
    first = messages[0]["content"] if messages and messages[0]["role"] == "system" else []
    return "".join(block["text"] or "" for block in first)
