"""Who may talk to an MCP server over HTTP, and how much it takes."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from cof_agent import ConfigError
from cof_agent.cli.app import app
from cof_agent.integrations.connections import ConnectionLimits, Connections
from cof_agent.integrations.mcp import CallLimits, mcp_server
from cof_agent.integrations.mcp_http import HttpSettings, serve_http
from tests.support.integrations.hosts import agent, script
from tests.support.integrations.mcp_servers import SECONDS, on_http
from tests.support.patience import PATIENCE

TOKEN = "a token of this test"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-11-25"}


@contextmanager
def served(settings: HttpSettings) -> Iterator[str]:
    """The URL of a server on a thread of this process."""
    ready: Future[tuple[str, Callable[[], object]]] = Future()

    async def serve() -> None:
        stop = partial(asyncio.get_running_loop().call_soon_threadsafe, asyncio.current_task().cancel)  # type: ignore[union-attr]
        with suppress(asyncio.CancelledError):
            await serve_http(mcp_server(agent()), settings, lambda url: ready.set_result((url, stop)))

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    url, stop = ready.result(SECONDS)
    try:
        yield url
    finally:
        stop()
        thread.join(SECONDS)
        assert not thread.is_alive(), "it ends when it is cancelled"


def post(url: str, **request: object) -> httpx.Response:
    headers = {**HEADERS, **request.pop("headers", {})}  # type: ignore[dict-item]
    return httpx.post(url, headers=headers, timeout=SECONDS, trust_env=False, **{"json": PING, **request})


async def test_other_machines_need_the_token(photo_file: Path, tmp_path: Path) -> None:
    words = ["--host", "0.0.0.0", "--policy", script(tmp_path), "--root", str(tmp_path)]
    with on_http(*words, COF_MCP_TOKEN=TOKEN) as url:
        url = url.replace("0.0.0.0", "127.0.0.1")
        for sent in (
            {},
            {"Authorization": "Bearer another"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "é"},
        ):
            refused = post(url, headers={name: value.encode() for name, value in sent.items()})
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
            assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
            Client(streamable_http_client(url, http_client=http), read_timeout_seconds=SECONDS) as client,
        ):
            found = await client.call_tool("look_closely", {"image": str(photo_file), "question": "Until when?"})
            assert found.structured_content is not None
            assert found.structured_content["answer"] == "nine"


def test_requests_of_strangers_pages_and_too_large_or_slow_ones_are_refused() -> None:
    with served(HttpSettings(port=0, max_request_bytes=10_000, body_seconds=PATIENCE)) as url:
        assert "error" in post(url, headers={"Mcp-Protocol-Version": "2026-07-28"}).json(), "it is there"
        assert post(url, headers={"Host": "evil.example:80"}).status_code == 421
        assert post(url, headers={"Origin": "http://evil.example"}).status_code == 403
        assert post(url, json={**PING, "params": {"long": "x" * 10_000}}).status_code == 413
    with served(HttpSettings(port=0, body_seconds=0.3)) as url:
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), SECONDS) as slow:
            slow.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 100\r\n\r\nthe first half")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


CONNECTIONS = 130
HALF = b"POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nContent-Type: appl"
BODY = b"POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 100\r\n\r\nthe first half"


def address(url: str) -> tuple[str, int]:
    return "127.0.0.1", int(url.split(":")[2].split("/")[0])


@pytest.mark.parametrize(
    ("token", "sent", "replies"),
    [(TOKEN, b"", False), (TOKEN, HALF, False), (TOKEN, BODY, True), (None, HALF, False), (None, BODY, False)],
    ids=["silent", "half of the headers", "refused, and half of a body", "no token, headers", "no token, bodies"],
)
async def test_half_open_connections_keep_nobody_out(token: str | None, sent: bytes, replies: bool) -> None:
    """More connections than there are places, of which none ends by itself."""
    patient = HttpSettings(port=0, token=token, header_seconds=PATIENCE, body_seconds=PATIENCE)
    with served(patient) as url, ExitStack() as strangers:
        for _ in range(CONNECTIONS):
            stranger = strangers.enter_context(socket.create_connection(address(url), SECONDS))
            stranger.sendall(sent)
            if replies:
                assert stranger.recv(1000).startswith(b"HTTP/1.1 401 ")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http), read_timeout_seconds=SECONDS) as client,
        ):
            assert len((await client.list_tools()).tools) == 2


def test_headers_have_a_time_limit_however_slowly_they_come() -> None:
    with served(HttpSettings(port=0, header_seconds=0.3)) as url:
        for begun in (HALF, _whole(PING) + HALF):
            with socket.create_connection(address(url), SECONDS) as slow:
                slow.sendall(begun)
                said = _drip(slow)
                assert said.endswith(b"the headers of the request did not come in time"), said
                assert b"HTTP/1.1 408 Request Timeout" in said
        with socket.create_connection(address(url), SECONDS) as silent:
            assert silent.recv(1000) == b"", "who says nothing is told nothing"


def _whole(message: object) -> bytes:
    """A request that is answered."""
    body = json.dumps(message).encode()
    names = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body)), **HEADERS}
    head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


def _drip(slow: socket.socket) -> bytes:
    """All that comes while a byte is sent now and then, until the other side ends it."""
    said = b""
    while True:
        if select.select([slow], [], [], 0.02)[0]:
            try:
                came = slow.recv(10_000)
            except ConnectionError:
                came = b""
            if not came:
                return said
            said += came
        else:
            with suppress(ConnectionError):
                slow.sendall(b"a")


async def test_a_client_that_does_not_read_is_left() -> None:
    left = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with asyncio.TaskGroup() as both:
            both.create_task(_until_left(receive, left))
            while not left.is_set():
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
                await asyncio.sleep(0)  # one who has gone is sent nothing, which takes no time

    connections = Connections(ConnectionLimits(stuck_seconds=0.2))
    config = uvicorn.Config(app, http=connections.open, lifespan="off", log_level="critical")  # type: ignore[arg-type]
    web = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(web.serve([listener]))
        with socket.create_connection(listener.getsockname(), SECONDS) as deaf:
            deaf.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(left.wait(), SECONDS)
        web.should_exit = True
        await serving


async def _until_left(receive: Any, left: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    left.set()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines: set a token"),
        ({"host": "::"}, ":: can be reached from other machines"),
        ({"host": "photos.example"}, "photos.example can be reached from other machines"),
        ({"token": "short"}, "it needs 16 ASCII characters or more"),
        ({"max_request_bytes": 0}, "max_request_bytes must be at least 1"),
        ({"body_seconds": 0}, "body_seconds and header_seconds above 0"),
        ({"header_seconds": 0}, "body_seconds and header_seconds above 0"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        HttpSettings(**wrong)  # type: ignore[arg-type]


def test_loopback_needs_no_token() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert HttpSettings(host).is_loopback


def test_limits_that_cannot_be() -> None:
    for wrong in ({"concurrency": 0}, {"spare_seconds": 0}):
        with pytest.raises(ConfigError, match="they need concurrency >= 1"):
            CallLimits(**wrong)  # type: ignore[arg-type]
    for wrong in ({"answer_within": -1}, {"max_result_bytes": 1000}, {"progress_seconds": 0}):
        with pytest.raises(ConfigError, match=r"they need answer_within >= 0, .*, max_result_bytes >= 16384"):
            CallLimits(**wrong)  # type: ignore[arg-type]


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    policy = script(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, said in (
            (["--http", "--port", port], f"cannot listen on 127.0.0.1:{port} (Address already in use): choose another"),
            (["--http", "--host", "0.0.0.0"], "set a token (COF_MCP_TOKEN), or listen on 127.0.0.1"),
            (["--root", str(tmp_path / "missing")], "missing is no directory: name one that exists"),
            (["--save", policy.removeprefix("script:")], "--save: cannot save trajectories"),
            (["--concurrency", "0"], "concurrency"),
            (["--policy", "oracle"], "no policy is named 'oracle'"),
        ):
            done = CliRunner().invoke(app, ["mcp", "--policy", policy, *words], env={"COF_MCP_TOKEN": ""})
            assert (done.exit_code, done.stdout) == (2, ""), words
            assert said in done.stderr
