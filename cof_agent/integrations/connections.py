"""HTTP connections that cannot use a server up: each state of one has a time limit and a bound of its own.

uvicorn itself waits for request headers without a limit, and counts half-open connections among those that it serves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 47\r\n\r\nthe headers of the request did not come in time"
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may take of a server."""

    waiting: int = 64
    """Connections without a request that is being answered: before and between requests. One more ends another."""
    waiting_seconds: float = 10.0
    """Time in which the headers of a request must have come, from the connection or the end of the request before."""
    stuck_seconds: float = 60.0
    """Time in which a client must read on once as much is sent as the system takes."""


class Connections:
    """Those of one server. Its `open` is what uvicorn takes as `http`."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._waiting: dict[Connection, None] = {}

    def open(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        """The protocol of one more connection."""
        return Connection(self, config, server_state, app_state, _loop)

    def add_waiting(self, connection: Connection) -> None:
        """Note that it waits for a request; beyond the bound, one is ended.

        It is one of the address that most connections come from, so that a flood ends its own: one that was answered
        before it had sent all, else the one that has waited longest.
        """
        self._waiting.pop(connection, None)
        self._waiting[connection] = None
        while len(self._waiting) > self.limits.waiting:
            crowd = Counter(each.address for each in self._waiting).most_common(1)[0][0]
            ended = min((each for each in self._waiting if each.address == crowd), key=lambda each: not each.owes)
            self.remove_waiting(ended)
            ended.transport.abort()

    def remove_waiting(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)


class Connection(H11Protocol):
    """One connection. It waits, or a request of it is being answered."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._begun = False

    @property
    def address(self) -> str | None:
        """Of the other side."""
        return self.client[0] if self.client else None

    @property
    def owes(self) -> bool:
        """Whether it was answered before all of its request was there, which no other request can follow."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is not h11.DONE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._begun = True
        super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel_deadline()
            self._all.remove_waiting(self)

    def on_response_complete(self) -> None:
        self._wait()  # first: the next request may be there already, and begins in there
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self.resume_writing()
        self._all.remove_waiting(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self._all.limits.stuck_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def _wait(self) -> None:
        """From now on, until the headers of a request are there. A byte now and then makes it no longer."""
        self._cancel_deadline()
        if self.transport.is_closing():
            return
        self._begun = False
        self._deadline = self.loop.call_later(self._all.limits.waiting_seconds, self._end_waiting)
        self._all.add_waiting(self)

    def _end_waiting(self) -> None:
        self._all.remove_waiting(self)
        if self.transport.is_closing():
            return
        if self._begun and self.conn.our_state is h11.IDLE:
            self.transport.write(_LATE)
        if self.transport.get_write_buffer_size():  # of a client that does not read
            self.transport.abort()
        else:
            self.transport.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
