"""The process that decodes one image and ends: it limits itself before a decoder sees the data."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.codecs.decoding import Decoded, Encoded
from cof_agent.images.codecs.formats import FREE_BYTES, Cost
from cof_agent.images.geometry import Box
from cof_agent.images.limits import ImageLimits
from cof_agent.images.rendering.self_limits import end_in_time, limit_memory, limit_seconds

_COPIES = 3
"""Copies of the data that it may hold beside what decoding takes."""

_SLACK = 10
"""How much slower than the model states an image may be."""

_LEAST_SECONDS = 2
"""Processor time that any image may take: below, the start of the process would count."""


def main(request: dict[str, Any], source: BinaryIO, target: BinaryIO) -> None:
    """Decode what `source` holds as `request` says, and write to `target` a line of JSON and the pixels, if any."""
    end_in_time(request["seconds"])
    data = source.read(request["length"])
    Image.MAX_IMAGE_PIXELS = None  # our own limits hold
    limits = ImageLimits(max_pixels=request["max_pixels"], max_aspect=request["max_aspect"])
    try:
        limit_memory(FREE_BYTES + _COPIES * len(data))
        limit_seconds(_seconds(0.0, request["seconds"]))
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
        limit_memory(cost.nbytes + request["view_bytes"] + _COPIES * request["length"])
        limit_seconds(_seconds(cost.seconds, request["seconds"]))

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


def _seconds(model: float, most: float) -> float:
    return min(most, max(_LEAST_SECONDS, _SLACK * model))


def _one_thread() -> None:
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each has its own share of the memory
