"""The images of the questions that are being asked, and of no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cof_agent.images.reference import ImageRef
from cof_agent.images.store import MemoryStore

_BYTES = 8 * 2**30
"""Far more than the questions that are asked at a time need; what a broken one leaves behind goes beyond it."""


class ImageMemory(MemoryStore):
    """Keeps an image until every question that put it there is over. A shared one is counted, not copied."""

    def __init__(self, max_bytes: int = _BYTES) -> None:
        super().__init__(max_bytes)
        self._users: Counter[str] = Counter()

    def put(self, ref: ImageRef, data: bytes) -> None:
        with self._lock:
            self._users[ref.sha256] += 1
        super().put(ref, data)

    def let_go(self, refs: Iterable[ImageRef]) -> None:
        """One question is over; `refs` are the images that it had put here, one for each time."""
        with self._lock:
            for ref in refs:
                self._users[ref.sha256] -= 1
                if self._users[ref.sha256] <= 0:
                    del self._users[ref.sha256]
                    self._drop(ref.sha256)
