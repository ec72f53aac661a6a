"""An HTTP client for OpenAI's SDK that may be used from one asyncio loop after the other."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from openai import DefaultAsyncHttpxClient


class LoopClient(DefaultAsyncHttpxClient):
    """Sends each request over a pool that belongs to the running loop.

    An open connection dies with its loop. A pool that outlives it, such as one behind two calls of `asyncio.run`,
    hands it out again, and the request fails.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def send(self, request: Any, **how: Any) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = DefaultAsyncHttpxClient(**self._options)
        return await client.send(request, **how)
