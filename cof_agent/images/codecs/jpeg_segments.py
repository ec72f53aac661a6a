"""A JPEG's segments: its size, how often a decoder passes over it, and a copy without metadata and stray bytes."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from cof_agent.images.codecs.exif import is_sound
from cof_agent.images.geometry import Size

START = b"\xff\xd8"
END = b"\xff\xd9"

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")

_SEGMENTS = 20_000
"""Most segments of a file: usual ones have below 50, and a photo with metadata in pieces of 64 kB below 1,000."""

_METADATA_SEGMENTS, _METADATA_BYTES = 64, 2**20
"""Metadata beyond this is left out before a decoder collects it, which takes it the square of their number."""

_LONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, by coding process."""

_SOI, _EOI, _SOS, _COMMENT, _APP1, _MULTI_PICTURE = 0xD8, 0xD9, 0xDA, 0xFE, 0xE1, 0xE2

_LOOKED = 8
"""Most segments that are looked into for the orientation."""

_SAME_BYTES = 16
"""So many equal bytes at the end fill up a file that was cut: no scan of a photo ends with them."""


@dataclass(slots=True)
class JpegSegments:
    """What the markers of a JPEG say. Of several pictures in one file, those of the first."""

    size: Size = (0, 0)
    components: int = 0
    scans: int = 0
    ends: bool = False
    """Whether there is an end marker."""
    refined: dict[int, set[int]] = field(default_factory=dict)
    """Of each component, the coefficients whose last bit a scan holds."""
    head: list[tuple[int, int]] = field(default_factory=list)
    """Where the segments lie that are needed before the first scan."""
    looked: int = 0
    """Segments that were looked into for the orientation."""
    first_scan: int = 0
    stop: int = 0
    """Where the picture ends."""
    tidy: bool = True
    """Whether a decoder can read it as it is, without undue work for metadata."""

    @property
    def all_scans(self) -> bool:
        """Whether the scans, taken together, hold every bit of every coefficient."""
        return len(self.refined) == self.components > 0 and all(len(found) == 64 for found in self.refined.values())

    def cleaned(self, data: bytes) -> bytes:
        """The picture alone: without metadata other than its orientation and colours, and without stray bytes."""
        parts = [data[start:end] for start, end in self.head]
        return b"".join([START, *parts, data[self.first_scan : self.stop]])


def read_jpeg(data: bytes, start: int = 0) -> JpegSegments:
    """The segments of the JPEG that begins at `start`.

    Raises ValueError where there are too many of them, or none that begins a scan.
    """
    found, position, metadata = JpegSegments(tidy=start == 0), start + len(START), 0
    for _ in range(_SEGMENTS):
        marker = (_MARKER_IN_SCAN if found.scans else _MARKER).search(data, position)
        if marker is None:
            break
        code, body = marker[1][0], marker.end()
        stray = not found.scans and data[position : marker.start()].strip(b"\xff") != b""
        if code == _EOI:
            found.ends, found.stop = True, body
            break
        if code in _LONE:
            position = body
            continue
        if code == _SOI or len(data) < body + 2:
            break
        (length,) = struct.unpack_from(">H", data, body)
        end = body + length
        if code == _SOS:
            found.scans += 1
            found.first_scan = found.first_scan or marker.start()
            _read_scan(found, data[body:end])
        elif not found.scans:
            if code in _FRAMES and length >= 8:
                height, width, found.components = struct.unpack_from(">HHB", data, body + 3)
                found.size = width, height
            metadata += code == _COMMENT or code >> 4 == 0xE
            found.tidy &= not stray and not (code == _MULTI_PICTURE and data[body + 2 : body + 6] == b"MPF\0")
            needed = _is_needed(code, data[body + 2 : body + 34], found, data)
            if code == _APP1:
                found.looked += 1
                needed = needed and found.looked <= _LOOKED and is_sound(data[body + 2 : end])
                found.tidy &= needed
            if needed:
                found.head.append((marker.start(), end))
        position = end
    else:
        raise ValueError(f"it has more than {_SEGMENTS:,} segments")
    if not found.scans:
        raise ValueError("it has a header and no picture")
    kept = sum(end - begin for begin, end in found.head)
    found.tidy &= metadata <= _METADATA_SEGMENTS and found.first_scan - start - kept <= _METADATA_BYTES
    found.stop = found.stop or len(data)
    return found


def _is_needed(code: int, begins: bytes, found: JpegSegments, data: bytes) -> bool:
    if code == 0xE0 or code == 0xEE:
        return begins.startswith((b"JFIF", b"Adobe"))
    if code == _APP1:
        kind = next((kind for kind in (b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0") if begins.startswith(kind)), None)
        return kind is not None and not any(data.startswith(kind, at + 4) for at, _ in found.head[:8])
    return code != _COMMENT and code >> 4 != 0xE


def _read_scan(found: JpegSegments, header: bytes) -> None:
    """Note which coefficients a scan brings to their last bit."""
    count = header[2] if len(header) > 2 else 0
    if len(header) < 6 + 2 * count:
        return
    first, last, approximation = header[3 + 2 * count : 6 + 2 * count]
    if approximation & 0x0F == 0:
        for number in range(count):
            found.refined.setdefault(header[3 + 2 * number], set()).update(range(first, min(last, 63) + 1))


def is_filled_up(data: bytes) -> bool:
    """Whether the end of a file is one byte over and over."""
    return len(data) < _SAME_BYTES or data.endswith(data[-1:] * _SAME_BYTES)
