"""Patches of one colour in a view, the shape that their outline resembles, and the mark that stands on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from cof_agent.images.geometry import Corners
from cof_agent.policies.reader.marks.outline import likeness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Map: TypeAlias = NDArray[np.float32]

HUES: dict[str, tuple[float, float]] = {
    "red": (346, 15), "orange": (16, 43), "brown": (8, 43), "yellow": (44, 68), "golden": (36, 58), "gold": (36, 58),
    "green": (72, 166), "turquoise": (160, 195), "cyan": (168, 200), "blue": (201, 252), "purple": (254, 306),
    "violet": (250, 306), "pink": (300, 350),
}  # fmt: skip
"""Hue ranges in degrees of whole patches, which hardly overlap; a range may pass through 0."""
STRONG = 0.35
"""Least saturation of a patch's pixels."""
FAINT = 22.0
"""Levels by which the channels of a speck, too small to have pixels of its own, differ more than those around it."""
SOLID = 24
"""Pixels from which a patch is no speck."""
KEPT = 60
"""Patches of a view that are looked at, the largest ones."""
GLYPH = 44
"""Height in pixels to which a mark is brought before it is cut out."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A compact area of one colour in a view."""

    box: Corners
    """The upright box around it, in view pixels."""
    area: float
    """Filled area in view pixels."""
    vivid: float
    """Mean strength of its colour, 0.0 to 1.0."""
    outline: Map
    """How far each pixel of the box with a frame of `frame` pixels belongs to it, marks on it included, 0.0 to 1.0."""
    pixels: Map
    """Those pixels, RGB, 0 to 255."""
    frame: int

    @property
    def side(self) -> float:
        """Longer side of its box in view pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @cached_property
    def likeness(self) -> dict[str, float]:
        """How much its outline resembles each known shape, 0.0 to 1.0."""
        return likeness(self.outline)

    @cached_property
    def mark(self) -> Mark | None:
        """What stands on it: what differs from its colour and does not touch its edge. None where there is nothing."""
        return _mark(self)


def find_patches(picture: Image, colour: str) -> list[Patch]:
    """Patches of `colour` in a view, the largest first: compact ones, and specks that may be some."""
    import cv2
    import numpy as np

    rgb = np.asarray(picture, dtype=np.float32)
    solid = _coloured(rgb, colour)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8), connectivity=8)
    found = []
    for index in sorted(range(1, count), key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))[:KEPT]:
        x, y, wide, high, area = (int(value) for value in stats[index])
        if area < SOLID:
            break
        patch = _patch(rgb, (x, y, wide, high), labels[y : y + high, x : x + wide] == index)
        if patch is not None:
            found.append(patch)
    return found + (_specks(rgb, colour, solid) if colour in HUES else [])


def _patch(rgb: Map, box: tuple[int, int, int, int], inside: NDArray[np.bool_]) -> Patch | None:
    """A component with its holes filled; None for lines and meshes."""
    import cv2
    import numpy as np

    wide, high = box[2:]
    if max(wide, high) > 4 * min(wide, high):
        return None
    frame = max(3, round(0.12 * max(wide, high)))
    mask = np.pad(inside.astype(np.uint8), frame)
    reach = max(1, round(0.03 * max(wide, high)))
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    edges, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), edges, -1, 1, cv2.FILLED)
    area = float(filled.sum())
    if area < 0.3 * wide * high or float(mask.sum()) < 0.4 * area:
        return None
    return _made(rgb, box, frame, filled.astype(np.float32), 1.0)


def _made(rgb: Map, box: tuple[int, int, int, int], frame: int, outline: Map, vivid: float) -> Patch:
    import numpy as np

    x, y, wide, high = box
    padded = rgb[max(0, y - frame) : y + high + frame, max(0, x - frame) : x + wide + frame]
    above, left = max(0, frame - y), max(0, frame - x)
    below, right = high + 2 * frame - above - padded.shape[0], wide + 2 * frame - left - padded.shape[1]
    pixels = np.pad(padded, ((above, below), (left, right), (0, 0)), mode="edge")
    return Patch((x, y, x + wide, y + high), float(outline.sum()), vivid, outline, pixels, frame)


def _coloured(rgb: Map, colour: str) -> NDArray[np.bool_]:
    """Which pixels have `colour`."""
    import cv2

    hue, saturation, value = cv2.split(cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2HSV))
    if colour == "black":
        return value < 0.28
    if colour == "white":
        return (value > 0.75) & (saturation < 0.18)
    if colour in ("grey", "gray", "silver"):
        return (value > 0.25) & (value < 0.8) & (saturation < 0.15)
    if colour == "brown":
        return _within(hue, colour) & (saturation > STRONG) & (value > 0.12) & (value < 0.68)
    least = {"orange": 0.6, "yellow": 0.55, "pink": 0.55}.get(colour, 0.2)
    return _within(hue, colour) & (saturation > (0.25 if colour == "pink" else STRONG)) & (value > least)


def _within(hue: Any, colour: str, slack: float = 0.0) -> NDArray[np.bool_]:
    low, high = HUES[colour]
    middle, half = (low + (high - low) % 360 / 2) % 360, (high - low) % 360 / 2 + slack
    inside: NDArray[np.bool_] = abs((hue - middle + 180) % 360 - 180) <= half
    return inside


def _specks(rgb: Map, colour: str, solid: NDArray[np.bool_]) -> list[Patch]:
    """Small spots that are coloured more than what is around them, the strongest first.

    What is left when the surroundings are taken from a mixture has the hue of what they are mixed with.
    """
    import cv2
    import numpy as np

    size = 15 if min(rgb.shape[:2]) > 15 else 3
    around = cv2.medianBlur(rgb.astype(np.uint8), size).astype(np.float32)
    rest = rgb - around
    least = rest.min(axis=2)
    chroma = rest.max(axis=2) - least
    hue = cv2.cvtColor((rest - least[..., None]) / 255, cv2.COLOR_RGB2HSV)[..., 0]
    plain = around.max(axis=2) - around.min(axis=2) < STRONG * around.max(axis=2)
    marked = (chroma > FAINT) & plain & _within(hue, colour, 6.0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked.astype(np.uint8), connectivity=8)
    found = []
    for index in range(1, count):
        x, y, wide, high, area = (int(value) for value in stats[index])
        part = np.s_[y : y + high, x : x + wide]
        here = labels[part] == index
        if area > 12 * SOLID or max(wide, high) > 20 or max(wide, high) > 3.5 * min(wide, high) + 1:
            continue
        if (here & solid[part]).sum() >= SOLID:
            continue
        vivid = float(chroma[part][here].max()) / 255
        frame = 3
        alpha = np.pad(np.where(here, np.minimum(1.0, chroma[part] / (255 * vivid)), 0.0), frame)
        found.append(_made(rgb, (x, y, wide, high), frame, alpha.astype(np.float32), vivid))
    return sorted(found, key=lambda patch: -patch.vivid * math.sqrt(patch.area))[:KEPT]


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """What stands on a patch, cut out."""

    image: Any
    """Dark on white: 0 to 255, as large as makes it `GLYPH` high."""
    box: Corners
    """In view pixels."""

    @property
    def height(self) -> float:
        """In view pixels."""
        return self.box[3] - self.box[1]


def _mark(patch: Patch) -> Mark | None:
    import cv2
    import numpy as np

    scale = max(1.0, GLYPH / (0.42 * patch.side))
    size = (round(patch.pixels.shape[1] * scale), round(patch.pixels.shape[0] * scale))
    method = cv2.INTER_CUBIC
    pixels = cv2.resize(patch.pixels, size, interpolation=method)
    inside = cv2.resize(patch.outline, size, interpolation=cv2.INTER_LINEAR) > 0.5
    edge = max(1, round(0.05 * patch.side * scale))
    core = cv2.erode(inside.astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)).astype(bool)
    if core.sum() < 60:
        return None
    ground = np.median(pixels[core], axis=0)
    apart = np.linalg.norm(pixels - ground, axis=2)
    ink = pixels[core][apart[core] >= np.quantile(apart[core], 0.95)].mean(axis=0)
    way = ink - ground
    length = float(np.linalg.norm(way))
    if length < 45:
        return None
    dark = np.clip((pixels - ground) @ way / length**2, 0.0, 1.0)
    marked = ((dark > 0.5) & inside).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    rim = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    touching = set(np.unique(labels[rim & (marked > 0)]).tolist())
    areas = {i: int(stats[i, cv2.CC_STAT_AREA]) for i in range(1, count) if i not in touching}
    if not areas:
        return None
    kept = [i for i, area in areas.items() if area >= 0.12 * max(areas.values())]
    x1, y1 = (min(int(stats[i, column]) for i in kept) for column in (0, 1))
    x2, y2 = (max(int(stats[i, column] + stats[i, column + 2]) for i in kept) for column in (0, 1))
    near = cv2.dilate(np.isin(labels, kept).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    soft = np.where(near, dark, 0.0)[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2]
    grow = GLYPH / max(y2 - y1, 1)
    wide, high = max(1, round(soft.shape[1] * grow)), max(1, round(soft.shape[0] * grow))
    soft = cv2.resize(soft, (wide, high), interpolation=cv2.INTER_AREA if grow < 1 else cv2.INTER_CUBIC)
    left, top = patch.box[0] - patch.frame, patch.box[1] - patch.frame
    box = (left + x1 / scale, top + y1 / scale, left + x2 / scale, top + y2 / scale)
    return Mark(255 * (1 - np.clip(soft, 0, 1)), box)
