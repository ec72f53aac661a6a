"""How many images are decoded at once, and which decoded ones are kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from cof_agent.pixels import Decoded

CACHED_BYTES = 128 * 2**20
"""Decoded pixels kept for the next region, per process. A larger image is decoded anew for each region."""

BYTES_PER_TURN = 64 * 2**20
"""Decoding memory allowed per processor, in all. An image that needs more than the sum has the machine to itself."""

Key: TypeAlias = tuple[str, int]
"""An image's hash and the scale it was decoded at."""


class DecodeTurns:
    """First come, first served, within a number of turns and their memory; with a cache of recent results."""

    def __init__(self, turns: int, cached_bytes: int = CACHED_BYTES) -> None:
        self._turns, self._budget, self._cached_bytes = turns, turns * BYTES_PER_TURN, cached_bytes
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._running = self._in_use = self._held = 0
        self._cache: OrderedDict[Key, Decoded] = OrderedDict()

    @contextmanager
    def turn(self, need: int) -> Iterator[None]:
        """Wait for one's turn to use about `need` bytes. Not to be nested."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(need))
                self._running, self._in_use = self._running + 1, self._in_use + need
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running, self._in_use = self._running - 1, self._in_use - need
                self._changed.notify_all()

    def _fits(self, need: int) -> bool:
        return self._running == 0 or (self._running < self._turns and self._in_use + need <= self._budget)

    def recall(self, key: Key) -> Decoded | None:
        with self._changed:
            if key in self._cache:
                self._cache.move_to_end(key)
            return self._cache.get(key)

    def remember(self, key: Key, decoded: Decoded) -> None:
        if decoded.nbytes > self._cached_bytes:
            return
        with self._changed:
            if key not in self._cache:
                self._cache[key] = decoded
                self._held += decoded.nbytes
            while self._held > self._cached_bytes:
                self._held -= self._cache.popitem(last=False)[1].nbytes


_OF_PROCESS: dict[int, DecodeTurns] = {}


def decode_turns() -> DecodeTurns:
    """The turns that all threads of this process share. A forked child starts afresh, as no lock survives a fork."""
    process = os.getpid()
    if process not in _OF_PROCESS:
        _OF_PROCESS.clear()
    return _OF_PROCESS.setdefault(process, DecodeTurns(_processors()))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
