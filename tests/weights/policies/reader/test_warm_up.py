"""The MCP server loads OCR when it starts, not at the first call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.integrations.mcp_servers import COMMAND, SECONDS, environment
from tests.support.patience import wait_until


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is read from /proc")
def test_ocr_is_loaded_though_nobody_has_asked_yet() -> None:
    command = [*COMMAND, "--policy", "reader"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe) as server:
        maps = Path(f"/proc/{server.pid}/maps")
        wait_until(lambda: server.poll() is not None or "onnxruntime" in maps.read_text())
        assert server.poll() is None
        out, err = server.communicate(timeout=SECONDS)
    assert (out, server.returncode) == (b"", 0), err
