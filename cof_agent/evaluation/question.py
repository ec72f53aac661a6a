"""A question of a benchmark, with its truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from cof_agent.dialects.profile import DECLINE
from cof_agent.images.geometry import Corners
from cof_agent.images.opening import ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image

    from cof_agent.scenes.question import SceneQuestion


class Role(StrEnum):
    """What a benchmark is for. Training on a test set makes its figures worthless."""

    TRAIN = "train"
    TEST = "test"


@runtime_checkable
class Renderable(Protocol):
    """An image that can be made at any size."""

    def render(self, long_side: int) -> Image:
        """The image, RGB, its longer side `long_side` pixels."""
        ...


@runtime_checkable
class Readable(Protocol):
    """An encoded image that stays in the benchmark's own file until it is read."""

    def read(self) -> bytes:
        """The image as it is kept there. Raises ImageError when it is damaged or gone."""
        ...


Picture: TypeAlias = "ImageSource | Renderable | Readable"
"""An image of a question."""


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question about an image, or about several."""

    id: str
    """Unique within its benchmark, and the same in every run."""
    image: Picture | Sequence[Picture]
    """A list where it is about several, in the order in which they are shown."""
    text: str
    """What is asked, word for word; with the options in it, if there are any."""
    answer: str
    """The truth: the letter of the right option, or the text; `cannot answer` where it is right to decline."""
    options: tuple[str, ...] = ()
    """What the letters A, B, … stand for."""
    category: str = "all"
    boxes: tuple[Corners, ...] = ()
    """Where the answer is to be seen: left, top, right, bottom as fractions of the upright image's sides."""
    guessing: float | None = None
    """The accuracy of a guess, where it is known for a question without options."""
    scene: SceneQuestion | None = None
    """The scene it asks about, where it is one of ours."""
    where: str = ""
    """File and line (or row) that it was read from, such as `mine.jsonl line 17`, if it was."""
    box_images: tuple[int, ...] = ()
    """Of several images, the one that each of the `boxes` is in, counted from 0; empty: all are in the first."""

    @property
    def images(self) -> tuple[Picture, ...]:
        """All images it is about."""
        given: Any = self.image
        return tuple(given) if isinstance(given, list | tuple) else (given,)

    def boxes_of(self, image: int) -> tuple[Corners, ...]:
        """Those of the `boxes` that are in image number `image`."""
        numbers = self.box_images or (0,) * len(self.boxes)
        return tuple(box for box, number in zip(self.boxes, numbers, strict=True) if number == image)

    @property
    def unanswerable(self) -> bool:
        """Whether it is right to decline, and nothing else."""
        return self.answer.lower().startswith(DECLINE)

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess, 0.0 to 1.0; None where nobody can tell."""
        if self.unanswerable:
            return 0.0
        return 1 / len(self.options) if self.options else self.guessing


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row of a benchmark that cannot be asked."""

    where: str
    """File and line (or row), such as `test_questions.jsonl line 17`."""
    why: str


BenchmarkItem: TypeAlias = BenchmarkQuestion | MalformedRow


class Benchmark(Protocol):
    """A set of questions. A benchmark of one's own is a class with these three."""

    @property
    def name(self) -> str:
        """As it was asked for on the command line, such as `vstar:data/vstar_bench`."""
        ...

    @property
    def role(self) -> Role: ...

    def __iter__(self) -> Iterator[BenchmarkItem]:
        """Its questions in a fixed order, read as they are asked for; the same each time."""
        ...
