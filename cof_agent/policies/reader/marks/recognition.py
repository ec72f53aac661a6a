"""The character that a mark is recognised as."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator

from cof_agent.policies.reader.marks.patch import Mark, Patch
from cof_agent.policies.reader.page.ocr import TextReader

LEGIBLE = 6.0
"""Height in view pixels from which a mark is read."""
_CASELESS = frozenset("cjkmopsuvwxyz")
"""Letters whose small form is that of the capital; alone, they are taken for capitals."""


class SeenPatch:
    """A patch in one view, with what was read on it. Readings are made once."""

    def __init__(self, patch: Patch) -> None:
        self.patch = patch
        self._votes: list[tuple[str, float]] | None = None

    def votes(self, reader: TextReader) -> list[tuple[str, float]]:
        """Readings of the mark as a single character, "" where it is none, with confidences."""
        if self._votes is None:
            mark = self.patch.mark
            self._votes = list(_readings(mark, reader)) if mark and mark.height >= LEGIBLE else []
        return self._votes


def _readings(mark: Mark, reader: TextReader) -> Iterator[tuple[str, float]]:
    """Two ways of showing the mark to the recogniser and, unless they agree, three turned ones."""
    first = [_read(mark, reader, 1, 0.0), _read(mark, reader, 3, 0.0)]
    yield from first
    if first[0][0] != first[1][0] or not first[0][0] or min(score for _, score in first) < 0.8:
        for turn in (-11.0, 11.0):
            yield _read(mark, reader, 1, turn)


def _read(mark: Mark, reader: TextReader, times: int, turn: float) -> tuple[str, float]:
    """The character on `mark`, shown so many times in a row and turned by so many degrees."""
    import cv2
    import numpy as np

    image = np.asarray(mark.image, dtype=np.float32)
    if turn:
        high, wide = image.shape
        side = math.ceil(math.hypot(wide, high)) + 2
        move = cv2.getRotationMatrix2D((wide / 2, high / 2), turn, 1.0)
        move[:, 2] += ((side - wide) / 2, (side - high) / 2)
        image = np.asarray(cv2.warpAffine(image, move, (side, side), borderValue=255), dtype=np.float32)
        rows, columns = np.nonzero(image < 128)
        if len(rows):
            image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    gap = np.full((image.shape[0], 12), 255, dtype=np.float32)
    row = np.concatenate([image, *([gap, image] * (times - 1))], axis=1)
    grey = np.pad(row, 6, constant_values=255).clip(0, 255).astype(np.uint8)
    text, score = reader.line(np.repeat(grey[..., None], 3, axis=2))
    letters = [letter for letter in unicodedata.normalize("NFKC", text) if letter.isalnum()]
    if not letters or len(set(letters)) > 1 or len(letters) > times:
        return "", 0.0
    letter = letters[0]
    return (letter.upper() if letter in _CASELESS else letter) if ord(letter) < 0x250 else "", score
