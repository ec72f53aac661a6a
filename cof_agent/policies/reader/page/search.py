"""Where to look closer: onto a doubtful answer, at unread text, at ever smaller tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cof_agent.images.geometry import Box, Corners, Size, enlarge
from cof_agent.policies.reader.page.finding import Finding, ReadPage
from cof_agent.policies.reader.page.text import Text, around
from cof_agent.policies.reader.session import ReadView
from cof_agent.policies.reader.values import resemblance
from cof_agent.policies.reader.words import phrase_match, word_match

GAIN = 1.3
"""A closer look must magnify at least so much more than the best one so far."""
READING_HEIGHT = 56.0
"""Text taller than this in a view seldom reads better; what is left of the view shows its surroundings. A line that is
about as tall and still uncertain gets one taller look."""
SEEKING_HEIGHT = 30.0
"""Height in view pixels that a look at unread text aims at."""
WORTH = 0.3
"""Least promise of a region of unread text that is worth a look."""


@dataclass(frozen=True, slots=True)
class Zoom:
    """A region to ask for."""

    bbox: tuple[int, int, int, int]
    """In pixels of the overview."""
    label: str
    why: str


@dataclass(frozen=True)
class Search:
    """Choices of the next region, given what was shown so far."""

    scene: ReadPage
    looks: Sequence[ReadView]
    asked: Sequence[Corners]
    margin: float
    max_pixels: int

    @property
    def size(self) -> Size:
        return self.looks[0].size

    @cached_property
    def limit(self) -> float:
        """Greatest magnification over the overview that zooming can give, as far as views tell.

        The loop shows regions at twice their original size unless the pixel budget forbids it, so a view that stays
        below the budget gives away how many original pixels lie under one of the overview.
        """
        known = [look.scale for look in self.looks[1:] if look.size[0] * look.size[1] < 0.85 * self.max_pixels]
        if self.size[0] * self.size[1] < 0.85 * self.max_pixels:
            known.append(2.0)
        return min(known, default=math.inf)

    def reachable(self, region: Corners) -> float:
        """View pixels per overview pixel at which `region` would be shown."""
        area = max((region[2] - region[0]) * (region[3] - region[1]), 1.0)
        return min(self.limit, math.sqrt(self.max_pixels / area))

    def seen_at(self, box: Corners) -> float:
        """The greatest magnification at which a view showed all of `box`."""
        return max((look.scale for look in self.looks if _inside(box, look.region)), default=1.0)

    def confirm(self, finding: Finding) -> Zoom | None:
        """A close look at the lines of `finding`, unless it would show no more than was seen."""
        if not finding.texts:
            return None
        box, height = around(finding.texts), min(text.height for text in finding.texts)
        tall = min(text.line.height for text in finding.texts)
        target = READING_HEIGHT if tall < 0.7 * READING_HEIGHT else min(1.7 * tall, 2.2 * READING_HEIGHT)
        bbox = next((frame for frame in self._frames(box, height, target) if self._helps(frame, box)), None)
        if bbox is None:
            return None
        read = ", ".join(f"“{text.text}”" for text in finding.texts[:3])
        low = min(finding.texts, key=lambda text: text.weight)
        cause = (
            "the view cuts it" if low.cut else "it is small" if low.line.height < 20 else "the reading is not certain"
        )
        return Zoom(
            bbox, "the answer, to make sure", f"I read {read}, which may be the answer, but {cause}. I look closer."
        )

    def again(self, finding: Finding) -> Zoom | None:
        """A look at the lines of `finding`, whether or not it shows more than was seen."""
        if not finding.texts:
            return None
        box, height = around(finding.texts), min(text.height for text in finding.texts)
        return Zoom(self._frame(box, height, READING_HEIGHT), "the answer, to make sure", "I make sure of the answer.")

    def _frames(self, box: Corners, height: float, target: float) -> list[tuple[int, int, int, int]]:
        """Boxes around a line to try in turn: with some surroundings, then tighter; recognition is helped by either."""
        x1, y1, x2, y2 = box
        loose, tight = (1.2 * height, 1.0 * height), (0.6 * height, 0.6 * height)
        return [
            self._frame(box, height, target),
            *(self._whole((x1 - px, y1 - py, x2 + px, y2 + py)) for px, py in (loose, tight)),
        ]

    def _helps(self, bbox: tuple[int, int, int, int], box: Corners) -> bool:
        """Whether showing `bbox` would magnify `box` more, or show it with far less around it, than was done so far."""
        region = self._region(bbox)
        if self._known(bbox) or not _inside(box, region):
            return False
        least = min((_area(look.region) for look in self.looks if _inside(box, look.region)), default=math.inf)
        return self.reachable(region) >= GAIN * self.seen_at(box) or _area(region) <= 0.55 * least

    def next(self) -> Zoom | None:
        """The most promising region not looked at yet; None when nothing is left that a look could show."""
        return self._unread() or self._tile()

    def unread(self) -> Zoom | None:
        """Like `next`, but only where text was found."""
        return self._unread()

    def _unread(self) -> Zoom | None:
        worth = [(self._worth(text), text) for text in self.scene.texts]
        worth = [(value, text) for value, text in worth if value > 0.05]
        best: tuple[float, Zoom] | None = None
        for value, seed in worth:
            bbox = self._frame(seed.box, seed.height, SEEKING_HEIGHT, wide=True)
            region = self._region(bbox)
            scale = self.reachable(region)
            if self._known(bbox) or scale < GAIN * self.seen_at(seed.box):
                continue
            inside = sorted(
                (v for v, text in worth if _inside(text.box, region) and scale >= GAIN * self.seen_at(text.box)),
                reverse=True,
            )
            promise = sum(inside[:3]) + 0.15 * sum(inside[3:8]) + 0.2 * value
            if promise >= WORTH and (best is None or promise > best[0] + 1e-9):
                what = "text" if seed.confidence < 0.3 else f"text like “{seed.text}”"
                best = (
                    promise,
                    Zoom(
                        bbox,
                        "unread text",
                        f"There is {what} that is too small or unclear to read and may matter. I look closer.",
                    ),
                )
        return best[1] if best else None

    def _worth(self, text: Text) -> float:
        """How much the question would gain from reading `text`, or around it, better."""
        ask = self.scene.ask
        doubt = 0.0
        if not text.sure:
            doubt = 0.25 + 0.5 * (1 - text.confidence) + 0.5 * max(0.0, 1 - text.line.height / 20)
        like = resemblance(text.text, ask.kind) if ask.kind else 0.0
        named = max((word_match(word, text.text) for word in ask.words), default=0.0)
        if ask.phrase:
            named = max(named, phrase_match(ask.phrase, text.text) if len(ask.phrase) > 4 else 0.0)
        named = named if named >= 0.55 else 0.0
        worth = doubt * (0.3 + 1.3 * like + named) + 0.4 * named
        if ask.colour or ask.side:
            worth *= 1.6 if self.scene.placed([text]) else 0.4
        return worth

    def _tile(self) -> Zoom | None:
        if self.limit < 2 * GAIN:
            return None  # the overview has all the detail there is, and the deep pass has read it enlarged
        width, height = self.size
        for parts in (2, 4):
            tiles = []
            for row in range(parts):
                for column in range(parts):
                    region = (
                        column * width / parts,
                        row * height / parts,
                        (column + 1) * width / parts,
                        (row + 1) * height / parts,
                    )
                    scale = self.reachable(region)
                    if self._known(self._tile_box(region)) or scale < GAIN:
                        continue
                    if self._covered(region, 0.8 * scale) < 0.6:
                        tiles.append((-self._promise(region), row, column, region))
            if tiles:
                *_, row, column, region = min(tiles)
                bbox = self._tile_box(region)
                place = f"row {row + 1}, column {column + 1} of {parts} by {parts}"
                return Zoom(
                    bbox, f"tile {place}", f"I see no text that answers this. I search the picture in parts: {place}."
                )
        return None

    def _tile_box(self, region: Corners) -> tuple[int, int, int, int]:
        """The box to ask for so that the loop, which enlarges it, shows `region`."""
        x1, y1, x2, y2 = region
        cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / self.margin, (y2 - y1) / self.margin
        return self._whole((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))

    def _promise(self, region: Corners) -> float:
        """Faint text and fine detail in a tile."""
        faint = sum(0.5 + self._worth(text) for text in self.scene.texts if _inside(text.box, region))
        return round(faint + 3 * self._detail(region), 6)

    def _detail(self, region: Corners) -> float:
        """Mean contrast between neighbouring pixels, 0.0 to 1.0."""
        import numpy as np

        x1, y1, x2, y2 = map(int, region)
        grey = np.asarray(self.scene.picture.crop((x1, y1, x2, y2)).convert("L"), dtype=np.float32)
        return float(np.minimum(np.abs(np.diff(grey, axis=1)), 80).mean() / 80) if grey.shape[1] > 1 else 0.0

    def _covered(self, region: Corners, scale: float) -> float:
        """Part of `region` that views of at least `scale` showed, by a grid of points."""
        x1, y1, x2, y2 = region
        points = [(x1 + (i + 0.5) / 8 * (x2 - x1), y1 + (j + 0.5) / 8 * (y2 - y1)) for i in range(8) for j in range(8)]
        views = [look.region for look in self.looks if look.scale >= scale]
        return sum(any(r[0] <= x <= r[2] and r[1] <= y <= r[3] for r in views) for x, y in points) / len(points)

    def _frame(self, box: Corners, height: float, target: float, *, wide: bool = False) -> tuple[int, int, int, int]:
        """A box to ask for that shows `box` with text of `height` about `target` tall, and never a larger part than
        makes a closer look worth it."""
        pad = 0.6 * height
        x1, y1, x2, y2 = box[0] - 0.5 * pad, box[1] - pad, box[2] + 0.5 * pad, box[3] + pad
        scale = max(2.05, min(target / max(height, 1.0), self.limit))
        width, high = x2 - x1, y2 - y1
        room = min(self.max_pixels / scale**2 / self.margin**2, (width + 12 * height) * (high + 6 * height))
        if width * high < room:
            side = math.sqrt(room)
            aspect = 1.5 if wide else 2.0
            new_width = max(width, min(side * math.sqrt(aspect), room / high))
            new_high = max(high, room / new_width)
            cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
            x1, x2, y1, y2 = cx - new_width / 2, cx + new_width / 2, cy - new_high / 2, cy + new_high / 2
        return self._whole((x1, y1, x2, y2))

    def _whole(self, box: Corners) -> tuple[int, int, int, int]:
        """Whole pixels within the overview, at least a few wide and high."""
        x1, x2 = _clip(box[0], box[2], self.size[0])
        y1, y2 = _clip(box[1], box[3], self.size[1])
        return x1, y1, x2, y2

    def _region(self, bbox: Corners) -> Corners:
        x1, y1, x2, y2 = enlarge(bbox, self.size, self.margin)
        return float(x1), float(y1), float(x2), float(y2)

    def _known(self, bbox: Corners) -> bool:
        """Whether nearly the same box was asked for already."""
        mine = Box(*(round(value) for value in bbox))
        return any(mine.iou(Box(*(round(value) for value in other))) > 0.7 for other in self.asked)


def _clip(low: float, high: float, limit: int) -> tuple[int, int]:
    least = min(12, limit)
    first = max(0, min(math.floor(low), limit - least))
    return first, min(limit, max(math.ceil(high), first + least))


def _area(region: Corners) -> float:
    return (region[2] - region[0]) * (region[3] - region[1])


def _inside(box: Corners, region: Corners) -> bool:
    slack = 1.0
    return (
        region[0] - slack <= box[0]
        and region[1] - slack <= box[1]
        and box[2] <= region[2] + slack
        and box[3] <= region[3] + slack
    )
