"""What a picture of any length states of itself, read with a few seeks: its format, its size, how it lies."""

from __future__ import annotations

import struct
from typing import BinaryIO, Literal, TypeAlias

from cof_agent.images.codecs.tiff_directories import is_tiff, read_directories
from cof_agent.images.geometry import Size

LargeFormat: TypeAlias = Literal["TIFF", "PNG", "JPEG"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"

_MOST_SEGMENTS = 2_000
"""Segments of a JPEG before its picture, at most: a profile or notes of 100 MB take as many."""

_PICTURES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
"""Markers of a JPEG that state the size of its picture."""

_SINGLE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length behind them."""

_END_BYTES = 64 * 1024
"""How much of the end of a file is looked at for the mark of the end: tools append a little, or fill it up."""


def large_format(head: bytes) -> LargeFormat | None:
    """The format that data begins like, of those that are shown without decoding all of them at once."""
    if is_tiff(head):
        return "TIFF"
    return "PNG" if head.startswith(_PNG) else "JPEG" if head.startswith(_JPEG) else None


def stated_size(file: BinaryIO) -> Size | None:
    """Width and height that an opened picture states; those of its largest page. None where it states none."""
    file.seek(0)
    head = file.read(32) or b""
    kind = large_format(head)
    if kind == "TIFF":
        sizes = [directory.size for directory in read_directories(file)]
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    if kind == "PNG" and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    return _jpeg_size(file) if kind == "JPEG" else None


def ends_as_it_should(file: BinaryIO, kind: LargeFormat) -> bool:
    """Whether a PNG or JPEG has the mark of its end near the end of the file. A TIFF has none."""
    mark = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}.get(kind, b"")
    length = file.seek(0, 2)
    file.seek(max(0, length - _END_BYTES))
    return mark in (file.read(_END_BYTES) or b"")


def _jpeg_size(file: BinaryIO) -> Size | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        file.seek(at)
        head = file.read(9) or b""
        if len(head) < 9 or head[0] != 0xFF:
            return None
        if head[1] == 0xFF or head[1] in _SINGLE:  # filled up, or nothing behind it
            at += 1 if head[1] == 0xFF else 2
        elif head[1] in _PICTURES:
            height, width = struct.unpack_from(">HH", head, 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", head, 2)[0]
    return None
