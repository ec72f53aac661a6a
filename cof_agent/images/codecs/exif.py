"""The orientation in a block of metadata, found without collecting the rest of it."""

from __future__ import annotations

import struct

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}

_DIRECTORIES = frozenset({0x8769, 0x8825, 0xA005})
"""Tags that lead to a further directory: EXIF, GPS and interoperability."""


def tag_bytes(block: bytes) -> int:
    """Bytes that the tags of a TIFF or EXIF block hold together, were all of them read.

    Tags may overlap: 64 kB can name 350 MB. A damaged block counts as far as it can be read.
    """
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 0
    order = "<" if block[:2] == b"II" else ">"
    found, seen, waiting = 0, set[int](), [4]
    try:
        waiting = [struct.unpack_from(order + "I", block, 4)[0]]
        while waiting and len(seen) < 8:
            start = waiting.pop()
            if start in seen:
                continue
            seen.add(start)
            (count,) = struct.unpack_from(order + "H", block, start)
            for at in range(start + 2, start + 2 + 12 * count, 12):
                tag, kind, number, value = struct.unpack_from(order + "HHII", block, at)
                size = number * _TYPE_BYTES.get(kind, 0)
                found += max(0, min(size, len(block) - value)) if size > 4 else 0
                if tag in _DIRECTORIES:
                    waiting.append(value)
    except struct.error:
        pass
    return found


def is_sound(block: bytes) -> bool:
    """Whether reading all tags of an EXIF block takes no more than about its own size."""
    return tag_bytes(block.removeprefix(b"Exif\0\0")) <= 2 * len(block)
