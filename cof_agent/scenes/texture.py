"""Texture: value noise in octaves, the same surface however near one looks."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]

COARSEST = 0.5
"""Distance between the values of the coarsest octave, in short sides. Each octave halves it."""

OCTAVES = 11
"""So many octaves there are; the finest is spaced 1/2048 of a short side."""

_MARGIN = 4


class Lattice:
    """The texture's values under a frame, on the finest lattice that the picture can show."""

    def __init__(self, seed: int, roughness: float, frame: tuple[float, float, float, float], pixels: float) -> None:
        """`frame`: left, top, right, bottom in short sides; `pixels`: of the picture, per short side.

        An octave counts in full where its values lie 4 pixels apart or more, not at all under 2, in part between.
        """
        x1, y1, x2, y2 = frame
        spacing = COARSEST
        span = _span(x1, y1, x2, y2, spacing)
        values, weight = _values(seed, 0, span), 1.0
        for octave in range(1, OCTAVES):
            shown = min(max(spacing / 2 * pixels / 2 - 1, 0.0), 1.0)
            if shown == 0:
                break
            spacing, weight = spacing / 2, weight * roughness
            finer = _span(x1, y1, x2, y2, spacing)
            values = _refine(_refine(values, span[1], finer[1], finer[3]).T, span[0], finer[0], finer[2]).T
            span = finer
            values += _values(seed, octave, span) * np.float32(weight * shown)
        self.values: Field = _limit(_limit(values).T).T
        """Rows of values, the outermost of the lattice cut off."""
        self.spacing = spacing
        """Distance between the values, in short sides."""
        self.left, self.top = (span[0] + 1) * spacing, (span[1] + 1) * spacing
        """Where the first value lies, in short sides."""


def _span(x1: float, y1: float, x2: float, y2: float, spacing: float) -> tuple[int, int, int, int]:
    """First column, first row, columns and rows of a lattice that covers a frame with a margin."""
    left, top = math.floor(x1 / spacing) - _MARGIN, math.floor(y1 / spacing) - _MARGIN
    return left, top, math.ceil(x2 / spacing) + _MARGIN - left + 1, math.ceil(y2 / spacing) + _MARGIN - top + 1


def _values(seed: int, octave: int, span: tuple[int, int, int, int]) -> Field:
    """Values -1.0 to 1.0 at each place of an octave's lattice, from an integer hash of the place."""
    left, top, columns, rows = span
    x = np.arange(left, left + columns, dtype=np.int64).astype(np.uint32)
    y = np.arange(top, top + rows, dtype=np.int64).astype(np.uint32)
    start = np.uint32((seed ^ (octave * 0x9E3779B1)) & 0xFFFFFFFF)
    mixed = (x * np.uint32(0x85EBCA6B))[None, :] ^ (y * np.uint32(0xC2B2AE35) + start)[:, None]
    # The finalizer of MurmurHash3: each bit of the place changes each bit of the value.
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed.astype(np.float32) * np.float32(2 / 0xFFFFFFFF) - np.float32(1)


def _refine(values: Field, first: int, finer_first: int, finer_rows: int) -> Field:
    """Rows at half the distance, by the subdivision whose limit is the cubic B-spline."""
    between = (values[:-1] + values[1:]) * np.float32(0.5)
    refined = np.empty((2 * len(values) - 4, values.shape[1]), dtype=np.float32)
    refined[1::2] = between[1:]
    refined[0::2] = (between[:-1] + between[1:]) * np.float32(0.25) + values[1:-1] * np.float32(0.5)
    # refined[0] is the value at the old row first + 1, that is the new row 2 * (first + 1).
    start = finer_first - 2 * (first + 1)
    return refined[start : start + finer_rows]


def _limit(values: Field) -> Field:
    """What endless subdivision would make of each row's values, but for the first and last row."""
    return (values[:-2] + values[2:]) * np.float32(1 / 6) + values[1:-1] * np.float32(2 / 3)
