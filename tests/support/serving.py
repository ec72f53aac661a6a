"""A real `transformers serve` on loopback.

`python -m tests.support.serving serve …` is that command, except that it loads the processor of a checkpoint through
our own function: its own way needs torchvision.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]


@contextmanager
def served(*options: str) -> Iterator[str]:
    """The base URL of a server that lives as long as the block. Raises RuntimeError, with its words, if it fails."""
    command = [
        sys.executable,
        "-m",
        "tests.support.serving",
        "serve",
        "--device",
        "cpu",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            ends = time.monotonic() + PATIENCE
            while not (listens := _LISTENS.search(_so_far(said))):
                if process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"transformers serve does not start:\n{_so_far(said).decode()[-4000:]}")
                time.sleep(0.1)
            yield f"{listens[1].decode()}/v1"
        finally:
            process.kill()
            process.wait(timeout=PATIENCE)


_LISTENS = re.compile(rb"running on (http://127\.0\.0\.1:\d+)")


def _so_far(said: IO[bytes]) -> bytes:
    """What is in the file, in which the server goes on to write where it was."""
    return os.pread(said.fileno(), 2**24, 0)


def _load_processor(self: Any, model_id_and_revision: str, gguf_file: str | None = None) -> Any:
    from cof_agent.policies.qwen.processor import load_processor

    return load_processor(model_id_and_revision.split("@")[0])


if __name__ == "__main__":
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.cli.transformers import main

    ModelManager._load_processor = _load_processor
    main()
