"""How long reading, waiting for and decoding an image may take: what its limits allow, and what its run has left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from cof_agent.errors import ImageError

PATIENCE_SECONDS = 300.0
"""Longest wait for a turn where no run sets a limit: each turn is bounded, and so is how many there are."""

_RUN_ENDS: ContextVar[float | None] = ContextVar("cof_agent_images_until", default=None)


class ImageTimeError(ImageError):
    """The run's time ended while an image was waited for or decoded."""


@contextmanager
def images_within(seconds: float) -> Iterator[None]:
    """Images that are opened or shown inside have `seconds`. A limit set before stays where it is sooner."""
    ends, outer = time.monotonic() + seconds, _RUN_ENDS.get()
    token = _RUN_ENDS.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _RUN_ENDS.reset(token)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A moment, and why it is the limit."""

    ends: float
    """Of the monotonic clock."""
    seconds: float
    """What was given, from when it began."""
    of_run: bool
    name: str
    """What to call the image in messages."""
    setting: str
    """The setting that it comes from."""

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.ends - time.monotonic())

    def error(self, doing: str, remedy: str) -> ImageError:
        """What to raise once it has passed, while `doing` was done to the image."""
        if self.of_run:
            return ImageTimeError(
                f"the run's time ended while {doing} {self.name}: allow it more (max_seconds), or {remedy}"
            )
        return ImageError(f"{doing} {self.name} took longer than {self.seconds:g} seconds ({self.setting}): {remedy}")


def time_limit(seconds: float | None = None, name: str = "an image") -> TimeLimit:
    """The sooner one of `seconds` from now, those of `decode_seconds`, and the end of the run.

    Without seconds: how long a turn is waited for.
    """
    setting = "the longest wait" if seconds is None else "decode_seconds"
    own = PATIENCE_SECONDS if seconds is None else seconds
    now, run = time.monotonic(), _RUN_ENDS.get()
    if run is not None and run < now + own:
        return TimeLimit(run, max(0.0, run - now), True, name, "max_seconds")
    return TimeLimit(now + own, own, False, name, setting)
