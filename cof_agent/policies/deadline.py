"""The time at which what is running now must be done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cof_agent.errors import PolicyError

_DEADLINE: ContextVar[float | None] = ContextVar("cof_deadline", default=None)


class OutOfTimeError(PolicyError):
    """The policy did not reply within the time the run has left."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """What runs inside has `seconds`. A deadline set before stays where it is sooner."""
    ends, outer = time.monotonic() + seconds, _DEADLINE.get()
    token = _DEADLINE.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def seconds_left() -> float | None:
    """Seconds until the deadline, negative after it; None where there is none."""
    ends = _DEADLINE.get()
    return None if ends is None else ends - time.monotonic()
