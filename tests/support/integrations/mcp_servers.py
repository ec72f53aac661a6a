"""The command `cof-agent mcp` as a process, for the official client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp import StdioServerParameters

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-c", "from cof_agent.cli import main; main()", "mcp"]
"""As the console script, of this checkout."""
SECONDS = int(PATIENCE)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def on_stdio(*words: str) -> StdioServerParameters:
    """What the client starts by itself."""
    program, *arguments = COMMAND
    return StdioServerParameters(command=program, args=[*arguments, *words], env=environment(), cwd=ROOT)


@contextmanager
def on_http(*words: str, **variables: str) -> Iterator[str]:
    """The URL of a server that listens on a free port and lives as long as the block."""
    command = [*COMMAND, "--http", "--port", "0", *words]
    process = subprocess.Popen(command, env=environment(**variables), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        if not said.startswith("cof-agent: MCP at http://"):
            raise RuntimeError(f"the server does not start: {said}{process.stderr.read()}")
        yield said.split()[-1]
    finally:
        process.kill()
        process.wait(timeout=SECONDS)
        process.stderr.close()
