"""A rectangle of the original image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cof_agent.errors import ConfigError

Size: TypeAlias = tuple[int, int]
"""Width and height in whole pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole pixels of the original upright image, `x2` and `y2` exclusive, never empty."""

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        if not (0 <= self.x1 < self.x2 and 0 <= self.y1 < self.y2):
            raise ConfigError(
                f"box {self.as_list()} is not a rectangle: it needs 0 <= x1 < x2 and 0 <= y1 < y2 in original pixels"
            )

    @classmethod
    def whole(cls, size: Size) -> Box:
        """The box that covers an image of `size` (width, height) in original pixels."""
        return cls(0, 0, *size)

    @property
    def width(self) -> int:
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        return self.y2 - self.y1

    @property
    def size(self) -> Size:
        return self.width, self.height

    @property
    def area(self) -> int:
        return self.width * self.height

    def as_list(self) -> list[int]:
        return [self.x1, self.y1, self.x2, self.y2]

    def contains(self, other: Box) -> bool:
        """Whether `other` lies in this box, edges included."""
        return self.x1 <= other.x1 and self.y1 <= other.y1 and other.x2 <= self.x2 and other.y2 <= self.y2

    def intersection(self, other: Box) -> Box | None:
        """The common part, or None where the boxes share no pixel."""
        x1, y1 = max(self.x1, other.x1), max(self.y1, other.y1)
        x2, y2 = min(self.x2, other.x2), min(self.y2, other.y2)
        return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None

    def iou(self, other: Box) -> float:
        """Intersection over union, 0.0 to 1.0."""
        return iou(self.as_list(), other.as_list())


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two rectangles x1, y1, x2, y2 that are not empty, 0.0 to 1.0."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, across) * max(0, down)
    areas = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other))
    return min(1.0, shared / (sum(areas) - shared))
