"""Who may talk to an MCP server over HTTP, and how much it takes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from cof_agent import ConfigError
from cof_agent.cli.app import app
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


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 can be reached from other machines: set a token"),
        ({"host": "::"}, ":: can be reached from other machines"),
        ({"host": "photos.example"}, "photos.example can be reached from other machines"),
        ({"token": "short"}, "it needs 16 ASCII characters or more"),
        ({"max_request_bytes": 0}, "max_request_bytes must be at least 1"),
        ({"body_seconds": 0}, "body_seconds above 0"),
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
