"""Where a region lies and how large it is shown: pure arithmetic, no pixels.

Three frames of reference meet here. *Original* pixels are those of the upright source image; a `Box` is
always in them. *View* pixels are those of an image as a policy was shown it. A `CoordinateSpace` says in which
unit a policy writes coordinates of a view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from cof_agent.errors import ConfigError
from cof_agent.images.box import Box as Box
from cof_agent.images.box import Size as Size
from cof_agent.images.box import iou as iou

Corners: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in the unit its owner names."""

MAX_ASPECT = 200
"""Longest side over shortest that the size rule accepts (Qwen2-VL's `smart_resize`)."""


def smart_resize(
    width: int, height: int, *, factor: int = 28, min_pixels: int = 112**2, max_pixels: int = 3840**2
) -> Size:
    """The size at which a Qwen-VL model takes an image of `width` × `height` pixels.

    Both sides become multiples of `factor` (28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL), the aspect ratio is
    kept as closely as that allows, and the area lies within [`min_pixels`, `max_pixels`] unless a side is at its floor
    of one factor. Equal to transformers' function of the same name (which takes height first). The default limits are
    those of the Chain-of-Focus release (arXiv 2505.15436).

    Raises ConfigError when a side is not positive or the aspect ratio is over 200.
    """
    if width < 1 or height < 1:
        raise ConfigError(f"an image of {width}x{height} pixels has no area")
    if max(width, height) / min(width, height) > MAX_ASPECT:
        raise ConfigError(
            f"an image of {width}x{height} pixels is too thin: its longer side may be {MAX_ASPECT} times the other"
        )
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > max_pixels:
        shrink = math.sqrt((height * width) / max_pixels)
        w = max(factor, math.floor(width / shrink / factor) * factor)
        h = max(factor, math.floor(height / shrink / factor) * factor)
    elif w * h < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        w = math.ceil(width * grow / factor) * factor
        h = math.ceil(height * grow / factor) * factor
    return w, h


class CoordinateSpace(StrEnum):
    """The unit in which a policy writes the coordinates of a view, origin top-left."""

    VIEW_PIXELS = "view_pixels"
    """Pixels of the view as shown (Qwen2.5-VL, Chain-of-Focus)."""
    UNIT = "unit"
    """0.0 to 1.0 of the view's width and height (Mini-o3, Pixel Reasoner)."""
    THOUSANDTHS = "thousandths"
    """0 to 1000 of the view's width and height (Qwen3-VL)."""
    THOUSANDTHS_YX = "thousandths_yx"
    """As `THOUSANDTHS`, y before x: [y1, x1, y2, x2] (Gemini)."""
    UNIT_OR_PIXELS = "unit_or_pixels"
    """As `UNIT`; a box with a number over 1 is in pixels of the view (Pixel Reasoner)."""

    def extent(self, shown: Size) -> tuple[float, float]:
        """Largest x and y that can be written for a view shown at `shown` pixels."""
        if self is CoordinateSpace.VIEW_PIXELS:
            return float(shown[0]), float(shown[1])
        return (1000.0, 1000.0) if self.startswith("thousandths") else (1.0, 1.0)

    @property
    def names(self) -> str:
        """The four numbers in the order in which they are written."""
        return "[y1, x1, y2, x2]" if self is CoordinateSpace.THOUSANDTHS_YX else "[x1, y1, x2, y2]"

    def to_view(self, corners: Sequence[float], shown: Size) -> Corners:
        """Corners written in this space, in pixels of the view shown at `shown`."""
        if self is CoordinateSpace.UNIT_OR_PIXELS and max(corners) > 1:
            return _scale(corners, shown, shown)
        return _scale(self._ordered(corners), self.extent(shown), shown)

    def from_view(self, corners: Sequence[float], shown: Size) -> Corners:
        """Corners in pixels of the view, as this space writes them."""
        return self._ordered(_scale(corners, shown, self.extent(shown)))

    def _ordered(self, corners: Sequence[float]) -> Corners:
        """Corners from x first to the order of this space, or back."""
        x1, y1, x2, y2 = corners
        return (y1, x1, y2, x2) if self is CoordinateSpace.THOUSANDTHS_YX else (x1, y1, x2, y2)


