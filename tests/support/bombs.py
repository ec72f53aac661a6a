"""Small files that would take a decoder minutes or gigabytes."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from functools import cache

from PIL import Image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_scans(side: int = 2048, scans: int = 2_500) -> bytes:
    """A progressive JPEG that says its last scan again and again: a decoder passes over all of it each time."""
    data = saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


@cache
def png_of_nothing(side: int) -> bytes:
    """Grey with alpha, all zero: four bytes a pixel once it is decoded."""
    packer, row = zlib.compressobj(1), bytes(1 + 2 * side)
    packed = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 4, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def png_of_16_bits(side: int = 13_341) -> bytes:
    """Three colours of 16 bits. A decoder takes 2.7 GB for its pixels before it sees how few of them there are."""
    packed = zlib.compress(bytes(500_000)) + bytes(500_000)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def ico(side: int = 11_000) -> bytes:
    """An icon that says it is of 256 pixels, and holds a PNG of many megapixels."""
    picture = png_of_nothing(side)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(picture), 22) + picture


def icns(side: int = 11_000) -> bytes:
    """The same for macOS."""
    picture = png_of_nothing(side)
    return b"icns" + struct.pack(">I", 16 + len(picture)) + b"ic10" + struct.pack(">I", 8 + len(picture)) + picture


def icns_jpeg2000(side: int = 10_240) -> bytes:
    picture = jpeg2000(side)
    return b"icns" + struct.pack(">I", 16 + len(picture)) + b"ic10" + struct.pack(">I", 8 + len(picture)) + picture


def jpeg2000(side: int = 10_240, tile: int = 1024) -> bytes:
    """One colour and many megapixels: the few bytes of one tile again and again."""
    stream = saved(Image.new("RGB", (tile, tile), (200, 100, 50)), "JPEG2000", no_jp2=True, irreversible=True)
    size, start = stream.index(b"\xff\x51") + 6, stream.index(b"\xff\x90")
    head = stream[:size] + struct.pack(">II", side, side) + stream[size + 8 : start]
    count = (side // tile) ** 2
    part = stream[start:-2]
    parts = (part[:4] + struct.pack(">H", number) + part[6:] for number in range(count))
    return b"".join([head, *parts, b"\xff\xd9"])


def webp_groups(blocks: int = 240) -> bytes:
    """A lossless WebP with a group of Huffman tables for each block of 4x4 pixels: 20 bits each, and 20 kB decoded."""
    side, bits = 4 * blocks, Bits()
    bits.put(0x2F, 8)
    bits.put(side - 1, 14)
    bits.put(side - 1, 14)
    bits.put(0, 1 + 3)  # no alpha, version 0
    bits.put(0, 1)  # no transform
    bits.put(0, 1)  # no colour cache
    bits.put(1, 1)  # groups of tables
    bits.put(0, 3)  # for blocks of 4x4
    bits.put(0, 1)  # the image of their numbers: no colour cache
    for symbols in (280, 256):  # green and red: 256 codes of 8 bits
        bits.put(0, 1)
        bits.put(12 - 4, 4)
        for length in (*[0] * 11, 1):
            bits.put(length, 3)
        bits.put(int(symbols > 256), 1)
        if symbols > 256:
            bits.put(3, 3)
            bits.put(256 - 2, 8)
    for _ in range(3):
        bits.put(0b0001, 4)
    for number in range(blocks * blocks):
        bits.put(int(f"{number & 255:08b}"[::-1], 2), 8)
        bits.put(int(f"{number >> 8:08b}"[::-1], 2), 8)
    for _ in range(5 * blocks * blocks):
        bits.put(0b0001, 4)
    body = bits.taken()
    body += b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


class Bits:
    """Bits put together, the lowest first."""

    def __init__(self) -> None:
        self._whole, self._value, self._count = bytearray(), 0, 0

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count
        while self._count >= 8:
            self._whole.append(self._value & 255)
            self._value >>= 8
            self._count -= 8

    def taken(self) -> bytes:
        return bytes(self._whole) + (bytes([self._value]) if self._count else b"")


def webp_solid(side: int = 13_000) -> bytes:
    """A lossless WebP of one colour: each of its symbols takes no bits at all."""
    bits = Bits()
    bits.put(0x2F, 8)
    bits.put(side - 1, 14)
    bits.put(side - 1, 14)
    bits.put(0, 1 + 3 + 1 + 1 + 1)
    for _ in range(5):
        bits.put(0b0001, 4)
    body = bits.taken() + b"\0" * 64
    body += b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def qoi(side: int = 13_000) -> bytes:
    """Runs of 62 pixels a byte, unpacked in pure Python."""
    return b"qoif" + struct.pack(">IIBB", side, side, 3, 0) + b"\xfd" * (side * side // 62 + 1) + b"\0" * 7 + b"\1"


def fits(side: int = 4_000) -> bytes:
    """A gzipped table, unpacked pixel by pixel in pure Python."""

    def block(**cards: object) -> bytes:
        text = "".join(f"{key.replace('_', '-'):8}= {value!s:>20}".ljust(80) for key, value in cards.items())
        return (text + "END".ljust(80)).ljust(2880).encode()

    head = block(SIMPLE="T", BITPIX=8, NAXIS=0)
    table = block(
        XTENSION="'BINTABLE'", BITPIX=8, NAXIS=2, NAXIS1=0, NAXIS2=0, ZIMAGE="T", ZCMPTYPE="'GZIP_1  '",
        ZBITPIX=16, ZNAXIS=2, ZNAXIS1=side, ZNAXIS2=side,
    )  # fmt: skip
    return head + table + gzip.compress(bytes(4 * side * side), 1)


BOMBS = {
    "JPEG scans": jpeg_scans,
    "ICO": ico,
    "ICNS with a PNG": icns,
    "ICNS with JPEG 2000": icns_jpeg2000,
    "JPEG 2000": jpeg2000,
    "PNG of 16 bits": png_of_16_bits,
    "WebP groups": webp_groups,
    "WebP of one colour": webp_solid,
    "QOI": qoi,
    "FITS": fits,
}
