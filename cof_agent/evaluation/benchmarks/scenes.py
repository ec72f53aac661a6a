"""Scenes of our own: questions without end, exact truth, at any resolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from PIL import Image

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.scene import Scene
from cof_agent.scenes.split import Split


@dataclass(frozen=True, slots=True)
class SceneImage:
    """A scene as an image that can be made at any size."""

    scene: Scene

    def render(self, long_side: int) -> Image.Image:
        """The scene, RGB, its longer side `long_side` pixels. Raises MissingExtraError without numpy."""
        try:
            from cof_agent.scenes.render import render
        except ImportError as error:
            raise MissingExtraError.for_extra("eval", "rendering scenes") from error
        return render(self.scene, self.scene.size(long_side))


@dataclass(frozen=True, slots=True)
class Scenes:
    """The questions of a split, of all kinds or of one, in the order of their numbers."""

    split: Split = Split.TEST
    kind: Kind | None = None
    default_limit: ClassVar[int | None] = 300

    @classmethod
    def open(cls, rest: str = "") -> Scenes:
        """`rest`: what follows `scenes:`, such as `test:relation`. Raises ConfigError for another split or kind."""
        split, _, kind = rest.partition(":")
        try:
            return cls(Split(split or Split.TEST), Kind(kind) if kind else None)
        except ValueError:
            raise ConfigError(
                f"no scenes are named 'scenes:{rest}': write scenes[:SPLIT[:KIND]] with a split of "
                f"{', '.join(Split)} and a kind of {', '.join(Kind)}"
            ) from None

    @property
    def name(self) -> str:
        if self.kind is not None:
            return f"scenes:{self.split}:{self.kind}"
        return "scenes" if self.split is Split.TEST else f"scenes:{self.split}"

    @property
    def role(self) -> Role:
        return Role.TRAIN if self.split is Split.TRAIN else Role.TEST

    def __iter__(self) -> Iterator[BenchmarkItem]:
        for number in count():
            try:
                asked = scene_question(self.split, number, self.kind)
            except ConfigError:
                if number == 0:
                    raise
                return  # the split has no more scenes
            yield as_benchmark_question(asked)


def as_benchmark_question(asked: SceneQuestion) -> BenchmarkQuestion:
    """A question about a scene, also a counterfactual one, as an evaluation asks it."""
    return BenchmarkQuestion(
        id=asked.id,
        image=SceneImage(asked.scene),
        text=asked.text,
        answer=asked.answer,
        options=asked.options,
        category=asked.category,
        boxes=asked.boxes,
        guessing=asked.chance,
        scene=asked,
    )
