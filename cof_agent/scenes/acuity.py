"""What can be told at which size, and how large scenes are shown at first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cof_agent.images.geometry import SizeRule

LEGIBLE: Mapping[str, float] = MappingProxyType({"colour": 3.0, "shape": 8.0, "character": 16.0})
"""Side of an object, in pixels that count, from which on an attribute is read.

Calibrated on drawn backgrounds with the reading of the ideal observer: right at least 99 times in 100 at this size,
less than 50 times at half of it. Before a photo with strong colours of its own a colour is told less surely.
"""

FIRST_LOOK = SizeRule(min_pixels=56**2, max_pixels=224**2)
"""Shown size of a whole scene."""
