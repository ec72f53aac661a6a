"""A process that works for this one within limits of seconds and bytes, and is gone afterwards whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Size
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.images.time_limit import TimeLimit

ANSWER_BYTES = 64 * 1024
"""Longest line that a process answers with, where not more is expected."""


def boot_of(worker: str) -> str:
    """The program of a process whose `main` is in the module `cof_agent.images.rendering.<worker>`."""
    return (
        "import sys, json; request = json.loads(sys.stdin.buffer.readline()); sys.path[:] = request['paths']; "
        f"from cof_agent.images.rendering.{worker} import main; main(request, sys.stdin.buffer, sys.stdout.buffer)"
    )


def can_start() -> bool:
    """Whether this program can start a Python process: one that is packed into a single file cannot."""
    return bool(_executable()) and not getattr(sys, "frozen", False)


def can_limit_memory() -> bool:
    """Whether the system ends a process that takes more memory than it may: macOS takes the limit and ignores it."""
    return sys.platform not in ("darwin", "win32")


def _executable() -> str:
    from multiprocessing.spawn import get_executable

    name = os.fsdecode(get_executable() or "")
    return name if os.access(name, os.X_OK) else ""


@dataclass(frozen=True, slots=True)
class LimitedProcess:
    """A process that was started, and what its errors say."""

    process: subprocess.Popen[bytes]
    late: threading.Event
    """Whether it was ended for its time."""
    limit: TimeLimit
    remedy: str
    work: str
    """What it does to the image: `decode`."""

    def ask(self, request: dict[str, Any], data: bytes = b"", most: int = ANSWER_BYTES) -> dict[str, Any]:
        """Send what is wanted and the data, and read the line of the answer, of up to `most` bytes.

        Raises ImageError with what the process says is wrong, or with why it has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {"paths": [*filter(None, sys.path), str(Path(__file__).parents[3])], **request}
        line = b""
        with contextlib.suppress(OSError):  # it has ended: what it said before tells why
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.write(data)
            self.process.stdin.close()
            line = self.process.stdout.readline(most)
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        if "error" in answer:
            raise ImageError(answer["error"])
        if "failed" in answer:
            raise self._failed(f" ({answer['failed']})")
        if not answer:
            raise self.ended()
        return answer

    def pixels(self, mode: str, size: Size, rank: Rank) -> Image.Image:
        """The pixels that follow the answer, L or RGB, read in a turn of those that this program has for its own.

        Raises ImageError where the process ends before all are there.
        """
        assert self.process.stdout is not None
        pipe = self.process.stdout
        image = decode_queue().run(rank, 4 * size[0] * size[1], lambda: _pixels(pipe, mode, size), self.limit)
        if image is None:
            raise self.ended()
        return image

    def bytes_behind(self, length: int) -> bytes:
        """The bytes that follow the answer. Raises ImageError where the process ends before all are there."""
        assert self.process.stdout is not None
        data = self.process.stdout.read(length)
        if len(data) < length:
            raise self.ended()
        return data

    def ended(self) -> ImageError:
        """Why it ended without an answer."""
        if self.late.is_set():
            return self.limit.error("decoding", self.remedy)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        if self.process.returncode == 1:
            return self._failed()
        return ImageError(
            f"{self.limit.name} is damaged, or takes more memory or processor time to {self.work} than an image of its "
            f"size may: {self.remedy}"
        )

    def _failed(self, why: str = "") -> ImageError:
        return ImageError(f"the process that should {self.work} {self.limit.name} failed{why}: {self.remedy}")


@contextmanager
def limited_process(boot: str, limit: TimeLimit, remedy: str, work: str = "decode") -> Iterator[LimitedProcess]:
    """A process that runs the program `boot` until `limit`. It is dead and gone afterwards.

    Raises ImageError, with the `remedy`, where it cannot be started.
    """
    late = threading.Event()
    # In a group of its own, so that Ctrl-C reaches it by way of us. Isolated: it shares no module with the program.
    group: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
    try:
        process = subprocess.Popen(
            [_executable(), "-I", "-c", boot],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **group,
        )  # fmt: skip
    except OSError as error:
        raise ImageError(
            f"the process that should {work} {limit.name} cannot be started ({error.strerror or error}): {remedy}"
        ) from error

    def end() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(limit.left(), end)
    watch.daemon = True
    watch.start()
    try:
        yield LimitedProcess(process, late, limit, remedy, work)
    finally:
        watch.cancel()
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


def _pixels(pipe: IO[bytes], mode: str, size: Size) -> Image.Image | None:
    """An image read in strips, so that it is held once only; None where the data ends early."""
    image, line = Image.new(mode, size), size[0] * (1 if mode == "L" else 3)
    rows = max(1, 2**20 // line)
    for top in range(0, size[1], rows):
        height = min(rows, size[1] - top)
        data = pipe.read(line * height)
        if len(data) < line * height:
            return None
        image.paste(Image.frombytes(mode, (size[0], height), data), (0, top))
    return image
