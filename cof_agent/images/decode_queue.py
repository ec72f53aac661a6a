"""How many images are held and decoded at once, and which decoded ones are kept.

What a process takes for that is bounded whatever the number of questions and of processors.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeAlias, TypeVar

from cof_agent.images.decoding import Decoded

TURNS = 4
"""Images decoded at once, at most; fewer where there are fewer processors."""

PIXEL_BYTES = 192 * 2**20
"""Memory for decoding and for decoded images together, per process. Kept images make room for decoding; an image that
needs more has the machine to itself."""

CACHED_BYTES = 96 * 2**20
"""Decoded pixels kept for the next region, of those. A larger image is decoded anew for each region."""

FREED_BYTES = 128 * 2**20
"""Decoding memory freed until it is given back to the system: the C library would keep several times as much."""

IN_HAND = 8
"""Encoded originals that runs hold at once, at most."""

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
    key: Key | None = field(compare=False)
    kept: Decoded | None = field(compare=False, default=None)
    admitted: threading.Event = field(compare=False, default_factory=threading.Event)


class DecodeQueue:
    """By rank, then first come first served, within a number of turns and their memory; with a cache of results."""

    def __init__(self, turns: int, cached_bytes: int = CACHED_BYTES, pixel_bytes: int = PIXEL_BYTES) -> None:
        self._turns, self._cached_bytes, self._budget = turns, cached_bytes, pixel_bytes
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(IN_HAND)
        self._waiting: list[_Ticket] = []
        self._numbers = count()
        self._workers = ThreadPoolExecutor(turns, thread_name_prefix="cof-agent-decode")
        self._running = self._in_use = self._held = self._freed = 0
        self._cache: OrderedDict[Key, Decoded] = OrderedDict()
        self._shown: Counter[Key] = Counter()

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Wait for a place to hold an encoded original in. A place within a place is free."""
        if _HAS_PLACE.get():
            yield
            return
        with self._places:
            token = _HAS_PLACE.set(True)
            try:
                yield
            finally:
                _HAS_PLACE.reset(token)

    @contextmanager
    def turn(self, rank: Rank, need: int = 0, key: Key | None = None) -> Iterator[Decoded | None]:
        """Wait for one's turn to use about `need` bytes, or none if the image of that key is kept. Not to be nested."""
        ticket = _Ticket(rank, next(self._numbers), need, key)
        with self._lock:
            heappush(self._waiting, ticket)
            self._admit()
        try:
            ticket.admitted.wait()
            yield ticket.kept
        finally:
            with self._lock:
                if ticket.admitted.is_set():
                    self._leave(ticket)
                else:  # The wait was interrupted.
                    self._waiting.remove(ticket)
                    heapify(self._waiting)
                self._admit()
                due = self._freed >= FREED_BYTES
                self._freed = 0 if due else self._freed
            if due:
                with suppress(RuntimeError):  # the interpreter is ending
                    self._workers.submit(trim_heap)

    def run(self, rank: Rank, need: int, work: Callable[[], Result]) -> Result:
        """The result of `work`, done in one's turn, on one of as many threads as there are turns.

        On the callers' own threads, of which there may be hundreds, the C library would keep a heap for each: what
        decoding frees would stay with the process, several times as much as decoding needs.
        """
        with self.turn(rank, need):
            return self._workers.submit(work).result()

    def show(
        self, rank: Rank, need: int, key: Key, decode: Callable[[], Decoded], show: Callable[[Decoded], Result]
    ) -> Result:
        """What `show` makes of the image of `key`, which `decode` makes unless it is kept: `run` for both."""

        def work(kept: Decoded | None) -> Result:
            decoded = kept or decode()
            if kept is None:
                self.remember(key, decoded)
            return show(decoded)

        with self.turn(rank, need, key) as kept:
            return self._workers.submit(work, kept).result()

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            ticket = heappop(self._waiting)
            ticket.kept = self._cache.get(ticket.key) if ticket.key else None
            if ticket.key and ticket.kept:
                self._cache.move_to_end(ticket.key)
                self._shown[ticket.key] += 1
                ticket.need = 0
            self._running, self._in_use = self._running + 1, self._in_use + ticket.need
            ticket.admitted.set()

    def _leave(self, ticket: _Ticket) -> None:
        self._running, self._in_use = self._running - 1, self._in_use - ticket.need
        self._freed += ticket.need
        if ticket.key and ticket.kept:
            self._shown[ticket.key] -= 1
            self._shown += Counter()  # drops those at zero
            self._keep(self._cached_bytes)

    def _fits(self, ticket: _Ticket) -> bool:
        if self._running >= self._turns:
            return False
        if ticket.key in self._cache:
            return True
        room = self._budget - self._in_use - ticket.need
        if self._running and room < 0:
            return False
        self._keep(room)
        return self._running == 0 or self._held <= room

    def _keep(self, most: int) -> None:
        """Let go of the images unused for longest until those that are kept take `most` bytes; not of one in a turn."""
        for key in [key for key in self._cache if key not in self._shown]:
            if self._held <= most:
                return
            self._held -= self._cache.pop(key).nbytes

    def remember(self, key: Key, decoded: Decoded) -> None:
        if decoded.nbytes > self._cached_bytes:
            return
        with self._lock:
            if key not in self._cache:
                self._cache[key] = decoded
                self._held += decoded.nbytes
            self._keep(self._cached_bytes)


_HAS_PLACE: ContextVar[bool] = ContextVar("cof_agent_has_place", default=False)

_OF_PROCESS: dict[int, DecodeQueue] = {}


def decode_queue() -> DecodeQueue:
    """The turns that all threads of this process share. A forked child starts afresh, as no lock survives a fork."""
    process = os.getpid()
    if process not in _OF_PROCESS:
        _OF_PROCESS.clear()
    return _OF_PROCESS.setdefault(process, DecodeQueue(min(TURNS, _processors())))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
