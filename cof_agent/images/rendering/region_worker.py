"""The process that renders one view of a source and ends: it limits itself before a library sees the data."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any, BinaryIO, Protocol

from cof_agent.errors import ImageError
from cof_agent.images.rendering.self_limits import end_in_time, limit_memory, limit_seconds


class RegionWorker(Protocol):
    """What renders one kind of source. Made of the request: its `name`, `page`, `file` or the bytes.

    Each member raises ImageError, naming the source and a remedy, for what cannot be read.
    """

    def __init__(self, content: bytes | str, request: dict[str, Any]) -> None:
        """`content` holds the bytes, or is the absolute path of the file."""

    def describe(self, max_pixels: int) -> dict[str, Any]:
        """`size` (width, height) in original pixels, `pages`, `page` or None, and `mime_type`."""

    def show(self, upright: tuple[int, int], box: list[int] | None, size: tuple[int, int]) -> bytes | memoryview:
        """`box` of the source, whose size is `upright` original pixels, as RGB bytes of `size` pixels, row by row."""

    def alone(self) -> bytes:
        """The page as a document of its own, without what the document says of itself."""

    def words(self, upright: tuple[int, int], box: list[int]) -> list[tuple[str, list[int]]]:
        """The words that stand in `box`, each with its own box, both in original pixels."""


_WORKERS = {
    "pdf": ("pdf_worker", "PdfWorker"),
    "large": ("large_worker", "LargeWorker"),
    "slide": ("slide_worker", "SlideWorker"),
}
"""The module and the class of each kind."""


_LONGEST_REASON = 300
"""Characters of an unexpected error that are passed on."""


def main(request: dict[str, Any], source: BinaryIO, target: BinaryIO) -> None:
    """Do what `request` asks, and write to `target` a line of JSON and the pixels, if any."""
    end_in_time(request["seconds"])
    module, name = _WORKERS[request["kind"]]
    worker_class = getattr(import_module(f"cof_agent.images.rendering.{module}"), name)
    data = source.read(request["length"])
    limit_memory(request["nbytes"])
    limit_seconds(request["seconds"])
    pixels: bytes | memoryview = b""
    try:
        worker: RegionWorker = worker_class(request["file"] or data, request)
        if request["ask"] == "describe":
            answer = worker.describe(request["max_pixels"])
        elif request["ask"] == "show":
            size = tuple(request["size"])
            pixels = worker.show(tuple(request["upright"]), request["box"], size)
            answer = {"pixels": size}
        elif request["ask"] == "alone":
            pixels = worker.alone()
            answer = {"length": len(pixels)}
        else:
            answer = {"words": worker.words(tuple(request["upright"]), request["box"])}
    except ImageError as error:
        answer = {"error": str(error)}
    except Exception as error:  # Readers raise nearly every exception for damaged data.
        answer = {"failed": f"{type(error).__name__}: {error}"[:_LONGEST_REASON]}
    target.write(json.dumps(answer).encode() + b"\n")
    target.write(pixels)
    target.flush()