def _scale(corners: Sequence[float], old: tuple[float, float], new: tuple[float, float]) -> Corners:
    x1, y1, x2, y2 = corners
    # Multiplied first: 1000 thousandths of a width are then exactly that width.
    return x1 * new[0] / old[0], y1 * new[1] / old[1], x2 * new[0] / old[0], y2 * new[1] / old[1]


def to_original(corners: Sequence[float], shown: Size, frame: Box) -> Box:
    """Map corners in pixels of a view outward to whole original pixels.

    `shown` is the view's size and `frame` the box of the original it shows. The result lies within `frame`, is never
    empty, and contains what was asked for (clipped to `frame`). Coordinates that are exact up to floating-point noise
    are not widened by it.
    """
    x1, y1, x2, y2 = _scale(corners, shown, frame.size)
    left, right = _outward(x1, x2, frame.width)
    top, bottom = _outward(y1, y2, frame.height)
    return Box(frame.x1 + left, frame.y1 + top, frame.x1 + right, frame.y1 + bottom)


def _outward(low: float, high: float, limit: int) -> tuple[int, int]:
    noise = 1e-6
    first = min(max(math.floor(low + noise), 0), limit - 1)
    last = min(max(math.ceil(high - noise), first + 1), limit)
    return first, last


def to_view(box: Box, shown: Size, frame: Box) -> Corners:
    """Corners of an original `box` in pixels of a view that shows `frame` at `shown` pixels (may lie outside it)."""
    moved = (box.x1 - frame.x1, box.y1 - frame.y1, box.x2 - frame.x1, box.y2 - frame.y1)
    return _scale(moved, frame.size, shown)


def enlarge(corners: Sequence[float], shown: Size, margin: float) -> tuple[int, int, int, int]:
    """Corners in view pixels grown `margin` times about their centre, clipped to the view, truncated to whole pixels.

    The first half of the release's region rule (its margin is 1.5). The result may be empty when the box is thinner
    than a pixel; callers refuse it.
    """
    x1, y1, x2, y2 = corners
    cx, cy, half_w, half_h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) * margin / 2, (y2 - y1) * margin / 2
    return (
        int(max(0.0, cx - half_w)),
        int(max(0.0, cy - half_h)),
        int(min(float(shown[0]), cx + half_w)),
        int(min(float(shown[1]), cy + half_h)),
    )


