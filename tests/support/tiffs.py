"""TIFFs written tag by tag, sound or not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

SIDE = 64
"""Of a tile, in pixels."""


def tiff(directories: Sequence[Mapping[int, int | bytes | Sequence[int]]], *, loop: int | None = None) -> bytes:
    """A little-endian TIFF of these directories, one after the other; the last leads to that number in a `loop`.

    Integers are written as LONG, bytes as ASCII, sequences as LONG.
    """
    body, starts, tails = bytearray(b"II*\0\0\0\0\0"), [], []
    for directory in directories:
        entries = []
        for tag, value in sorted(directory.items()):
            if isinstance(value, int):
                entries.append(struct.pack("<HHII", tag, 4, 1, value))
                continue
            kind, data = (2, value) if isinstance(value, bytes) else (4, struct.pack(f"<{len(value)}I", *value))
            count = len(value)
            if len(data) <= 4:
                entries.append(struct.pack("<HHI4s", tag, kind, count, data.ljust(4, b"\0")))
            else:
                entries.append(struct.pack("<HHII", tag, kind, count, len(body)))
                body += data + b"\0" * (len(data) % 2)
        starts.append(len(body))
        body += struct.pack("<H", len(entries)) + b"".join(entries)
        tails.append(len(body))
        body += b"\0\0\0\0"
    struct.pack_into("<I", body, 4, starts[0])
    followers = [*starts[1:], starts[loop] if loop is not None else 0]
    for at, following in zip(tails, followers, strict=True):
        struct.pack_into("<I", body, at, following)
    return bytes(body)


def tiled(width: int, height: int, tile: bytes, *, side: int = SIDE, **more: int) -> bytes:
    """A grey TIFF all of whose tiles are the same one, deflated: `tile`, or whatever else stands for it."""
    count = -(-width // side) * -(-height // side)
    packed = zlib.compress(tile, 9)
    tags: dict[int, int | Sequence[int]] = {
        256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side,
        324: [0] * count, 325: [len(packed)] * count,
    }  # fmt: skip
    at = len(tiff([tags]))
    tags[324] = [at] * count
    return tiff([tags]) + packed
