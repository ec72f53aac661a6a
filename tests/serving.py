"""A real `transformers serve` on loopback.

`python -m tests.serving serve …` is that command, except that it loads the processor of a checkpoint through our own
function: its own way needs torchvision.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
SECONDS = 180
"""For the server to start; it takes about 10 on an idle machine."""


@contextmanager
def served(*options: str) -> Iterator[str]:
    """The base URL of a server that lives as long as the block. Raises RuntimeError, with its words, if it fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.serving", "serve", "--device", "cpu", "--host", "127.0.0.1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*command, "--port", str(port), *options], cwd=ROOT, env=environment, stdout=said, stderr=said
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not _answers(process, f"{url}/health"):
                said.seek(0)
                raise RuntimeError(f"transformers serve does not answer at {url}:\n{said.read()[-4000:]}")
            yield f"{url}/v1"
        finally:
            process.kill()
            process.wait(timeout=30)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether the server comes up before it ends or its time is over."""
    for _ in range(SECONDS * 5):
        try:
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return True
        except httpx.TransportError:
            pass
        try:
            process.wait(timeout=0.2)
            return False
        except subprocess.TimeoutExpired:
            continue
    return False


def _load_processor(self: Any, model_id_and_revision: str, gguf_file: str | None = None) -> Any:
    from cof_agent.policies.qwen.processor import load_processor

    return load_processor(model_id_and_revision.split("@")[0])


if __name__ == "__main__":
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.transformers import main

    ModelManager._load_processor = _load_processor
    main()
