"""An MCP server over streamable HTTP, within limits, and closed to strangers."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import AnyHttpUrl

from cof_agent.errors import ConfigError, MissingExtraError

try:
    import uvicorn
    from mcp.server import Server
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.responses import PlainTextResponse
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cof_agent.integrations.connections import ConnectionLimits, Connections
except ImportError as error:
    raise MissingExtraError.for_extra("mcp", "the MCP server") from error

PATH = "/mcp"

_SHORTEST_TOKEN = 16
_REQUESTS = 128
"""Requests that are answered at a time; more get status 503."""
_RECEIVING = 32
"""Of these, requests whose bodies have not come whole. One more ends the oldest with status 408."""
_SESSIONS = 64
"""Of clients of the protocol before 2026-07-28; more are answered with status 503."""
_IDLE_SECONDS = 600
"""Time without a request after which such a session ends."""
_LEAVING_SECONDS = 3
"""Time that requests have to end when the server does."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where and how to listen. Raises ConfigError for what cannot be, or would be open to strangers."""

    host: str = "127.0.0.1"
    port: int = 8348
    """0: any that is free."""
    token: str | None = field(default=None, repr=False)
    """What clients must send as `Authorization: Bearer …`; needed unless `host` is loopback."""
    max_request_bytes: int = 32 * 2**20
    """Largest request. An image in a `data:` URL takes 4/3 of its size."""
    header_seconds: float = 10.0
    """Time in which a connection must have sent the headers of a request, and after a response those of the next."""
    body_seconds: float = 30.0
    """Time in which a request must have arrived whole."""

    def __post_init__(self) -> None:
        if not (self.max_request_bytes >= 1 and self.body_seconds > 0 and self.header_seconds > 0):
            raise ConfigError("max_request_bytes must be at least 1, body_seconds and header_seconds above 0")
        if self.token is not None and (len(self.token) < _SHORTEST_TOKEN or not self.token.isascii()):
            raise ConfigError(f"the token is too easy to guess: it needs {_SHORTEST_TOKEN} ASCII characters or more")
        if self.token is None and not self.is_loopback:
            raise ConfigError(
                f"{self.host} can be reached from other machines: set a token (COF_MCP_TOKEN), or listen on 127.0.0.1"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def netloc(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


async def serve_http(server: Server[Any], settings: HttpSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted or cancelled. `on_ready` is told the URL once clients can connect.

    Raises ConfigError when the address cannot be listened on.
    """
    with _listening(settings) as listener:
        app = server.streamable_http_app(
            streamable_http_path=PATH,
            max_request_body_size=settings.max_request_bytes,
            session_idle_timeout=_IDLE_SECONDS,
            max_sessions=_SESSIONS,
            transport_security=_own_pages_only(settings),
            # The SDK checks tokens only beside settings for OAuth, whose issuer nothing here ever refers to.
            auth=AuthSettings(issuer_url=AnyHttpUrl("http://localhost"), resource_server_url=None)
            if settings.token
            else None,
            token_verifier=_OneToken(settings.token) if settings.token else None,
        )
        connections = Connections(ConnectionLimits(waiting_seconds=settings.header_seconds))
        config = uvicorn.Config(
            _Bounded(app, settings.body_seconds),
            http=cast(type[asyncio.Protocol], connections.open),
            ws="none",
            log_level="warning",
            timeout_graceful_shutdown=_LEAVING_SECONDS,
        )
        on_ready(f"http://{settings.netloc}:{listener.getsockname()[1]}{PATH}")
        web = uvicorn.Server(config)
        serving = asyncio.create_task(web.serve([listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            web.should_exit = True
            await serving
            raise


def _listening(settings: HttpSettings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family)
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise ConfigError(
            f"cannot listen on {settings.netloc}:{settings.port} ({why}): choose another --host or --port"
        ) from error


def _own_pages_only(settings: HttpSettings) -> TransportSecuritySettings | None:
    """On loopback, the names under which this machine is meant: a web page elsewhere could name it otherwise."""
    if not settings.is_loopback:
        return None
    names = {"127.0.0.1", "localhost", "[::1]", settings.netloc}
    hosts = [*names, *(f"{name}:*" for name in names)]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])


class _OneToken:
    """Knows one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        good = hmac.compare_digest(token.encode(errors="replace"), self._token)
        return AccessToken(token=token, client_id="client", scopes=[]) if good else None


class _Bounded:
    """An app that answers so many requests at a time, and status 408 when the body of one does not arrive in time."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds
        self._requests = 0
        self._receiving: dict[asyncio.Timeout, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._requests >= _REQUESTS:
            await PlainTextResponse("too many requests at a time: try again later", 503)(scope, receive, send)
            return
        self._requests += 1
        try:
            await self._in_time(scope, receive, send)
        finally:
            self._requests -= 1

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched() -> Message:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                self._receiving.pop(limit, None)
                limit.reschedule(None)
            return message

        try:
            async with asyncio.timeout(self._seconds) as limit:
                self._receiving[limit] = None
                if len(self._receiving) > _RECEIVING:
                    oldest = next(iter(self._receiving))
                    del self._receiving[oldest]
                    oldest.reschedule(asyncio.get_running_loop().time())
                await self._app(scope, watched, send)
        except TimeoutError:
            if not limit.expired():
                raise
            late = PlainTextResponse(f"the request did not arrive whole within {self._seconds:g} seconds", 408)
            await late(scope, receive, send)
        finally:
            self._receiving.pop(limit, None)
