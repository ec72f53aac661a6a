"""A run that may become training data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from cof_agent.agent.trajectory import Trajectory
from cof_agent.evaluation.row import ResultRow
from cof_agent.images.geometry import Corners, Size
from cof_agent.images.views import View

SAME_REGION = 0.5
"""Two regions are the same move from this intersection over union on, measured in fractions of the image's sides."""


class Looks(StrEnum):
    """How often a policy looked closer before it answered."""

    DIRECT = "direct"
    """It answered from the first look."""
    ONE = "one"
    """It was shown one region."""
    SEVERAL = "several"
    """It was shown several."""

    @classmethod
    def of(cls, zooms: int) -> Looks:
        """The way of looking that so many regions are."""
        return (cls.DIRECT, cls.ONE, cls.SEVERAL)[min(zooms, 2)]


Move: TypeAlias = tuple[str, Corners]
"""A region that was shown: with which kind of view, and where, in fractions of its image's width and height. Of another
image than the first the kind names that, too, such as `zoom of image 1`."""

Stratum: TypeAlias = tuple[Looks, str, int | None, int | None]
"""What is balanced, the most important first: looks, category, resolution, overview budget."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run whose answer and format are right."""

    row: ResultRow
    subject: str
    """What is asked about: the id of the first question with the same words about the same image."""
    offset: int
    """Where its line begins in the file of all trajectories, in bytes."""
    moves: tuple[Move, ...]
    refused: int
    """Turns and calls that were refused on the way."""

    @classmethod
    def of(cls, row: ResultRow, subject: str, offset: int, trajectory: Trajectory) -> Candidate:
        moves = tuple(_move(view, trajectory.images[view.image_index].ref.size) for view in trajectory.zooms)
        return cls(row, subject, offset, moves, trajectory.usage.refused)

    @property
    def looks(self) -> Looks:
        return Looks.of(len(self.moves))

    @property
    def stratum(self) -> Stratum:
        return self.looks, self.row.category, self.row.cell.resolution, self.row.cell.budget

    def repeats(self, other: Candidate) -> bool:
        """Whether it shows nothing that `other` does not: the same subject, and the same moves in the same order.

        The resolutions and first looks may differ. Moves are the same where the tools and images are and the regions
        overlap by at least `SAME_REGION`; two runs that answered at first look have the same moves.
        """
        return (
            self.subject == other.subject
            and len(self.moves) == len(other.moves)
            and all(
                kind == other_kind and _overlap(box, other_box) >= SAME_REGION
                for (kind, box), (other_kind, other_box) in zip(self.moves, other.moves, strict=True)
            )
        )


def _move(view: View, size: Size) -> Move:
    (width, height), box = size, view.box
    kind = f"{view.kind} of image {view.image_index}" if view.image_index else view.kind
    return kind, (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)


def _overlap(one: Corners, other: Corners) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
