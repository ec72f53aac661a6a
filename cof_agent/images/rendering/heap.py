"""Memory that the C library keeps after it was freed."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any


def trim_heap() -> None:
    """Have glibc give back what was freed: it keeps up to some hundred megabytes for itself, and never looks again.

    Nothing that is in use moves. Does nothing with other C libraries, which have no such call.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim.argtypes = [ctypes.c_size_t]
    return trim
