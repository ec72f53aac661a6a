"""The process that decodes one image and ends: it limits itself before a decoder sees the data."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from typing import Any, BinaryIO

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.codecs.decoding import Decoded, Encoded
from cof_agent.images.codecs.formats import FREE_BYTES, Cost
from cof_agent.images.geometry import Box
from cof_agent.images.limits import ImageLimits

_SPARE_BYTES = 48 * 2**20
"""Memory beyond the model's: what libraries allocate in large pieces, whatever the image."""

_GRACE_SECONDS = 5
"""How long after its limit the process ends by itself, if nobody is left to end it."""

_SLACK = 10
"""How much slower than the model states an image may be."""

_LEAST_SECONDS = 2
"""Processor time that any image may take: below, the start of the process would count."""


def main(request: dict[str, Any], source: BinaryIO, target: BinaryIO) -> None:
    """Decode what `source` holds as `request` says, and write to `target` a line of JSON and the pixels, if any."""
    _end_in_time(request["seconds"])
    data = source.read(request["length"])
    Image.MAX_IMAGE_PIXELS = None  # our own limits hold
    limits = ImageLimits(max_pixels=request["max_pixels"], max_aspect=request["max_aspect"])
    try:
        _limit_memory(FREE_BYTES, len(data))
        _limit_seconds(0.0, request["seconds"])
        answer, pixels = _decode(Encoded(data, request["name"], limits), request)
    except ImageError as error:
        answer, pixels = {"error": str(error)}, None
    target.write(json.dumps(answer).encode() + b"\n")
    if pixels is not None:
        rows = max(1, 2**20 // (3 * pixels.width))
        for top in range(0, pixels.height, rows):
            target.write(pixels.crop((0, top, pixels.width, min(top + rows, pixels.height))).tobytes())
    target.flush()


def _decode(encoded: Encoded, request: dict[str, Any]) -> tuple[dict[str, Any], Image.Image | None]:
    def limit(cost: Cost) -> None:
        _limit_memory(cost.nbytes + request["view_bytes"], request["length"])
        _limit_seconds(cost.seconds, request["seconds"])

    _one_thread()
    decoded = encoded.decode(request["scale"], limit)
    whole = decoded.nbytes <= request["keep"]
    pixels = decoded.image if whole else _view(decoded, request)
    return {
        "stored": decoded.stored,
        "scale": decoded.scale,
        "orientation": decoded.orientation,
        "mime_type": decoded.mime_type,
        "whole": whole,
        "mode": pixels.mode if pixels else "",
        "size": pixels.size if pixels else (0, 0),
    }, pixels


def _view(decoded: Decoded, request: dict[str, Any]) -> Image.Image | None:
    """The view that was asked for, if there is one of the image."""
    size, box = request["size"], request["box"]
    if size is None or list(decoded.upright) != request["upright"]:
        return None
    try:
        return decoded.overview(tuple(size)) if box is None else decoded.region(Box(*box), tuple(size))
    except MemoryError as error:
        raise ImageError(
            f"{request['name']} takes more memory to show at {size[0]}x{size[1]} than there is: show it smaller, or "
            "a smaller part of it"
        ) from error


def _one_thread() -> None:
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each has its own share of the memory


def _end_in_time(seconds: float) -> None:
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)


def _limit_memory(nbytes: int, length: int) -> None:
    """Let the process grow by `nbytes`, by some copies of the `length` bytes it received, and by what is spare."""
    if sys.platform in ("darwin", "win32"):
        return
    import resource

    used = 512 * 2**20
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    _lower(resource.RLIMIT_AS, used + nbytes + 3 * length + _SPARE_BYTES)


def _limit_seconds(model: float, most: float) -> None:
    if sys.platform != "win32":
        import resource

        used = sum(os.times()[:2])
        _lower(resource.RLIMIT_CPU, math.ceil(used + min(most, max(_LEAST_SECONDS, _SLACK * model))))


def _lower(which: int, value: int) -> None:
    """Set the soft limit, which may rise again: first comes the header, whose cost is unknown, then the image."""
    import resource

    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
