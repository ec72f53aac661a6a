"""All that was read so far, from every view, laid out in pixels of the overview."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cof_agent.images.geometry import Corners
from cof_agent.policies.reader.page.ocr import Line, Quad, TextReader
from cof_agent.policies.reader.session import ReadView
from cof_agent.policies.reader.words import similar, squeeze

SURE_CONFIDENCE = 0.93
"""Character confidence from which a line is taken as read, if it is tall enough. Set by hand on trial photos; what it
refuses costs a zoom, what it lets through wrongly costs a wrong answer."""
SURE_HEIGHT = 20.0
"""Height of a line's box in view pixels (capitals are about two thirds of it) from which confidence can be trusted."""
FAIR_CONFIDENCE = 0.88
"""What an answer needs when no closer look is possible; less when two magnifications agree."""
FAIR_HEIGHT = 12.0
TWIN = 0.8
"""Likeness from which two lines without digits may be two printings of one name."""
OWN_WEIGHT = 1.2
"""Weight of a line of a page's own text: more than any reading has."""
CUT = 3.0
"""A line that ends so many pixels from an inner edge of its view may go on beyond it."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text as it was best read."""

    text: str
    confidence: float
    quad: Quad
    """Corners in overview pixels, in reading order from the top left."""
    line: Line
    """The reading itself, in pixels of its view."""
    view: int
    """Number of the view in which it was read."""
    scale: float
    """That view's pixels per overview pixel."""
    area: float
    """Area that view shows, in overview pixels."""
    cut: bool = False
    """Whether the view's edge cuts it."""
    agreed: bool = False
    """Whether another look, at another magnification, read the same."""
    disputed: bool = False
    """Whether another look, about as good, read something else."""
    partial: bool = False
    """Whether another look found more text here than this line covers, but could not read it."""
    others: tuple[Text, ...] = ()
    """Other readings of it that are nearly as good."""

    @property
    def box(self) -> Corners:
        """The upright box around it, in overview pixels."""
        xs, ys = [x for x, _ in self.quad], [y for _, y in self.quad]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def height(self) -> float:
        """Height of the text in overview pixels."""
        return self.line.height / self.scale

    @property
    def own(self) -> bool:
        """Whether it is of the page's own text, and was not read by OCR."""
        return bool(self.line.words)

    @property
    def sure(self) -> bool:
        """Whether it can be taken as read."""
        if self.cut or self.disputed or self.partial:
            return False
        if self.own:
            return True
        tall = self.line.height >= SURE_HEIGHT and self.confidence >= SURE_CONFIDENCE
        return tall or (self.agreed and self.confidence >= SURE_CONFIDENCE and self.line.height >= 0.8 * SURE_HEIGHT)

    @property
    def fair(self) -> bool:
        """Whether it may be answered with when no closer look is possible."""
        if self.own:
            return self.sure
        needed = FAIR_CONFIDENCE - (0.08 if self.agreed else 0.0)
        return not (self.cut or self.disputed) and self.confidence >= needed and self.line.height >= FAIR_HEIGHT

    @property
    def weight(self) -> float:
        """How good the reading is, for choosing between readings of the same text."""
        size = OWN_WEIGHT if self.own else min(1.0, self.line.height / 24.0) ** 0.5
        return float(self.confidence * size * (0.4 if self.cut else 1.0))


def read_page(looks: Sequence[ReadView], reader: TextReader, *, deep: bool) -> list[Text]:
    """Every line read in `looks`, each once, from the view that read it best; top to bottom.

    `deep` adds the overview's deep pass.
    """
    found: list[Text] = []
    for look in looks:
        if look.data is None:
            continue
        found += [_placed(line, look, looks[0]) for line in (*look.own, *reader.read(look.data))]
        if deep and look is looks[0]:
            found += [_placed(line, look, looks[0]) for line in reader.read(look.data, enlarge=2)]
    return sorted(_settled_by_twins(_best(found, looks)), key=lambda text: (text.box[1], text.box[0]))


def _settled_by_twins(texts: list[Text]) -> list[Text]:
    """Names are often printed more than once: a doubtful reading takes the spelling of a sure one that is nearly the
    same. Texts with digits are left alone, since what differs in them may be meant to."""
    models = [text for text in texts if text.sure and _nameable(text.text)]

    def settled(text: Text) -> Text:
        if text.sure or text.confidence < 0.6 or not _nameable(text.text):
            return text
        twins = [model for model in models if similar(model.text, text.text) >= TWIN]
        return replace(text, text=twins[0].text, agreed=True) if twins else text

    return [settled(text) for text in texts]


def _nameable(text: str) -> bool:
    return len(squeeze(text)) >= 5 and not any(character.isdigit() for character in text)


