"""One question at a time in a conversation: two at once would each go on from where the other does not know of."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver

from cof_agent.errors import LockedError

_PATIENCE = 1.0
"""Seconds that a question waits for the one before: a run that was left takes a moment to end."""
_STEP = 0.01

_held: WeakKeyDictionary[object, dict[str, str]] = WeakKeyDictionary()
"""By checkpointer: the threads in which something is asked, and since when."""
_guard = threading.Lock()


@contextlib.contextmanager
def thread_lock(saver: object, thread_id: str | None) -> Iterator[None]:
    """Nothing else is asked in that thread meanwhile, in this process. Without a thread or a saver, nothing is held.

    Raises LockedError where something else is, and does not end soon.
    """
    ends = time.monotonic() + _PATIENCE
    while not _take(saver, thread_id):
        if time.monotonic() > ends:
            raise _busy(saver, thread_id)
        time.sleep(_STEP)
    try:
        yield
    finally:
        _free(saver, thread_id)


@contextlib.asynccontextmanager
async def athread_lock(saver: object, thread_id: str | None) -> AsyncIterator[None]:
    """`thread_lock` for asyncio."""
    ends = time.monotonic() + _PATIENCE
    while not _take(saver, thread_id):
        if time.monotonic() > ends:
            raise _busy(saver, thread_id)
        await asyncio.sleep(_STEP)
    try:
        yield
    finally:
        _free(saver, thread_id)


def _take(saver: object, thread_id: str | None) -> bool:
    if thread_id is None or not isinstance(saver, BaseCheckpointSaver):
        return True
    with _guard:
        threads = _held.setdefault(saver, {})
        if thread_id in threads:
            return False
        threads[thread_id] = datetime.now(UTC).isoformat(timespec="seconds")
        return True


def _free(saver: object, thread_id: str | None) -> None:
    if thread_id is not None and isinstance(saver, BaseCheckpointSaver):
        with _guard:
            _held[saver].pop(thread_id, None)


def _busy(saver: object, thread_id: str | None) -> LockedError:
    since = _held.get(saver, {}).get(str(thread_id), "just now")
    return LockedError(
        f"the conversation {thread_id!r} is in use: this process has been asking in it since {since}. Wait until that "
        "has ended (a stream ends when it is read to its end or closed), or choose another thread_id"
    )
