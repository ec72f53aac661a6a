"""The single character on something of a named colour: where it may stand, what is read there, where to look closer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cof_agent.images.geometry import Corners, Size, enlarge
from cof_agent.policies.reader.marks.patch import Mark, Patch, find_patches
from cof_agent.policies.reader.marks.recognition import SeenPatch
from cof_agent.policies.reader.page.finding import Finding
from cof_agent.policies.reader.page.ocr import Line, TextReader
from cof_agent.policies.reader.page.search import GAIN, Zoom
from cof_agent.policies.reader.page.text import Text
from cof_agent.policies.reader.question.ask import CharacterAsk
from cof_agent.policies.reader.session import ReadView

OUTLINED = 11.0
"""Side in view pixels from which the outline of a patch tells its shape."""
DETAIL, CHOSEN_DETAIL = 5.0, 3.5
"""The same in pixels that the source has, which an enlarged view does not add to; less when there are options."""
CLEAR = 11.0
"""Height in view pixels from which a reading can be sure."""
SEEKING, READING = 36.0, 72.0
"""Sides in view pixels at which a zoom shows what may be the thing, and what is."""
UNLIKE = 0.03
"""By so much less a patch resembles the named shape than another when it is none."""
ALIKE = (
    frozenset({"circle", "oval", "octagon"}), frozenset({"hexagon", "octagon", "pentagon"}),
    frozenset({"square", "rectangle"}), frozenset({"square", "diamond"}),
)  # fmt: skip
"""Shapes that people call by each other's names: they need no margin."""
_DIGITS = str.maketrans("OoIlZSB", "0011258")
_LETTERS = str.maketrans("0158", "OISB")


@lru_cache(maxsize=24)
def _sights(reader: TextReader, data: bytes, colour: str) -> tuple[SeenPatch, ...]:
    """Patches of a view; kept, since every turn asks for those of all views."""
    return tuple(SeenPatch(patch) for patch in find_patches(reader.picture(data), colour))


