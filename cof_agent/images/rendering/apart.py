"""Decoding in a process of its own, which is ended at its limits of seconds and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.codecs.decoding import Decoded, Encoded
from cof_agent.images.codecs.formats import FREE_BYTES, view_bytes
from cof_agent.images.codecs.orientation import turned
from cof_agent.images.geometry import Box, Size
from cof_agent.images.rendering.decode_queue import CACHED_BYTES, Rank, apart_queue, decode_queue
from cof_agent.images.rendering.limited_process import (
    LimitedProcess,
    boot_of,
    can_limit_memory,
    can_start,
    limited_process,
)
from cof_agent.images.time_limit import time_limit

_BOOT = boot_of("decode_worker")


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
        with limited_process(_BOOT, limit, encoded.remedy) as process:
            answer = process.ask(_request(encoded, asked, limit.left()), encoded.received)
            return _read(process, answer, rank)


def _may_start(encoded: Encoded) -> bool:
    return can_start() and (encoded.bounded or can_limit_memory())


def _request(encoded: Encoded, asked: Asked, seconds: float) -> dict[str, Any]:
    return {
        "name": encoded.name,
        "length": len(encoded.received),
        "max_pixels": encoded.limits.max_pixels,
        "max_aspect": encoded.limits.max_aspect,
        "seconds": seconds,
        "keep": CACHED_BYTES,
        "scale": asked.scale,
        "upright": asked.upright,
        "box": asked.box.as_list() if asked.box else None,
        "size": asked.size,
        "view_bytes": asked.view_bytes,
    }


def _read(process: LimitedProcess, answer: dict[str, Any], rank: Rank) -> Looked:
    """What a process answers, with its pixels."""
    stored, size, mode = tuple(answer["stored"]), tuple(answer["size"]), answer["mode"]
    orientation, mime_type = answer["orientation"], answer["mime_type"]
    if not mode:
        return Looked(stored, orientation, mime_type, None, None)
    image = process.pixels(mode, size, rank)
    if answer["whole"]:
        whole = Decoded(image, stored, answer["scale"], orientation, mime_type)
        return Looked(stored, orientation, mime_type, whole, None)
    return Looked(stored, orientation, mime_type, None, image)
