"""A unit test starts no process, listens on no port, and loads no model: it fails where it does.

Imports are seen where nothing else of the session has loaded those packages before: with `make quick`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3.util.connection  # noqa: F401  looks for IPv6 by binding a port, when it is first imported

PROCESSES = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
HEAVY = {"torch", "transformers", "rapidocr", "onnxruntime"}

watching = False
refused: list[str] = []
"""What the running test did and may not do, also in its threads."""


def refuse(event: str, given: tuple[Any, ...]) -> None:
    if watching and (event in PROCESSES or event == "socket.bind"):
        refused.append(f"{event}: such a test belongs in tests/processes")
        pytest.fail(refused[-1])


sys.addaudithook(refuse)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    global watching
    before = HEAVY & sys.modules.keys()
    refused.clear()
    watching = True
    yield
    watching = False
    loaded = HEAVY & sys.modules.keys() - before
    assert not refused
    assert not loaded, f"it imports {', '.join(sorted(loaded))}: such a test belongs in tests/weights"
