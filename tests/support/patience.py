"""How long tests wait: for what must happen nearly without end, for what must be cut off as short as they can."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 600.0
"""Seconds until a test gives up on what must happen: a busy machine is slow, and a process may stand still."""

TIMES = (0.5, 5.0, 50.0)
"""Seconds after which something is to be cut off. What is to happen before that may come too late on a busy machine:
then a test takes the next of these, and says at the last what is wrong."""


def wait_until(reached: Callable[[], bool]) -> None:
    """Return as soon as `reached` is true. Raises AssertionError when it takes too long."""
    ends = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < ends, f"it did not come so far within {PATIENCE:g} seconds"
        time.sleep(0.0005)
