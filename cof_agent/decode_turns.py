"""How many images are decoded at once, and which decoded ones are kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias, TypeVar

from cof_agent.pixels import Decoded

CACHED_BYTES = 96 * 2**20
"""Decoded pixels kept for the next region, per process. A larger image is decoded anew for each region."""

BYTES_PER_TURN = 64 * 2**20
"""Decoding memory allowed per processor, in all. An image that needs more than the sum has the machine to itself."""

Result = TypeVar("Result")

Key: TypeAlias = tuple[str, int]
"""An image's hash and the scale it was decoded at."""


class Rank(IntEnum):
    """Who goes first. What was begun is finished before more is begun, so that few sources are held at a time."""

    SHOW = 0
    """Show a view of an image that is open."""
    OPEN = 1
    """Decode an image that was received."""
    READ = 2
    """Read a file."""


@dataclass(order=True, slots=True)
class _Ticket:
    rank: Rank
    number: int
    need: int = field(compare=False)
    admitted: threading.Event = field(compare=False, default_factory=threading.Event)


class DecodeTurns:
    """By rank, then first come first served, within a number of turns and their memory; with a cache of results."""

    def __init__(self, turns: int, cached_bytes: int = CACHED_BYTES) -> None:
        self._turns, self._budget, self._cached_bytes = turns, turns * BYTES_PER_TURN, cached_bytes
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._numbers = count()
        self._workers = ThreadPoolExecutor(turns, thread_name_prefix="cof-agent-decode")
        self._running = self._in_use = self._held = 0
        self._cache: OrderedDict[Key, Decoded] = OrderedDict()

    @contextmanager
    def turn(self, rank: Rank, need: int = 0) -> Iterator[None]:
        """Wait for one's turn to use about `need` bytes. Not to be nested."""
        ticket = _Ticket(rank, next(self._numbers), need)
        with self._lock:
            heappush(self._waiting, ticket)
            self._admit()
        try:
            ticket.admitted.wait()
            yield
        finally:
            with self._lock:
                if ticket.admitted.is_set():
                    self._running, self._in_use = self._running - 1, self._in_use - need
                else:  # The wait was interrupted.
                    self._waiting.remove(ticket)
                    heapify(self._waiting)
                self._admit()

    def run(self, rank: Rank, need: int, work: Callable[[], Result]) -> Result:
        """The result of `work`, done in one's turn, on one of as many threads as there are turns.

        On the callers' own threads, of which there may be hundreds, the C library would keep a heap for each: what
        decoding frees would stay with the process, several times as much as decoding needs.
        """
        with self.turn(rank, need):
            return self._workers.submit(work).result()

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0].need):
            ticket = heappop(self._waiting)
            self._running, self._in_use = self._running + 1, self._in_use + ticket.need
            ticket.admitted.set()

    def _fits(self, need: int) -> bool:
        return self._running == 0 or (self._running < self._turns and self._in_use + need <= self._budget)

    def recall(self, key: Key) -> Decoded | None:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
            return self._cache.get(key)

    def remember(self, key: Key, decoded: Decoded) -> None:
        if decoded.nbytes > self._cached_bytes:
            return
        with self._lock:
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