@dataclass(frozen=True, slots=True)
class SizeRule:
    """At which size an image is shown: `smart_resize` with these settings."""

    factor: int = 28
    """Both sides are multiples of it; one visual token covers `factor` × `factor` pixels."""
    min_pixels: int = 112**2
    """Smallest area shown (the release's value)."""
    max_pixels: int = 1280 * 28**2
    """Largest area shown: 1,280 visual tokens at factor 28."""
    max_sides: tuple[int, int] | None = None
    """Longest that the shorter and the longer side may be shown; None: no limit."""

    def __post_init__(self) -> None:
        if self.factor < 1 or not 0 < self.min_pixels <= self.max_pixels:
            raise ConfigError(f"{self} is not a size rule: it needs factor >= 1 and 0 < min_pixels <= max_pixels")
        if self.max_sides and not self.factor <= self.max_sides[0] <= self.max_sides[1]:
            raise ConfigError(f"{self} is not a size rule: it needs factor <= max_sides[0] <= max_sides[1]")

    def fit(self, size: Size) -> Size:
        """The shown size of an image of `size` pixels. Raises ConfigError as `smart_resize` does."""
        w, h = smart_resize(*size, factor=self.factor, min_pixels=self.min_pixels, max_pixels=self.max_pixels)
        if self.max_sides is None:
            return w, h
        shrink = min(1.0, self.max_sides[0] / min(w, h), self.max_sides[1] / max(w, h))
        if shrink == 1.0:
            return w, h
        sides = (max(self.factor, int(side * shrink / self.factor + 1e-9) * self.factor) for side in (w, h))
        return next(sides), next(sides)

    def tokens(self, shown: Size) -> int:
        """Visual tokens of an image shown at `shown` pixels."""
        return (shown[0] // self.factor) * (shown[1] // self.factor)


@dataclass(frozen=True, slots=True)
class RegionRule:
    """How a box that a policy asks for becomes a region. The defaults are the Chain-of-Focus release's."""

    margin: float = 1.5
    """The box is enlarged so many times about its centre."""
    scale: float = 2.0
    """The region is shown at so many times its own size, before the size rule."""
    sized_by: Literal["original", "released"] = "original"
    """Whose pixels `scale` multiplies: the original's under the region, or (the release) those of the view."""
    clip: bool = False
    """Accept a box that reaches outside the view and cut it to the view; otherwise it is refused."""
    padding: float = 0.0
    """This share of the view's width and height is added on each side of the box (Pixel Reasoner: 0.1)."""
    min_side: float = 0.0
    """Sides shorter than this many view pixels are grown about the centre."""
    refused_side: float = 0.0
    """Boxes with a side of so many view pixels, or fewer, are refused (DeepEyes: 30)."""
    max_aspect: float = MAX_ASPECT
    """Regions thinner than this ratio are refused."""

    def __post_init__(self) -> None:
        positive = self.margin > 0 and self.scale > 0
        if not (
            positive
            and 0 <= self.padding < 1
            and min(self.min_side, self.refused_side) >= 0
            and 1 <= self.max_aspect <= MAX_ASPECT
        ):
            raise ConfigError(
                f"{self} is not a region rule: it needs margin > 0, scale > 0, 0 <= padding < 1, min_side >= 0, "
                f"refused_side >= 0 and 1 <= max_aspect <= {MAX_ASPECT}"
            )

    def region(self, corners: Sequence[float], shown: Size, frame: Box, sizes: SizeRule) -> tuple[Box, Size]:
        """The original box of a region and the size it is shown at.

        `corners` are pixels of a view that shows the original box `frame` at `shown` pixels; they must lie within the
        view. Raises ConfigError when the region is empty after truncation or too thin.
        """
        side = min(corners[2] - corners[0], corners[3] - corners[1])
        if self.refused_side and side <= self.refused_side:
            raise ConfigError(
                f"a side has {side:.4g} pixels of the image as shown, and needs over {self.refused_side:g}"
            )
        padded = _pad(corners, shown, self.padding)
        x1, y1, x2, y2 = enlarge(_grow(padded, shown, self.min_side), shown, self.margin)
        if x1 >= x2 or y1 >= y2:
            raise ConfigError("the box is thinner than a pixel")
        box = to_original((x1, y1, x2, y2), shown, frame)
        width, height = (x2 - x1, y2 - y1) if self.sized_by == "released" else box.size
        if max(width, height) / min(width, height) > self.max_aspect:
            raise ConfigError(
                f"the region of {width}x{height} pixels is too thin: "
                f"its longer side may be at most {self.max_aspect:g} times the other"
            )
        return box, sizes.fit((int(width * self.scale), int(height * self.scale)))


def _pad(corners: Sequence[float], shown: Size, share: float) -> Corners:
    x1, y1, x2, y2 = corners
    across, down = share * shown[0], share * shown[1]
    return x1 - across, y1 - down, x2 + across, y2 + down


def _grow(corners: Sequence[float], shown: Size, min_side: float) -> Corners:
    """Corners with sides of at least `min_side` pixels (or the view's side), moved inside the view."""
    x1, y1, x2, y2 = corners
    (x1, x2), (y1, y2) = _grow_side(x1, x2, shown[0], min_side), _grow_side(y1, y2, shown[1], min_side)
    return x1, y1, x2, y2


def _grow_side(low: float, high: float, limit: int, min_side: float) -> tuple[float, float]:
    side = min(min_side, float(limit))
    if high - low >= side:
        return low, high
    start = min(max((low + high - side) / 2, 0.0), limit - side)
    return start, start + side
