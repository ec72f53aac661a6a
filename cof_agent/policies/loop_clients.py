"""An HTTP client for OpenAI's SDK that may be used from one asyncio loop after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from threading import Lock
from typing import Any

from openai import DefaultAsyncHttpxClient


class LoopClient(DefaultAsyncHttpxClient):
    """Sends each request over a pool that belongs to the running loop, and closes it when the loop ends.

    An open connection dies with its loop. A pool that outlives it, such as one behind two calls of `asyncio.run`,
    hands it out again, and the request fails.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._pools: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None, None]]] = {}
        self._lock = Lock()

    async def send(self, request: Any, **how: Any) -> Any:
        loop = asyncio.get_running_loop()
        pool, _ = self._pools.get(loop) or await self._open(loop)
        return await pool.send(request, **how)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> tuple[Any, AsyncGenerator[None, None]]:
        pool = DefaultAsyncHttpxClient(**self._options)
        entry = pool, self._until_the_end(loop, pool)
        with self._lock:
            # A loop that was closed by hand leaves its entry here; the others' threads may be at work on theirs.
            for closed in [other for other in self._pools if other.is_closed()]:
                del self._pools[closed]
            self._pools[loop] = entry
        await anext(entry[1])
        return entry

    async def _until_the_end(self, loop: asyncio.AbstractEventLoop, pool: Any) -> AsyncGenerator[None, None]:
        """Closes the pool when it is closed itself: by its loop, which in its last moments, and while connections can
        still be closed, does so with every asynchronous generator that is not at its end.
        """
        try:
            yield
        finally:
            with self._lock:
                self._pools.pop(loop, None)
            await pool.aclose()
