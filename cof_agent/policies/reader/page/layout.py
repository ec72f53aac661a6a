"""How lines of text lie to each other: rows, neighbours, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cof_agent.policies.reader.page.text import Text, axes, extents


@dataclass(frozen=True, slots=True)
class Relation:
    """Where line `b` lies as seen from line `a`, in units of `a`'s height, in the frame of the longer of the two."""

    right: float
    """Gap from a's end to b's start; negative where b starts before a ends."""
    left: float
    """Gap from b's end to a's start."""
    below: float
    """Gap from a's bottom to b's top."""
    above: float
    """Gap from b's bottom to a's top."""
    level: float
    """Distance of the centre lines, down positive."""
    overlap: float
    """Part of the shorter one's length that lies over the other."""

    @property
    def same_row(self) -> bool:
        return abs(self.level) < 0.6 and (self.right > -0.6 or self.left > -0.6)

    @property
    def gap(self) -> float:
        """Distance of the two boxes, vertical steps counted more: what is beside is nearer than what is below."""
        sideways, vertical = max(self.right, self.left, 0.0), max(self.below, self.above, 0.0)
        return sideways + 1.6 * vertical


def relation(a: Text, b: Text) -> Relation:
    along, down = axes(max(a, b, key=lambda text: len(text.text)).quad)
    p, q = extents(a.quad, along, down), extents(b.quad, along, down)
    unit = max(a.height, 1.0)
    shorter = min(p[2] - p[0], q[2] - q[0]) or 1.0
    return Relation(
        right=(q[0] - p[2]) / unit,
        left=(p[0] - q[2]) / unit,
        below=(q[1] - p[3]) / unit,
        above=(p[1] - q[3]) / unit,
        level=(q[1] + q[3] - p[1] - p[3]) / 2 / min(max(a.height, 1.0), max(b.height, 1.0)),
        overlap=max(0.0, min(p[2], q[2]) - max(p[0], q[0])) / shorter,
    )


def row_of(text: Text, texts: Sequence[Text]) -> list[Text]:
    """The lines in the same row as `text`, itself among them, from left to right."""
    row = [other for other in texts if other is text or relation(text, other).same_row]
    return sorted(row, key=lambda other: other.box[0])


def right_of(text: Text, texts: Sequence[Text], reach: float = 40.0) -> list[Text]:
    """Lines to the right in the same row, the nearest first, up to `reach` heights away."""
    found = [(relation(text, other), other) for other in texts if other is not text]
    near = [(r.right, other) for r, other in found if r.same_row and -0.6 < r.right < reach]
    return [other for _, other in sorted(near, key=lambda pair: pair[0])]


def below(text: Text, texts: Sequence[Text], reach: float = 2.5) -> list[Text]:
    """Lines under `text` that overlap it sideways, the nearest first, up to `reach` heights away."""
    found = [(relation(text, other), other) for other in texts if other is not text]
    near = [(r.below, other) for r, other in found if r.overlap > 0.3 and r.level > 0.5 and r.below < reach]
    return [other for _, other in sorted(near, key=lambda pair: pair[0])]


def joined(a: Text, b: Text) -> bool:
    """Whether two lines belong to one block: set in a similar size, close under or beside each other."""
    large, small = max(a.height, b.height), max(min(a.height, b.height), 1.0)
    r = relation(a if a.height <= b.height else b, b if a.height <= b.height else a)
    if r.same_row:
        return large / small <= 1.6 and max(r.right, r.left) <= 1.2
    if large / small > 1.9 or r.overlap < 0.35:
        return False
    return max(r.below, r.above) <= (0.95 if large / small <= 1.45 else 0.5)


def blocks(texts: Sequence[Text]) -> list[list[Text]]:
    """Lines grouped into blocks, each in reading order."""
    group = list(range(len(texts)))
    for i, a in enumerate(texts):
        for j in range(i):
            if group[i] != group[j] and joined(a, texts[j]):
                old, new = group[i], group[j]
                group = [new if member == old else member for member in group]
    found = [
        [text for text, member in zip(texts, group, strict=True) if member == name] for name in dict.fromkeys(group)
    ]
    return [in_reading_order(block) for block in found]


def in_reading_order(block: Sequence[Text]) -> list[Text]:
    """Rows from top to bottom, each from left to right."""
    along, down = axes(max(block, key=lambda text: len(text.text)).quad)
    placed = sorted(((extents(text.quad, along, down), text) for text in block), key=lambda p: p[0][1] + p[0][3])
    rows: list[list[tuple[float, Text]]] = []
    last = 0.0
    for (x1, y1, _, y2), text in placed:
        centre = (y1 + y2) / 2
        if not rows or centre - last > 0.5 * (y2 - y1):
            rows.append([])
            last = centre
        rows[-1].append((x1, text))
    return [text for row in rows for _, text in sorted(row, key=lambda p: p[0])]


def words_of(block: Sequence[Text]) -> str:
    """The text of a block in one line."""
    return " ".join(text.text for text in block)
