"""Questions as a policy is first asked them, for reinforcement learning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cof_agent.agent.trajectory import ImageRecord
from cof_agent.dialects.profile import Profile
from cof_agent.errors import TrajectoryError
from cof_agent.files import parse_json
from cof_agent.images.display_name import nth_image
from cof_agent.learning.exports.collected import Collected, Example, shows
from cof_agent.learning.exports.conversation import Facts, Malformed, Message, Picture
from cof_agent.learning.exports.replay import opening
from cof_agent.learning.exports.trl import PROMPTS, blocks_of, messages_of, picture_of, read_rows

OTHERS = "other_originals"
"""The column of rows about several images that holds the originals after the first."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as a policy is first asked it, with all that it takes to play and to score it."""

    messages: tuple[Message, ...]
    original: Picture
    """The image as it came, from which regions are cut."""
    facts: Facts
    """With the right answer, `truth`, which is known."""
    options: tuple[str, ...]
    profile: Profile
    config: dict[str, Any]
    """Limits of the question: `FocusConfig` as JSON."""
    other_originals: tuple[Picture, ...] = ()
    """Of several images, those after the first, as they came."""

    @property
    def originals(self) -> tuple[Picture, ...]:
        """All images as they came, in the order in which they are shown."""
        return (self.original, *self.other_originals)

    @property
    def images(self) -> tuple[Picture, ...]:
        """The first look at each image."""
        return tuple(picture for message in self.messages for picture in message.images)

    @property
    def row(self) -> dict[str, Any]:
        """Everything but the images."""
        return {
            **{name: value for name, value in asdict(self.facts).items() if name in PROMPTS},
            "prompt": blocks_of(self.messages),
            "options": list(self.options),
            "profile": self.profile.model_dump_json(),
            "config": json.dumps(self.config),
        }


def prompts(collected: Collected) -> Iterator[Prompt | Malformed]:
    """The questions of the trajectories, however they ended; each first look with its question once."""
    images = collected.images
    seen = set()
    for example in collected:
        trajectory = example.trajectory
        try:
            profile = collected.profile(trajectory)
            prompt = _prompt(example, profile, opening(trajectory, profile, images), images)
            key = (
                prompt.messages[-1].text,
                *(image.ref.url for image in trajectory.images),
                *(view.image.sha256 for view in trajectory.views[: len(trajectory.images)]),
            )
            if key not in seen:
                seen.add(key)
                yield prompt
        except TrajectoryError as error:
            yield Malformed(collected.where(example), str(error))


def imports_several_images(path: str | Path) -> bool:
    """Whether rows of an export for GRPO may be about several images. Raises as `import_prompts` does."""
    first: Any = next((row for _, row, _ in read_rows(path)), None)
    return isinstance(first, dict) and (OTHERS in first or f"{OTHERS}_file_names" in first)


def import_prompts(path: str | Path) -> Iterator[Prompt]:
    """The prompts of an export for GRPO: its directory, its `metadata.jsonl` or a parquet file.

    Raises as `import_trl` does.
    """
    for where, row, directory in read_rows(path):
        try:
            yield _restored(row, directory)
        except (KeyError, TypeError, ValueError) as error:
            raise TrajectoryError(f"{where} is no prompt: {error}") from error


def _restored(row: Any, directory: Path) -> Prompt:
    if not isinstance(row, dict) or "prompt" not in row:
        raise ValueError("it has no prompt (conversations are read with --to trl)")
    original = row["original"] if "original" in row else row["original_file_name"]
    others: Any = next((row[name] for name in (OTHERS, f"{OTHERS}_file_names") if row.get(name) is not None), [])
    return Prompt(
        messages=messages_of(row["prompt"], row, directory),
        original=picture_of(original, directory),
        facts=Facts.of(row, row["id"]),
        options=tuple(row["options"]),
        profile=Profile.parse(parse_json(row["profile"]), "its profile"),
        config=parse_json(row["config"]),
        other_originals=tuple(picture_of(other, directory) for other in others),
    )


def _prompt(example: Example, profile: Profile, messages: tuple[Message, ...], images: Mapping[str, Path]) -> Prompt:
    trajectory = example.trajectory
    if example.facts.truth is None:
        raise TrajectoryError("its right answer is known neither from rows.jsonl nor from the results of an evaluation")
    if not shows(profile, trajectory):
        number, fitted = next(
            (number, fitted)
            for number, image in enumerate(trajectory.images)
            if (fitted := profile.overview.fit(image.ref.size)) != trajectory.views[number].shown
        )
        count = len(trajectory.images)
        which = nth_image(number, count) if count > 1 else "the image"
        raise TrajectoryError(
            f"the profile shows {which} at {fitted} pixels, and the policy "
            f"saw it at {trajectory.views[number].shown}: name the right one with profile="
        )
    original, *others = (_original(image, images) for image in trajectory.images)
    return Prompt(messages, original, example.facts, example.options, profile, trajectory.config, tuple(others))


def _original(image: ImageRecord, images: Mapping[str, Path]) -> Picture:
    if image.page or not image.ref.is_kept:
        raise TrajectoryError(
            f"{image.source} is a page or a file that is read where it lies, which a row cannot name: save the page as "
            "a PNG, and ask about that"
        )
    file = images.get(image.sha256)
    if file is None:
        raise TrajectoryError(f"{image.ref.url} is not among the images beside it")
    return Picture(file, file.suffix)
