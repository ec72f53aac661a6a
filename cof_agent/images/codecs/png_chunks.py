"""A PNG's chunks: the pixels' are kept, and metadata is left out before a decoder unpacks or refuses it."""

from __future__ import annotations

import re
import struct
import zlib

from cof_agent.images.codecs.exif import is_sound

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})

_CHECKED = frozenset({b"tRNS", b"eXIf"})
"""Kept where their checksum is right: transparency and the orientation."""

_ORIENTING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""How texts begin that may hold the orientation; other texts are never read."""

_NAMES = re.compile(rb"IDAT|PLTE|IEND")

_TEXTS = 8
"""Most chunks of metadata that are looked into."""

_TEXT_BYTES = 64 * 1024
"""Most bytes of one text that is kept."""

_UNPACKED_BYTES = 2**20
"""Most bytes that such a text may unpack to: Pillow's own limit, above which it refuses the image."""

_PIECE = 2**16
"""Bytes of packed pixels that are unpacked at once: what is left of a piece is copied for each part of its pixels."""

_CHUNKS = 200_000
"""Most chunks of a file: a PNG of 256 MB in the usual pieces of 8 kB has 33,000."""


def clean_png(data: bytes) -> bytes:
    """A PNG without what is not needed for its pixels; the very same bytes where there is nothing to leave out.

    A chunk that runs past the end is kept as it is, for the decoder to say so. Raises ValueError for too many chunks.
    """
    kept: list[tuple[int, int]] = []
    position, whole, texts = len(SIGNATURE), True, 0
    for _ in range(_CHUNKS):
        if len(data) - position < 8:
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind not in _PIXELS and (end > len(data) or not kind.isalpha()):
            whole, end = False, _next_chunk(data, position + 4)
        elif kind in _PIXELS or (texts < _TEXTS and _is_wanted(data, position, length, kind)):
            texts += kind not in _PIXELS
            kept.append((position, end))
        else:
            whole = False
        position = end
        if kind == b"IEND" or position >= len(data):
            break
    else:
        raise ValueError(f"it has more than {_CHUNKS:,} chunks")
    if whole:
        return data
    return b"".join([SIGNATURE, *(data[start:end] for start, end in kept)])


def lacks_rows(data: bytes) -> bool:
    """Whether the pixels of a PNG that is not interlaced end before its last row: a decoder leaves the others black."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if interlaced:
        return False
    planes = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    missing = height * (1 + (width * depth * planes + 7) // 8)
    unpacker, position = zlib.decompressobj(), len(SIGNATURE)
    while position + 8 <= len(data) and missing > 0 and not unpacker.eof:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        for begin in range(position + 8, min(end, len(data)), _PIECE) if kind == b"IDAT" else ():
            packed = data[begin : min(begin + _PIECE, end)]
            while packed and missing > 0 and not unpacker.eof:
                missing -= len(unpacker.decompress(packed, _UNPACKED_BYTES))
                packed = unpacker.unconsumed_tail
        position = end + 4
    return missing > 0 and unpacker.eof


def _is_wanted(data: bytes, position: int, length: int, kind: bytes) -> bool:
    if length > _TEXT_BYTES:
        return False
    body = data[position + 8 : position + 8 + length]
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        return body.startswith(_ORIENTING) and _is_intact(data, position, length) and _unpacks(kind, body)
    return kind in _CHECKED and _is_intact(data, position, length) and (kind != b"eXIf" or is_sound(body))


def _is_intact(data: bytes, position: int, length: int) -> bool:
    """Whether a chunk's checksum is that of its kind and content."""
    end = position + 8 + length
    return data[end : end + 4] == zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")


def _unpacks(kind: bytes, body: bytes) -> bool:
    """Whether a text takes little memory unpacked."""
    _, _, rest = body.partition(b"\0")
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return True
    packed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _UNPACKED_BYTES)
    except zlib.error:
        return False
    return unpacker.eof


def _next_chunk(data: bytes, position: int) -> int:
    """Where the next chunk of pixels begins after one whose length is wrong; the end where there is none."""
    found = _NAMES.search(data, position + 4)
    return found.start() - 4 if found else len(data)
