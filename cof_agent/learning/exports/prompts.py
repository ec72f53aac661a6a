"""Questions as a policy is first asked them, for reinforcement learning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import TrajectoryError
from cof_agent.files import parse_json
from cof_agent.learning.exports.collected import Collected, Example, shows
from cof_agent.learning.exports.conversation import Facts, Malformed, Message, Picture
from cof_agent.learning.exports.replay import opening
from cof_agent.learning.exports.trl import PROMPTS, blocks_of, messages_of, picture_of, read_rows


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

    @property
    def images(self) -> tuple[Picture, ...]:
        """The first look."""
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
            key = (prompt.messages[-1].text, trajectory.image.ref.url, trajectory.views[0].image.sha256)
            if key not in seen:
                seen.add(key)
                yield prompt
        except TrajectoryError as error:
            yield Malformed(collected.where(example), str(error))


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
    return Prompt(
        messages=messages_of(row["prompt"], row, directory),
        original=picture_of(original, directory),
        facts=Facts.of(row, row["id"]),
        options=tuple(row["options"]),
        profile=Profile.parse(parse_json(row["profile"]), "its profile"),
        config=parse_json(row["config"]),
    )


def _prompt(example: Example, profile: Profile, messages: tuple[Message, ...], images: Mapping[str, Path]) -> Prompt:
    trajectory = example.trajectory
    if example.facts.truth is None:
        raise TrajectoryError("its right answer is known neither from rows.jsonl nor from the results of an evaluation")
    if not shows(profile, trajectory):
        raise TrajectoryError(
            f"the profile shows the image at {profile.overview.fit(trajectory.image.ref.size)} pixels, and the policy "
            f"saw it at {trajectory.views[0].shown}: name the right one with profile="
        )
    if trajectory.image.page or not trajectory.image.ref.is_kept:
        raise TrajectoryError(
            f"{trajectory.image.source} is a page or a file that is read where it lies, which a row cannot name: save "
            "the page as a PNG, and ask about that"
        )
    original = images.get(trajectory.image.sha256)
    if original is None:
        raise TrajectoryError(f"{trajectory.image.ref.url} is not among the images beside it")
    picture = Picture(original, original.suffix)
    return Prompt(messages, picture, example.facts, example.options, profile, trajectory.config)
