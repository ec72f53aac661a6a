"""The headers of the usual formats, read by our own code: what an image costs is known before a decoder sees it."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable

from cof_agent.images.codecs.exif import tag_bytes
from cof_agent.images.codecs.formats import FORMATS, Header
from cof_agent.images.codecs.jpeg_segments import START as JPEG
from cof_agent.images.codecs.jpeg_segments import JpegSegments
from cof_agent.images.codecs.png_chunks import SIGNATURE as PNG
from cof_agent.images.geometry import Size

_BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBPVP8", re.DOTALL)

_STRAY_BYTES = 1024
"""Most bytes before the header of an image that was cut out of something, such as the headers of a reply."""

_CONTAINERS = re.compile(
    rb"%PDF|PK\x03\x04|ID3|RIFF|OggS|fLaC|MZ|\x7fELF|\x1aE\xdf\xa3|\xd0\xcf\x11\xe0|....ftyp|\xc5\xd0\xd3\xc6|%!PS"
    rb"|SQLite|\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|OBJ|8BPS|icns",
    re.DOTALL,
)
"""How files begin that may hold images and are something else."""

_LOSSLESS_GROUP_BYTES = 24 * 1024
"""Memory of one group of Huffman tables in a lossless WebP."""

_HUFFMAN_GROUPS = 65_536
"""Most such groups; a file names one for each block of 4x4 pixels, and spends 20 bits on each at least."""

_TIFF_TAGS, _TIFF_PIECES = 2_048, 65_536
"""Most tags, and most strips or tiles, of a TIFF that is decoded in this process."""

_WEBP_TABLES = 64 * 2**20
"""Memory for the Huffman tables of a lossless WebP: libwebp writes at most 2,600 groups."""

_TIFF_PACKED = frozenset({1, 2, 3, 4, 5, 8, 32946, 32773})
"""Compressions whose pieces take the memory of their pixels: none, fax, LZW, deflate and PackBits."""

_GIF_USUAL_BLOCKS, _GIF_BLOCKS = 4_000, 400_000
"""Blocks of up to 255 bytes before the picture of a GIF: its decoder takes the square of their number."""

_PPM = re.compile(rb"P(?:(4)|[56])(?:\s|#[^\r\n]{0,200}[\r\n])+(\d{1,9})\s+(\d{1,9})(?(1)|\s+(\d{1,5}))\s")


def image_start(data: bytes) -> int:
    """Where an image begins that has a few stray bytes before it; 0 where it begins at once, or there is none."""
    found = _BEGINNINGS.search(data, 0, _STRAY_BYTES + 16)
    if (
        found is None
        or is_read_here(data)
        or read_tga(data)
        or _CONTAINERS.match(data)
        or data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    ):
        return 0
    return found.start()


def read_header(data: bytes, jpeg: JpegSegments | None) -> Header | None:
    """The header of a format that is read here; None for another one, or where it is damaged.

    `jpeg` holds the segments, if it is a JPEG. Raises struct.error, IndexError or ValueError where data ends early.
    """
    if jpeg is not None:
        return _jpeg(jpeg)
    for begins, read in _READERS:
        if begins.match(data):
            return read(data)
    return None


def is_read_here(data: bytes) -> bool:
    """Whether data begins like a format whose header is read here."""
    return is_jpeg(data) or any(begins.match(data) for begins, _ in _READERS)


def is_jpeg(data: bytes) -> bool:
    return data.startswith(JPEG + b"\xff")


def _jpeg(found: JpegSegments) -> Header:
    grey, planes = found.components == 1, found.components
    # With several scans the decoder keeps the coefficients of all of it: two bytes for each.
    kept = 2.0 * planes if found.scans > 1 else 0.0
    shown = 1.0 if grey else 4.0 if planes < 4 else 8.0
    if not found.ends:  # it is decoded up to three times, and the results are compared
        return Header(FORMATS["JPEG"], found.size, 4 * shown, 2 * kept, passes=found.scans, times=3)
    return Header(FORMATS["JPEG"], found.size, shown, kept, passes=found.scans)


def _png(data: bytes) -> Header:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    grey = 2.0 if depth == 1 else 1.0 if depth <= 8 else 12.0
    opaque = {0: grey, 2: 4.0, 3: 5.0, 6: 10.0}.get(colour, 14.0)
    clear = colour in (0, 2, 3) and data.find(b"tRNS", 0, 64 * 1024) > 0
    deep = depth == 16 and colour != 0
    return Header(FORMATS["PNG"], (width, height), (14.0 if clear else opaque) + 12.0 * deep)


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, extensions = 13 + (3 << (flags & 7) + 1) * (flags >> 7), 0
    while data[position] == 0x21:
        position += 2
        while data[position]:
            position += 1 + data[position]
            extensions += 1
            if extensions > _GIF_BLOCKS:
                raise ValueError(f"it has more than {_GIF_BLOCKS:,} blocks before its picture")
        position += 1
    if data[position] != 0x2C:
        raise ValueError("it has no picture")
    left, top, wide, high = struct.unpack_from("<HHHH", data, position + 1)
    size = max(width, left + wide), max(height, top + high)
    return Header(FORMATS["GIF"], size, 10.0, orderly=extensions < _GIF_USUAL_BLOCKS)


def _webp(data: bytes) -> Header:
    kind, lossless = data[12:16], True
    if kind == b"VP8X":
        wide, high = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
        # Alpha is lossless too, and so may be any frame of an animation.
        lossless = bool(data[20] & 0x12) or b"VP8L" in data or b"ALPH" in data
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        wide, high = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        wide, high = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        lossless = False
    groups = min(_HUFFMAN_GROUPS, math.ceil(wide / 4) * math.ceil(high / 4), len(data) * 8 // 20) if lossless else 0
    fits = groups * _LOSSLESS_GROUP_BYTES <= _WEBP_TABLES
    return Header(
        FORMATS["WEBP"], (wide, high), 21.0 if lossless else 17.0, fixed_bytes=_WEBP_TABLES * lossless, orderly=fits
    )


def _bmp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 14)
    if length == 12:
        wide, high, _, depth = struct.unpack_from("<HHHH", data, 18)
        packed = 0
    else:
        wide, high, _, depth, packed = struct.unpack_from("<iiHHI", data, 18)
    run_length = packed in (1, 2)  # unpacked in pure Python
    small = abs(wide * high) <= 500_000
    return Header(FORMATS["BMP"], (abs(wide), abs(high)), 5.0 if depth <= 24 else 10.0, orderly=small or not run_length)


def _tiff(data: bytes) -> Header | None:
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, int] = {}
    counts: dict[int, int] = {}
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, at)
        (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + 8)
        if kind == 3 and number > 2:
            (value,) = struct.unpack_from(order + "H", data, struct.unpack_from(order + "I", data, at + 8)[0])
        tags[tag], counts[tag] = value, number
    wide, high = tags.get(256, 0), tags.get(257, 0)
    pixels, planes, packed = wide * high, tags.get(277, 1), tags.get(259, 1)
    piece = tags[322] * tags.get(323, 0) if 322 in tags else wide * min(high, tags.get(278, high))
    most = max(4 * pixels, 1_000_000)
    pieces = max(counts.get(273, 0), counts.get(324, 0))
    held = min(piece, most) * planes * max(1, tags.get(258, 8) // 8) if packed != 1 else 0
    shown = 4.0 if planes == 3 and tags.get(258) == 8 else 28.0 if planes > 2 and tags.get(258) == 16 else 14.0
    if tags.get(258) == 32:  # floats, of which some may be no numbers
        shown = 28.0
    if planes == 1 and tags.get(258, 1) <= 8 and tags.get(262) in (0, 1):
        shown = 3.0  # drawings of one bit take few bytes, and are large
    orderly = (
        packed in _TIFF_PACKED
        and piece <= most
        and count <= _TIFF_TAGS
        and pieces <= _TIFF_PIECES
        and tag_bytes(data) <= 2 * len(data)
    )
    return Header(FORMATS["TIFF"], (wide, high), shown, fixed_bytes=min(2 * held, 2**40), orderly=orderly)


def _ico(data: bytes) -> Header | None:
    sizes: list[Size] = []
    for number in range(struct.unpack_from("<H", data, 4)[0]):
        (at,) = struct.unpack_from("<I", data, 6 + 16 * number + 12)
        if data[at : at + 8] == PNG:
            sizes.append(struct.unpack_from(">II", data, at + 16))
        elif len(data) >= at + 12:
            wide, high = struct.unpack_from("<ii", data, at + 4)
            sizes.append((abs(wide), abs(high) // 2))  # its mask lies above it
        if number >= 1024:
            raise ValueError("it has more than 1,024 icons")
    size = max(sizes, key=lambda size: size[0] * size[1])
    # Only the stored size of the icon is checked here: which of them is shown, and how large, the decoder says.
    return Header(FORMATS["ICO"], size, 20.0)


def _ppm(data: bytes) -> Header | None:
    found = _PPM.match(data, 0, 4096)
    if found is None:
        return None
    # Other numbers of levels are converted in pure Python.
    usual = found[1] is not None or found[4] in (b"255", b"65535")
    return Header(FORMATS["PPM"], (int(found[2]), int(found[3])), 11.0, orderly=usual)


def read_tga(data: bytes) -> Header | None:
    """The header of a TGA, which has no mark of its own: what no other format claims. None for something else."""
    if len(data) < 18:
        return None
    kind, wide, high, depth = data[2], *struct.unpack_from("<HHB", data, 12)
    if data[1] > 1 or kind not in (1, 2, 3, 9, 10, 11) or depth not in (1, 8, 16, 24, 32) or not wide * high:
        return None
    return Header(FORMATS["TGA"], (wide, high), 5.0 if depth in (8, 24) else 14.0)


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Header | None]], ...] = (
    (re.compile(re.escape(PNG)), _png),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), _webp),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"(?:II|MM)(?:[*+]\0|\0[*+])"), _tiff),
    (re.compile(rb"\x00\x00\x01\x00"), _ico),
    (re.compile(rb"P[1-6f]\s|Py"), _ppm),
)