@dataclass(frozen=True, eq=False)
class Spot:
    """A place that may be the thing, from the view that shows it best."""

    sight: SeenPatch
    look: ReadView
    box: Corners
    """In overview pixels."""

    @property
    def side(self) -> float:
        """Longer side in overview pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def shown(self) -> float:
        """Longer side in the pixels of its view."""
        return self.sight.patch.side


@dataclass(frozen=True)
class Lookout:
    """Choices about a question for one character, given what was shown so far."""

    ask: CharacterAsk
    looks: Sequence[ReadView]
    asked: Sequence[Corners]
    reader: TextReader
    margin: float
    max_pixels: int

    @property
    def size(self) -> Size:
        return self.looks[0].size

    @cached_property
    def spots(self) -> list[Spot]:
        """Every place once, as the closest whole look showed it; the likeliest first."""
        found: list[Spot] = []
        for look in sorted(self.looks, key=lambda look: -look.scale):
            if look.data is None:
                continue
            closer = [other for other in self.looks if other.data is not None and other.scale > 1.2 * look.scale]
            for sight in _sights(self.reader, look.data, self.ask.colour):
                spot = Spot(sight, look, _placed(sight.patch.box, look))
                again = any(_middle_in(spot.box, other.box) or _middle_in(other.box, spot.box) for other in found)
                gone = any(_well_inside(spot.box, other.region) for other in closer)
                if not again and not gone and not self._cut(sight.patch, look) and self._on_side(spot):
                    found.append(spot)
        return sorted((spot for spot in found if self.like(spot) is not False), key=self._order)

    def like(self, spot: Spot) -> bool | None:
        """Whether its outline is that of the named shape; None where that cannot be told."""
        if not self.ask.shape or spot.shown < OUTLINED:
            return None
        near = {name for group in ALIKE if self.ask.shape in group for name in group} - {self.ask.shape}
        scores = spot.sight.patch.likeness
        rival = max(score - (0.02 if name in near else 0.0) for name, score in scores.items() if name != self.ask.shape)
        apart = scores[self.ask.shape] - rival
        if scores[self.ask.shape] < 0.85 or apart < -UNLIKE:
            return False
        return True if apart >= 0 else None

    def _order(self, spot: Spot) -> tuple[bool, bool, float]:
        patch = spot.sight.patch
        return self.like(spot) is not True, patch.vivid < 0.2, -patch.vivid * math.sqrt(patch.area) / spot.look.scale

    def _cut(self, patch: Patch, look: ReadView) -> bool:
        """Whether an inner edge of the view cuts it."""
        x1, y1, x2, y2 = patch.box
        left, top, right, bottom = look.region
        return (
            (left > 0 and x1 <= 1)
            or (top > 0 and y1 <= 1)
            or (right < self.size[0] and x2 >= look.size[0] - 1)
            or (bottom < self.size[1] and y2 >= look.size[1] - 1)
        )

    def _on_side(self, spot: Spot) -> bool:
        x = (spot.box[0] + spot.box[2]) / 2 / self.size[0]
        y = (spot.box[1] + spot.box[3]) / 2 / self.size[1]
        return {
            "": True, "left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5,
            "middle": abs(x - 0.5) < 0.25 or abs(y - 0.5) < 0.25,
        }[self.ask.side]  # fmt: skip

    def _reading(self, spot: Spot) -> tuple[str, float, bool]:
        """What stands on it as the question wants it, how certain that is, and whether it is sure; "" for nothing."""
        votes = [(self._wanted(letter), score) for letter, score in spot.sight.votes(self.reader)]
        counts = Counter(letter for letter, _ in votes if letter)
        mark = spot.sight.patch.mark
        if not counts or mark is None or self._detail(spot, mark) < (CHOSEN_DETAIL if self.ask.options else DETAIL):
            return "", 0.0, False
        letter, count = counts.most_common(1)[0]
        score = max(score for other, score in votes if other == letter)
        certain = score * count / max(len(votes), 2)
        clear = mark.height >= CLEAR and count == len(votes) and score >= 0.9
        return letter, certain, clear

    def _detail(self, spot: Spot, mark: Mark) -> float:
        """Height of a mark in pixels of the view or, where zooms have told that these are more, of the source."""
        return mark.height / max(1.0, 2 * spot.look.scale / self._limit)

    def _wanted(self, letter: str) -> str:
        if self.ask.options:
            texts = [option.text for option in self.ask.options]
            for form in (letter, letter.translate(_DIGITS), letter.translate(_LETTERS)):
                for text in texts:
                    if form and form.casefold() == text.casefold():
                        return text
            return ""
        if self.ask.sort == "digit":
            letter = letter.translate(_DIGITS)
            return letter if letter.isdigit() else ""
        if self.ask.sort == "letter":
            letter = letter.translate(_LETTERS)
            return letter if letter.isalpha() else ""
        return letter

    def answer(self, *, last: bool) -> Finding | str:
        """The answer, or why there is none yet; `last` when no closer look is possible, so that less must do."""
        spots = [spot for spot in self.spots if self.like(spot)] or self.spots
        read = [(spot, *self._reading(spot)) for spot in spots[:6]]
        good = [item for item in read if item[1] and (item[3] or (last and item[2] >= 0.6))]
        named = f"{self.ask.colour} {self.ask.shape or 'thing'}"
        if not spots:
            return f"I see no {named}"
        if not good:
            return f"what stands on the {named} is not certain enough"
        if self.ask.shape and not self.like(good[0][0]) and not (last and len(self.spots) == 1):
            return f"what I read may not stand on the {named}"
        if len({letter for _, letter, *_ in good}) > 1:
            return f"several things may be the {named}, and different characters stand on them"
        spot, letter, certain, _ = good[0]
        answer = next((str(option) for option in self.ask.options if option.text == letter), letter)
        return Finding(answer, certain, (self._text(spot, letter, certain),))

    def _text(self, spot: Spot, letter: str, certain: float) -> Text:
        mark, look = spot.sight.patch.mark, spot.look
        x1, y1, x2, y2 = mark.box if mark else spot.sight.patch.box
        line = Line(letter, round(certain, 4), ((x1, y1), (x2, y1), (x2, y2), (x1, y2)))
        left, top, right, bottom = _placed((x1, y1, x2, y2), look)
        quad = ((left, top), (right, top), (right, bottom), (left, bottom))
        return Text(letter, line.confidence, quad, line, look.index, look.scale, _area(look.region))

    @cached_property
    def _limit(self) -> float:
        """Greatest magnification over the overview, as far as zooms tell: the loop shows regions at twice their
        original size unless the pixel budget forbids it."""
        known = [look.scale for look in self.looks[1:] if look.size[0] * look.size[1] < 0.85 * self.max_pixels]
        return min(known, default=math.inf)

    def closer(self) -> Zoom | None:
        """A look at the likeliest place that one would show better, others near it included; else at a quarter of the
        picture that no zoom has shown."""
        wanted = [spot for spot in self.spots if spot.look.scale * GAIN <= self._limit and not self._empty(spot)]
        for spot in wanted:
            sure = self.like(spot) is True
            scale = max((READING if sure else SEEKING) / spot.side, GAIN * spot.look.scale, 2.05)
            bbox = self._frame(spot, wanted, min(scale, max(self._limit, GAIN)))
            if not self._known(bbox):
                what = f"{self.ask.colour} {self.ask.shape or 'thing'}"
                why = f"This is the {what}, but" if sure else f"This may be the {what}, and"
                return Zoom(bbox, what, f"{why} what stands on it is too small to be sure of. I look closer.")
        return self._quarter() if not self.spots else None

    def _empty(self, spot: Spot) -> bool:
        """Whether a view shows it so large that nothing, or more than a character, stands on it for certain."""
        return spot.shown >= 2 * READING and not any(letter for letter, _ in spot.sight.votes(self.reader))

    def again(self, finding: Finding) -> Zoom:
        """A look at what was found, whether or not it shows more than was seen."""
        spot = next(s for s in self.spots if _middle_in(finding.texts[0].box, s.box))
        bbox = self._frame(spot, [], max(2.05, READING / spot.side))
        return Zoom(bbox, "the answer, to make sure", "I make sure of the answer.")

    def _frame(self, first: Spot, others: Sequence[Spot], scale: float) -> tuple[int, int, int, int]:
        """A box to ask for that shows `first` at `scale` with as many of `others` as fit, of a quarter of the picture
        at most."""
        room = min(math.sqrt(self.max_pixels) / scale, math.sqrt(self.size[0] * self.size[1]) / 2)
        room = max(room, 2.2 * first.side)
        pad = 0.6 * first.side + 1
        x1, y1, x2, y2 = first.box[0] - pad, first.box[1] - pad, first.box[2] + pad, first.box[3] + pad
        for other in others:
            wide = (
                min(x1, other.box[0] - 2),
                min(y1, other.box[1] - 2),
                max(x2, other.box[2] + 2),
                max(y2, other.box[3] + 2),
            )
            if wide[2] - wide[0] <= room and wide[3] - wide[1] <= room:
                x1, y1, x2, y2 = wide
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        half = max(x2 - x1, y2 - y1, min(room, 6 * first.side + 8)) / 2 / self.margin
        return self._whole((cx - half, cy - half, cx + half, cy + half))

    def _quarter(self) -> Zoom | None:
        width, height = self.size
        for row in range(2):
            for column in range(2):
                cx, cy = (column + 0.5) * width / 2, (row + 0.5) * height / 2
                across, down = 1.08 * width / 4 / self.margin, 1.08 * height / 4 / self.margin
                bbox = self._whole((cx - across, cy - down, cx + across, cy + down))
                if self._limit >= 2 * GAIN and not self._known(bbox):
                    return Zoom(bbox, "a quarter", f"I see no {self.ask.colour} thing that fits. I search in parts.")
        return None

    def _whole(self, box: Corners) -> tuple[int, int, int, int]:
        """Whole pixels within the overview, a few wide and high."""
        width, height = self.size
        x1, y1 = max(0, min(math.floor(box[0]), width - 6)), max(0, min(math.floor(box[1]), height - 6))
        return x1, y1, min(width, max(math.ceil(box[2]), x1 + 6)), min(height, max(math.ceil(box[3]), y1 + 6))

    def _known(self, bbox: Corners) -> bool:
        """Whether nearly the same region was asked for already."""
        mine = enlarge(bbox, self.size, self.margin)
        for other in self.asked:
            theirs = enlarge(other, self.size, self.margin)
            wide, high = (
                min(mine[2], theirs[2]) - max(mine[0], theirs[0]),
                min(mine[3], theirs[3]) - max(mine[1], theirs[1]),
            )
            common = max(0, wide) * max(0, high)
            if common > 0.75 * (_area(mine) + _area(theirs) - common):
                return True
        return False


def _placed(box: Corners, look: ReadView) -> Corners:
    """A box in view pixels, in overview pixels."""
    left, top, right, bottom = look.region
    sx, sy = (right - left) / look.size[0], (bottom - top) / look.size[1]
    return left + box[0] * sx, top + box[1] * sy, left + box[2] * sx, top + box[3] * sy


def _area(region: Corners) -> float:
    return (region[2] - region[0]) * (region[3] - region[1])


def _middle_in(box: Corners, other: Corners) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return other[0] - 1 <= x <= other[2] + 1 and other[1] - 1 <= y <= other[3] + 1


def _well_inside(box: Corners, region: Corners) -> bool:
    """Whether a view of `region` would have shown all of `box`."""
    return region[0] + 1 < box[0] and region[1] + 1 < box[1] and box[2] < region[2] - 1 and box[3] < region[3] - 1
