"""Which regions must be seen to answer a question: geometry alone, exactly as the loop shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Box, CoordinateSpace, Corners, Size, SizeRule
from cof_agent.scenes.acuity import FIRST_LOOK
from cof_agent.scenes.legibility import counting_pixels, needed
from cof_agent.scenes.question import SceneQuestion

SCENE_PROFILE = Profile(
    dialect="cof",
    overview=FIRST_LOOK,
    regions=SizeRule(max_pixels=224**2),
)
"""How scenes are shown: little at a time, so that small images already call for a closer look."""

SMALLEST_BOX = 8
"""Sides of a box to zoom on, in overview pixels, at least."""
WORTHWHILE = 1.25
"""A closer look at what stays out of reach is worth while when it shows so many times more detail."""


@dataclass(frozen=True, slots=True)
class Region:
    """A zoom and what it shows."""

    corners: tuple[int, int, int, int]
    """The box that a policy asks for, in pixels of the overview."""
    box: Box
    """What is shown, in pixels of the source."""
    shown: Size
    """The size it is shown at, in pixels."""


@dataclass(frozen=True, slots=True)
class ZoomPlan:
    """The zooms that an ideal observer asks for, in order."""

    zooms: tuple[Region, ...]
    reaches: bool
    """Whether everything that must be told is legible after them."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A source image as a profile shows it.

    Raises ConfigError for coordinates other than view pixels, and for a source without area or too thin to be shown.
    """

    source: Size
    """Width and height of the source in pixels."""
    profile: Profile

    def __post_init__(self) -> None:
        if self.profile.coordinates is not CoordinateSpace.VIEW_PIXELS:
            raise ConfigError(
                f"zooms on scenes are written in view pixels, not in {self.profile.coordinates}: "
                "use a profile whose coordinates are view_pixels"
            )
        self.profile.overview.fit(self.source)

    @property
    def overview(self) -> Size:
        """The size of the overview in pixels."""
        return self.profile.overview.fit(self.source)

    def seen(self, place: Corners) -> float:
        """Side, in pixels that count, of what is at `place` (fractions of the sides) in the overview."""
        return counting_pixels(place, self.source, Box.whole(self.source), self.overview)

    def seen_in(self, place: Corners, region: Region) -> float:
        """The same in a region that shows `place` whole."""
        return counting_pixels(place, self.source, region.box, region.shown)

    def zoom(self, places: Sequence[Corners]) -> Region:
        """The zoom whose box lies tightly around all `places` (fractions of the sides)."""
        width, height = self.overview
        x1, x2 = _whole(min(p[0] for p in places) * width, max(p[2] for p in places) * width, width)
        y1, y2 = _whole(min(p[1] for p in places) * height, max(p[3] for p in places) * height, height)
        return self.region((x1, y1, x2, y2))

    def region(self, corners: tuple[int, int, int, int]) -> Region:
        """What the loop shows for a box in whole pixels of the overview."""
        box, shown = self.profile.zoom.region(corners, self.overview, Box.whole(self.source), self.profile.regions)
        return Region(corners, box, shown)

    def plan(self, places: Sequence[Corners], need: float) -> ZoomPlan:
        """The fewest zooms after which all `places` have a side of `need` pixels that count.

        What is out of reach is zoomed on as well where that shows `WORTHWHILE` times more of it.
        """
        small = [place for place in places if self.seen(place) < need]
        if not small:
            return ZoomPlan((), True)
        together = self.zoom(small)
        if all(self.seen_in(place, together) >= need for place in small):
            return ZoomPlan((together,), True)
        apart = [(place, self.zoom([place])) for place in small]
        if all(self.seen_in(place, region) >= need for place, region in apart):
            return ZoomPlan(tuple(region for _, region in apart), True)
        better = [region for place, region in apart if self.seen_in(place, region) >= WORTHWHILE * self.seen(place)]
        return ZoomPlan(tuple(better), False)


def ideal_zooms(question: SceneQuestion, source: Size, profile: Profile = SCENE_PROFILE) -> int | None:
    """The zooms that an ideal observer needs; None when it cannot tell whatever it looks at.

    `source` is the width and height, in pixels, of the image that is asked about. Raises what `Outlook` does.
    """
    plan = Outlook(source, profile).plan(question.boxes, needed(question))
    return len(plan.zooms) if plan.reaches else None


def _whole(low: float, high: float, limit: int) -> tuple[int, int]:
    """Whole pixels around an interval, at least `SMALLEST_BOX` of them, within 0 to `limit`."""
    noise = 1e-6
    first, last = max(math.floor(low + noise), 0), min(math.ceil(high - noise), limit)
    least = min(SMALLEST_BOX, limit)
    if last - first < least:
        first = min(max(round((low + high - least) / 2), 0), limit - least)
        last = first + least
    return first, last
