"""Limits that a process of one image sets itself, before a decoder sees the data."""

from __future__ import annotations

import math
import os
import signal
import sys

SPARE_BYTES = 48 * 2**20
"""Memory beyond the model's: what libraries allocate in large pieces, whatever the image."""

_GRACE_SECONDS = 5
"""How long after its limit the process ends by itself, if nobody is left to end it."""


def end_in_time(seconds: float) -> None:
    """Have the process end some time after `seconds`, whatever it does."""
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)


def limit_memory(nbytes: int) -> None:
    """Let the process grow by `nbytes`, and by what is spare."""
    if sys.platform in ("darwin", "win32"):
        return
    import resource

    used = 512 * 2**20
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    _lower(resource.RLIMIT_AS, used + nbytes + SPARE_BYTES)


def limit_seconds(seconds: float) -> None:
    """Let the process take `seconds` of processor time more."""
    if sys.platform != "win32":
        import resource

        _lower(resource.RLIMIT_CPU, math.ceil(sum(os.times()[:2]) + seconds))


def _lower(which: int, value: int) -> None:
    """Set the soft limit, which may rise again: first comes the header, whose cost is unknown, then the image."""
    import resource

    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
