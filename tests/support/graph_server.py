"""`langgraph dev` as a process. `LANGGRAPH` names it: it wants an older protobuf, and so an environment of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

SECONDS = 120


@contextmanager
def graph_server(
    directory: Path, variables: Mapping[str, str], log: Path, *words: str
) -> Iterator[tuple[SyncLangGraphClient, subprocess.Popen[bytes]]]:
    """A client of a server that runs in `directory`, and its process, which leads a group of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **variables, "LANGSMITH_TRACING": "false"}
    environment.pop("PYTHONPATH", None)
    command = [os.environ["LANGGRAPH"], "dev", "--no-browser", "--no-reload", "--host", "127.0.0.1"]
    command += ["--port", str(port), *words]
    with (
        log.open("ab") as said,
        subprocess.Popen(
            command, cwd=directory, env=environment, stdout=said, stderr=said, start_new_session=True
        ) as server,
    ):
        try:
            url, ends = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
            while not _answers(url):
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < ends, log.read_text()[-2000:]
                time.sleep(0.2)
            yield get_sync_client(url=url, timeout=SECONDS), server
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