def _placed(line: Line, look: ReadView, overview: ReadView) -> Text:
    left, top, right, bottom = look.region
    sx, sy = look.size[0] / (right - left), look.size[1] / (bottom - top)
    a, b, c, d = [(x / sx + left, y / sy + top) for x, y in line.quad]
    x1, y1, x2, y2 = line.box
    cut = line.leaves or (
        (left > 0 and x1 <= CUT)
        or (top > 0 and y1 <= CUT)
        or (right < overview.size[0] and x2 >= look.size[0] - CUT)
        or (bottom < overview.size[1] and y2 >= look.size[1] - CUT)
    )
    return Text(
        line.text, line.confidence, (a, b, c, d), line, look.index, look.scale, (right - left) * (bottom - top), cut
    )


def _best(found: Iterable[Text], looks: Sequence[ReadView]) -> list[Text]:
    kept: list[Text] = []
    ranked = sorted(
        found, key=lambda text: (round(text.weight / 0.04), len(squeeze(text.text)), text.weight), reverse=True
    )
    for text in ranked:
        rivals = [i for i, other in enumerate(kept) if shared(text, other) > 0.5 and not _is_part(other, text)]
        if not rivals and not _vanished(text, looks):
            kept.append(text)
        for i in rivals:
            kept[i] = _compared(kept[i], text)
    return kept


def _is_part(own: Text, read: Text) -> bool:
    """Whether `own`, of the page's own text, is a small part of what was read: the rest may be in a picture."""
    return own.own and not read.own and _length(own) < 0.5 * _length(read)


def _length(text: Text) -> float:
    (a, b, c, d) = text.quad
    return max(math.dist(a, b), math.dist(b, c), math.dist(c, d), math.dist(d, a))


def _compared(best: Text, other: Text) -> Text:
    """`best` with what another reading of the same place says about it."""
    if best.own:
        return best
    mine, theirs = squeeze(best.text), squeeze(other.text)
    if mine == theirs:
        best = replace(best, agreed=best.agreed or _apart(best, other))
    if other.fair and mine in theirs and len(other.text) > len(best.text):
        return replace(best, others=(*best.others, other))  # a word, a sign or a point more, as in "70%"
    legible = min(best.line.height, other.line.height) >= SURE_HEIGHT and not other.cut
    close = other.confidence >= max(0.8, best.confidence - 0.1)
    disputed = legible and close and theirs not in mine and _apart(best, other)
    vast = other.confidence < FAIR_CONFIDENCE and other.height >= 1.7 * best.height and best.scale < 1.3 * other.scale
    return replace(best, disputed=best.disputed or disputed, partial=best.partial or vast)


def _apart(a: Text, b: Text) -> bool:
    """Whether two readings are from looks that differ enough to count as two."""
    closer = max(a.scale, b.scale) >= 1.3 * min(a.scale, b.scale)
    return a.view != b.view and (closer or max(a.area, b.area) >= 1.5 * min(a.area, b.area))


def _vanished(text: Text, looks: Sequence[ReadView]) -> bool:
    """Whether a closer view of the same place read nothing there, so that a doubtful reading was none."""
    if text.confidence >= 0.9:
        return False
    x1, y1, x2, y2 = text.box
    misses = sum(
        look.data is not None
        and look.scale >= 1.5 * text.scale
        and look.region[0] + 2 < x1
        and look.region[1] + 2 < y1
        and x2 < look.region[2] - 2
        and y2 < look.region[3] - 2
        for look in looks
    )
    return misses >= (1 if text.confidence < 0.6 else 3)


def axes(quad: Quad) -> tuple[tuple[float, float], tuple[float, float]]:
    """Unit vectors along the reading direction of `quad` and down from it."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    x, y = bx - ax + cx - dx, by - ay + cy - dy
    length = math.hypot(x, y) or 1.0
    return (x / length, y / length), (-y / length, x / length)


def extents(quad: Quad, along: tuple[float, float], down: tuple[float, float]) -> Corners:
    """The box around `quad` in the frame of two axes: least and greatest along, down."""
    us = [x * along[0] + y * along[1] for x, y in quad]
    vs = [x * down[0] + y * down[1] for x, y in quad]
    return min(us), min(vs), max(us), max(vs)


def shared(a: Text, b: Text) -> float:
    """Area that two lines share, as a part of the smaller one's, in the frame of the longer."""
    along, down = axes(max(a, b, key=lambda text: len(text.text)).quad)
    p, q = extents(a.quad, along, down), extents(b.quad, along, down)
    width, height = min(p[2], q[2]) - max(p[0], q[0]), min(p[3], q[3]) - max(p[1], q[1])
    smaller = min((p[2] - p[0]) * (p[3] - p[1]), (q[2] - q[0]) * (q[3] - q[1]))
    return width * height / smaller if width > 0 and height > 0 and smaller > 0 else 0.0


def around(texts: Iterable[Text]) -> Corners:
    """The upright box around `texts`, in overview pixels. At least one text is needed."""
    boxes = [text.box for text in texts]
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
