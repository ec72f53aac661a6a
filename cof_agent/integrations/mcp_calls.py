"""Calls that may outlive their answer: who is told "not finished" calls again, and finds the same run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

Outcome = TypeVar("Outcome")
Tell: TypeAlias = Callable[[float, float | None, str | None], Awaitable[None]]
"""Is told how far a call is: steps done, all steps if that is known, and words."""

_KEPT = 32
"""Calls without a listener that are remembered; one more ends the oldest."""
_KEPT_SECONDS = 600.0
"""Time for which the outcome of such a call waits to be asked for."""


@dataclass
class CallProgress:
    """How far a call is. Its values always rise."""

    total: float | None = None
    done: float = 0.0
    news: deque[tuple[float, float | None, str | None]] = field(default_factory=lambda: deque(maxlen=64))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _beats: int = 0

    def step(self, done: float, total: float, words: str) -> None:
        """One more step is done."""
        self.done, self.total, self._beats = done, total, 0
        self._say(done, words)

    def beat(self) -> None:
        """No step is done, but work goes on: the value rises towards the next step, and never reaches it."""
        self._beats += 1
        self._say(self.done + self._beats / (self._beats + 1), "still looking")

    def _say(self, value: float, words: str) -> None:
        self.news.append((value, self.total, words))
        self.changed.set()


class _Call(Generic[Outcome]):
    def __init__(self, key: str, work: Callable[[CallProgress], Awaitable[Outcome]]) -> None:
        self.key, self.progress, self.ended = key, CallProgress(), float("inf")
        self.task = asyncio.ensure_future(work(self.progress))
        self.task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Future[Outcome]) -> None:
        self.ended = asyncio.get_running_loop().time()
        self.progress.changed.set()
        if not task.cancelled():
            task.exception()  # nobody may ask for it

    @property
    def is_stale(self) -> bool:
        """Whether its outcome has waited too long."""
        return self.task.done() and asyncio.get_running_loop().time() - self.ended > _KEPT_SECONDS


class Calls(Generic[Outcome]):
    """The calls of a server.

    `within`: seconds after which a caller is answered in any case (0: only at the end). `beat`: seconds between two
    words to a caller.
    """

    def __init__(self, within: float, beat: float) -> None:
        self._within, self._beat = within or float("inf"), beat
        self._left: list[_Call[Outcome]] = []

    async def outcome(self, key: str, work: Callable[[CallProgress], Awaitable[Outcome]], tell: Tell) -> Outcome | None:
        """What came of `work`; None where it has not ended in time.

        It goes on then, and the next who asks with the same `key` waits for it in place of work of their own; each
        outcome is given to one caller. Raises what the work raises. Who is cancelled cancels it.
        """
        call = self._take(key) or _Call(key, work)
        try:
            await self._follow(call, tell)
        except asyncio.CancelledError:
            call.task.cancel()
            raise
        if call.task.done():
            return call.task.result()
        self._leave(call)
        return None

    async def _follow(self, call: _Call[Outcome], tell: Tell) -> None:
        loop, progress = asyncio.get_running_loop(), call.progress
        ends = loop.time() + self._within
        while True:
            while progress.news:
                await tell(*progress.news.popleft())
            if call.task.done() or (left := ends - loop.time()) <= 0:
                return
            progress.changed.clear()
            try:
                async with asyncio.timeout(min(left, self._beat)):
                    await progress.changed.wait()
            except TimeoutError:
                progress.beat()

    def _take(self, key: str) -> _Call[Outcome] | None:
        self._left = [call for call in self._left if not call.is_stale]
        for number, call in enumerate(self._left):
            if call.key == key:
                return self._left.pop(number)
        return None

    def _leave(self, call: _Call[Outcome]) -> None:
        self._left.append(call)
        for oldest in self._left[:-_KEPT]:
            oldest.task.cancel()
        del self._left[:-_KEPT]
