"""How many images are held and decoded at once, and which decoded ones are kept.

What a process takes for that is bounded whatever the number of questions and of processors.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias, TypeVar

from cof_agent.images.codecs.decoding import Decoded
from cof_agent.images.rendering.heap import trim_heap
from cof_agent.images.time_limit import TimeLimit, time_limit

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

APART_TURNS = 2
"""Images decoded at once in processes of their own, at most. They take no turn from the others."""

APART_BYTES = 1024 * 2**20
"""Memory of these processes together; an image that needs more has them to itself."""

_WAITING, _FEWER = "waiting for the turn to decode", "ask fewer questions at once"

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


@dataclass(slots=True)
class _Place:
    held: bool = True


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
        """Wait for a place to hold an encoded original in. A place within a place is free.

        Raises ImageError where the wait takes too long.
        """
        if _PLACE.get():
            yield
            return
        limit = time_limit()
        if not self._places.acquire(timeout=limit.left()):
            raise limit.error(_WAITING, _FEWER)
        place = _Place()
        token = _PLACE.set(place)
        try:
            yield
        finally:
            _PLACE.reset(token)
            self._give_back(place)

    def give_place_up(self) -> None:
        """Give one's place to the others: who waits long for something else must not keep them waiting."""
        if place := _PLACE.get():
            self._give_back(place)

    def _give_back(self, place: _Place) -> None:
        if place.held:
            place.held = False
            self._places.release()

    @contextmanager
    def turn(
        self, rank: Rank, need: int = 0, key: Key | None = None, name: str = "an image"
    ) -> Iterator[Decoded | None]:
        """Wait for one's turn to use about `need` bytes, or none if the image of that key is kept. Not to be nested.

        Raises ImageError where the wait takes too long.
        """
        ticket = self._enter(rank, need, key, name)
        try:
            yield ticket.kept
        finally:
            self._end(ticket)

    def run(self, rank: Rank, need: int, work: Callable[[], Result], limit: TimeLimit | None = None) -> Result:
        """The result of `work`, done in one's turn, on one of as many threads as there are turns.

        On the callers' own threads, of which there may be hundreds, the C library would keep a heap for each: what
        decoding frees would stay with the process, several times as much as decoding needs.

        Raises ImageError where it takes longer than `limit`. Work that is abandoned keeps its turn until it ends.
        """
        limit = limit or time_limit()
        return self._work(self._enter(rank, need, name=limit.name), work, limit)

    def show(
        self,
        rank: Rank,
        need: int,
        key: Key,
        decode: Callable[[], Decoded],
        show: Callable[[Decoded], Result],
        limit: TimeLimit | None = None,
    ) -> Result:
        """What `show` makes of the image of `key`, which `decode` makes unless it is kept: `run` for both."""
        limit = limit or time_limit()
        ticket = self._enter(rank, need, key, limit.name)

        def work() -> Result:
            decoded = ticket.kept or decode()
            if ticket.kept is None:
                self.remember(key, decoded)
            return show(decoded)

        return self._work(ticket, work, limit)

    def show_kept(self, rank: Rank, key: Key, show: Callable[[Decoded], Result]) -> Result | None:
        """What `show` makes of the image of `key` where that is kept, otherwise None."""
        with self._lock:
            if key not in self._cache:
                return None
        ticket = self._enter(rank, 0, key)
        return self._work(ticket, lambda: show(ticket.kept) if ticket.kept else None, time_limit())

    def _work(self, ticket: _Ticket, work: Callable[[], Result], limit: TimeLimit) -> Result:
        def turn() -> Result:
            try:
                return work()
            finally:
                self._end(ticket)

        try:
            future = self._workers.submit(turn)
        except BaseException:
            self._end(ticket)
            raise
        if not wait([future], limit.left()).done:
            raise limit.error("decoding", "save it smaller")
        return future.result()

    def _enter(self, rank: Rank, need: int, key: Key | None = None, name: str = "an image") -> _Ticket:
        ticket, limit = _Ticket(rank, next(self._numbers), need, key), time_limit(name=name)
        with self._lock:
            heappush(self._waiting, ticket)
            self._admit()
        try:
            ticket.admitted.wait(limit.left())
        except BaseException:  # the wait was interrupted
            self._end(ticket)
            raise
        if not ticket.admitted.is_set():
            self._end(ticket)
            raise limit.error(_WAITING, _FEWER)
        return ticket

    def _end(self, ticket: _Ticket) -> None:
        """Give a turn back, or the wait for it up."""
        with self._lock:
            if ticket.admitted.is_set():
                self._leave(ticket)
            else:
                self._waiting.remove(ticket)
                heapify(self._waiting)
            self._admit()
            due = self._freed >= FREED_BYTES
            self._freed = 0 if due else self._freed
        if due:
            with suppress(RuntimeError):  # the interpreter is ending
                self._workers.submit(trim_heap)

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


_PLACE: ContextVar[_Place | None] = ContextVar("cof_agent_place", default=None)

_OF_PROCESS: dict[int, DecodeQueue] = {}
_APART: dict[int, DecodeQueue] = {}


def decode_queue() -> DecodeQueue:
    """The turns that all threads of this process share. A forked child starts afresh, as no lock survives a fork."""
    return _of_process(_OF_PROCESS, lambda: DecodeQueue(min(TURNS, _processors())))


def apart_queue() -> DecodeQueue:
    """The turns of processes that decode one image each."""
    return _of_process(_APART, lambda: DecodeQueue(min(APART_TURNS, _processors()), 0, APART_BYTES))


def _of_process(queues: dict[int, DecodeQueue], made: Callable[[], DecodeQueue]) -> DecodeQueue:
    process = os.getpid()
    for other in [other for other in queues if other != process]:
        queues.pop(other, None)
    return queues.get(process) or queues.setdefault(process, made())


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
