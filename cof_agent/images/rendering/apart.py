"""Decoding in a process of its own, which is ended at its limits of seconds and bytes."""

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
from cof_agent.images.codecs.decoding import Decoded, Encoded
from cof_agent.images.codecs.formats import FREE_BYTES, view_bytes
from cof_agent.images.codecs.orientation import turned
from cof_agent.images.geometry import Box, Size
from cof_agent.images.rendering.decode_queue import CACHED_BYTES, Rank, apart_queue, decode_queue
from cof_agent.images.time_limit import TimeLimit, time_limit

_BOOT = (
    "import sys, json; request = json.loads(sys.stdin.buffer.readline()); sys.path[:] = request['paths']; "
    "from cof_agent.images.rendering.decode_worker import main; main(request, sys.stdin.buffer, sys.stdout.buffer)"
)

_ANSWER_BYTES = 64 * 1024
"""Longest line that a process answers with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of an image."""

    scale: int
    upright: Size | None = None
    """The size that the image must have, where it is known."""
    box: Box | None = None
    """The region to show, in upright pixels; None for all of it."""
    size: Size | None = None
    """The size to show it at; None where only its data is to be checked."""

    @property
    def view_bytes(self) -> int:
        """Memory that the view takes, beside decoding the image."""
        cut = self.box.size if self.box else self.upright
        return view_bytes(cut, self.size) if cut and self.size else 0


@dataclass(frozen=True, slots=True)
class Looked:
    """What a process made of an image."""

    stored: Size
    orientation: int
    mime_type: str
    whole: Decoded | None
    """All of its pixels, where these are few enough to be kept."""
    view: Image.Image | None
    """Otherwise the view that was asked for, if the image has the size it should have."""

    @property
    def upright(self) -> Size:
        return turned(self.stored, self.orientation)


def look_apart(encoded: Encoded, asked: Asked, rank: Rank, seconds: float) -> Looked:
    """Decode an image in a process of its own, in `seconds` and within the memory that its format's model states.

    Raises ImageError, naming the image, where it is damaged, costs more, or no such process can be started here.
    """
    if not _may_start(encoded):
        raise ImageError(
            f"{encoded.name} is in a format ({encoded.format.name}) whose cost is not known before it is decoded, and "
            f"this system cannot limit what decoding takes: {encoded.remedy}"
        )
    cost = encoded.cost(asked.scale)
    decode_queue().give_place_up()
    need = (cost.nbytes if cost else FREE_BYTES) + asked.view_bytes
    with apart_queue().turn(rank, need, name=encoded.name):
        limit = time_limit(seconds, f"{encoded.name} ({encoded.format.name})")
        with _process(encoded, limit) as (process, late):
            answer = _ask(process, encoded, asked, limit, late)
            return _read(process, encoded, answer, rank, limit, late)


def can_start() -> bool:
    """Whether this program can start a Python process: one that is packed into a single file cannot."""
    return bool(_executable()) and not getattr(sys, "frozen", False)


def _may_start(encoded: Encoded) -> bool:
    return can_start() and (encoded.bounded or can_limit_memory())


def can_limit_memory() -> bool:
    """Whether the system ends a process that takes more memory than it may: macOS takes the limit and ignores it."""
    return sys.platform not in ("darwin", "win32")


def _executable() -> str:
    from multiprocessing.spawn import get_executable

    name = os.fsdecode(get_executable() or "")
    return name if os.access(name, os.X_OK) else ""


@contextmanager
def _process(encoded: Encoded, limit: TimeLimit) -> Iterator[tuple[subprocess.Popen[bytes], threading.Event]]:
    """A process that is dead and gone afterwards, and an event that tells whether it was ended for its time."""
    late = threading.Event()
    # In a group of its own, so that Ctrl-C reaches it by way of us. Isolated: it shares no module with the program.
    group: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
    try:
        process = subprocess.Popen(
            [_executable(), "-I", "-c", _BOOT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **group,
        )  # fmt: skip
    except OSError as error:
        raise ImageError(
            f"{encoded.name} ({encoded.format.name}) is decoded in a process of its own, which cannot be started "
            f"({error.strerror or error}): {encoded.remedy}"
        ) from error

    def end() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(limit.left(), end)
    watch.daemon = True
    watch.start()
    try:
        yield process, late
    finally:
        watch.cancel()
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


def _ask(
    process: subprocess.Popen[bytes], encoded: Encoded, asked: Asked, limit: TimeLimit, late: threading.Event
) -> dict[str, Any]:
    """Send the data and what is wanted, and read the line of the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    request = {
        "paths": [*filter(None, sys.path), str(Path(__file__).parents[3])],
        "name": encoded.name,
        "length": len(encoded.received),
        "max_pixels": encoded.limits.max_pixels,
        "max_aspect": encoded.limits.max_aspect,
        "seconds": limit.left(),
        "keep": CACHED_BYTES,
        "scale": asked.scale,
        "upright": asked.upright,
        "box": asked.box.as_list() if asked.box else None,
        "size": asked.size,
        "view_bytes": asked.view_bytes,
    }
    line = b""
    with contextlib.suppress(OSError):  # it has ended: what it said before tells why
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.write(encoded.received)
        process.stdin.close()
        line = process.stdout.readline(_ANSWER_BYTES)
    answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
    if "error" in answer:
        raise ImageError(answer["error"])
    if not answer:
        raise _ended(process, encoded, limit, late)
    return answer


def _ended(process: subprocess.Popen[bytes], encoded: Encoded, limit: TimeLimit, late: threading.Event) -> ImageError:
    """Why a process ended without an answer."""
    if late.is_set():
        return limit.error("decoding", encoded.remedy)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    if process.returncode == 1:
        return ImageError(f"the process that should decode {limit.name} failed: {encoded.remedy}")
    return ImageError(
        f"{limit.name} takes more memory or processor time to decode than an image of its size may: {encoded.remedy}"
    )


def _read(
    process: subprocess.Popen[bytes],
    encoded: Encoded,
    answer: dict[str, Any],
    rank: Rank,
    limit: TimeLimit,
    late: threading.Event,
) -> Looked:
    """Read the pixels, in a turn of those that this process has for its own."""
    stored, size, mode = tuple(answer["stored"]), tuple(answer["size"]), answer["mode"]
    orientation, mime_type = answer["orientation"], answer["mime_type"]
    if not mode:
        return Looked(stored, orientation, mime_type, None, None)
    assert process.stdout is not None
    pipe = process.stdout
    image = decode_queue().run(rank, 4 * size[0] * size[1], lambda: _pixels(pipe, mode, size), limit)
    if image is None:
        raise _ended(process, encoded, limit, late)
    if answer["whole"]:
        whole = Decoded(image, stored, answer["scale"], orientation, mime_type)
        return Looked(stored, orientation, mime_type, whole, None)
    return Looked(stored, orientation, mime_type, None, image)


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
