"""What a file tells about a picture beside its pixels, such as where it was taken, and how that is left out.

Segments and chunks are dropped, so that the pixels stay as they are encoded. Kept is what changes how they are shown:
the colour profile, transparency, animation, and the orientation, which then stands alone.

Sources: ITU-T T.81 (JPEG), W3C PNG 3, Google's WebP container, GIF89a, CIPA DC-008 (Exif).
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from cof_agent.images.codecs.decoding import orientation_of
from cof_agent.images.codecs.headers import image_start
from cof_agent.images.codecs.jpeg_segments import read_jpeg
from cof_agent.images.codecs.png_chunks import SIGNATURE, clean_png
from cof_agent.images.geometry import Box
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import HashedBytes, SourceImage, open_image, whole_image
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering.region_process import RegionProcess

_JPEG = b"\xff\xd8\xff"
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""In the pixels of a JPEG, the first marker that is neither an escape nor a restart."""
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PNG_KEPT = frozenset({
    *_PNG_CRITICAL, b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"hIST", b"pHYs", b"cICP", b"mDCV",
    b"cLLI", b"acTL", b"fcTL", b"fdAT",
})  # fmt: skip
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
"""Applications whose extensions say how a GIF is shown."""
_JPEG_KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""Segments of applications that say how the pixels are to be read, and how they begin."""


class _UnusualError(ValueError):
    """A file is built in another way than its format says. It is written anew then."""


def without_metadata(data: bytes, limits: ImageLimits | None = None) -> bytes:
    """The same picture, its pixels as they are, without EXIF, XMP, IPTC, comments, previews and what is appended.

    JPEG, PNG, WebP and GIF stay what they are, and byte for byte where there is nothing to leave out. Anything else,
    and one that is built in an unusual way, becomes a PNG of its upright pixels. Raises ImageError for no image, and
    one that has to be decoded for it and is outside of `limits` (default: `ImageLimits()`).
    """
    try:
        picture = _decoded(data)
        file = data if _taker(data) else picture  # which has no stray bytes
        if take_apart := _taker(file):
            orientation = _orientation(picture)
            stripped = take_apart(file, orientation)
            if stripped == data:
                return data
            if _orientation(_decoded(stripped)) == orientation:
                return stripped
    except (ValueError, struct.error, IndexError):  # a ValueError of ours, or of who looks for the picture
        pass
    source = open_image(data, limits=limits)
    buffer = io.BytesIO()
    source.region(Box.whole(source.ref.size), source.ref.size).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _decoded(data: bytes) -> bytes:
    """What of a file a decoder gets to see. Raises ValueError or struct.error for none that is taken apart here."""
    start = image_start(data)
    if data.startswith(_JPEG, start):
        segments = read_jpeg(data, start)
        return data if segments.tidy and segments.ends else segments.cleaned(data)
    return clean_png(data[start:]) if data.startswith(SIGNATURE, start) else data[start:]


def stripped(source: SourceImage, limits: ImageLimits | None = None) -> SourceImage:
    """The same image without its metadata, under the hash of what is left. Raises ImageError as `without_metadata`.

    A page of a PDF becomes a PDF of that page alone, without title, author and the like; one of a TIFF becomes a PNG.
    """
    if not source.ref.is_kept:  # nothing of it is kept that could say more
        return source
    if isinstance(source.renderer, RegionProcess):
        return open_image(source.renderer.content.alone(), limits=limits).named(source.source)
    if source.ref.page:
        return open_image(source.region(Box.whole(source.ref.size), source.ref.size)).named(source.source)
    data = without_metadata(source.data, limits)
    if data == source.data:
        return source
    mime_type = "image/png" if data.startswith(SIGNATURE) else source.ref.mime_type
    kept = HashedBytes(data)
    return whole_image(ImageRef(kept.sha256, mime_type, *source.ref.size), kept, source.source)


def suffix_of(data: bytes, usual: str) -> str:
    """What the name of a file with what `without_metadata` gave ends in: `usual`, if that suits its format."""
    taker = _taker(data)
    suffixes = next((found for take, found in _SUFFIXES if take is taker), (".png",))
    return usual if usual.lower() in suffixes else suffixes[0]


def _taker(data: bytes) -> Callable[[bytes, int], bytes] | None:
    """What takes files of this format apart; None where nothing here does."""
    if data.startswith(_JPEG):
        return _jpeg
    if data.startswith(SIGNATURE):
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    return _gif if data[:6] in (b"GIF87a", b"GIF89a") else None


def _orientation(data: bytes) -> int:
    """The EXIF orientation as Pillow, which turns the pixels, finds it."""
    kind: type[ImageFile.ImageFile]
    if data.startswith(_JPEG):
        kind = JpegImagePlugin.JpegImageFile
    elif data.startswith(SIGNATURE):
        kind, data = PngImagePlugin.PngImageFile, _png_without_pixels(data)
    else:
        kind = WebPImagePlugin.WebPImageFile if data[:4] == b"RIFF" else GifImagePlugin.GifImageFile
    try:
        return orientation_of(kind(io.BytesIO(data), ""))
    except Exception as error:  # damaged headers make Pillow raise nearly anything
        raise _UnusualError from error


def _exif(orientation: int) -> bytes:
    """EXIF that holds the orientation and nothing else, after its six bytes of signature."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _jpeg(data: bytes, orientation: int) -> bytes:
    kept = bytearray(_JPEG[:2])
    at, after_jfif = 2, 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD8:
            raise _UnusualError
        if marker == 0xD9:
            kept += b"\xff\xd9"  # what follows are other pictures, videos or notes
            break
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        content = data[at + 4 : end]
        if end > len(data) or end < at + 4:
            raise _UnusualError
        if marker == 0xE0 and content.startswith(_JPEG_KEPT[0xE0]) and len(content) >= 14:
            kept += b"\xff\xe0\0\x10" + content[:12] + b"\0\0"  # without its preview
            after_jfif = len(kept) if at == 2 else after_jfif
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or _is_needed(marker, content):
            kept += data[at:end]
        at = end
        if marker == 0xDA:
            scan = _SCAN_END.search(data, at)
            kept += data[at : scan.start() if scan else len(data)]
            if scan is None:  # cut short
                break
            at = scan.start()
    if orientation != 1:
        exif = _exif(orientation)
        kept[after_jfif:after_jfif] = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return bytes(kept)


def _is_needed(marker: int, content: bytes) -> bool:
    return marker in _JPEG_KEPT and content.startswith(_JPEG_KEPT[marker])


def _png(data: bytes, orientation: int) -> bytes:
    kept, parts = bytearray(SIGNATURE), set()
    for kind, chunk in _png_chunks(data):
        parts.add(kind)
        if kind in _PNG_KEPT:
            kept += chunk
        elif not kind[0] & 0x20:  # needed for decoding, and nobody knows how
            raise _UnusualError
        if kind == b"IHDR" and orientation != 1:
            kept += _png_chunk(b"eXIf", _exif(orientation)[6:])
    if not parts >= {b"IHDR", b"IDAT"}:
        raise _UnusualError
    return bytes(kept)


def _png_without_pixels(data: bytes) -> bytes:
    """A PNG of one pixel that says of itself what `data` says: its metadata may stand behind its pixels."""
    before, after, frames = bytearray(), bytearray(), 0
    for kind, chunk in _png_chunks(data):
        if kind == b"IDAT":
            frames = max(frames, 1)
        elif kind == b"fcTL" and frames:
            break  # of an animation only what stands before the second picture is read
        elif kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            (after if frames else before).extend(chunk)
    header = _png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = _png_chunk(b"IDAT", zlib.compress(b"\0\0"))
    return SIGNATURE + header + before + pixel + after + _png_chunk(b"IEND", b"")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks up to the end of the picture, each with its name. The last may be cut short."""
    at = len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at : at + length + 12]
        at += length + 12
        if kind == b"IEND":
            return


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _webp(data: bytes, orientation: int) -> bytes:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    kept = bytearray()
    turned = False
    for kind, content in _riff_chunks(data[12:end]):
        if kind == b"VP8X":
            # The flags 8 and 4 say that there are EXIF and XMP.
            content = bytes([content[0] & ~0x0C | (0x08 if orientation != 1 else 0)]) + content[1:]
            turned = orientation != 1
        if kind == b"ANMF":
            inner = ((name, part) for name, part in _riff_chunks(content[16:]) if name in _WEBP_KEPT)
            content = content[:16] + b"".join(_riff_chunk(name, part) for name, part in inner)
        if kind in _WEBP_KEPT:
            kept += _riff_chunk(kind, content)
    if turned:
        kept += _riff_chunk(b"EXIF", _exif(orientation)[6:])
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if len(content) < length:
            raise _UnusualError
        yield kind, content
        at += 8 + length + length % 2


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _gif(data: bytes, orientation: int) -> bytes:
    at = 13 + _colours(data[10])
    kept = bytearray(data[:at])
    while at < len(data):
        begin, kind = at, data[at]
        if kind == 0x3B:
            kept += data[at : at + 1]
            break
        if kind == 0x2C:
            at = _after_blocks(data, at + 11 + _colours(data[at + 9]))
            kept += data[begin:at]
        elif kind == 0x21:
            label, content = data[at + 1], data[at + 3 : at + 14]
            at = _after_blocks(data, at + 2)
            if label == 0xF9 or (label == 0xFF and content in _GIF_KEPT):
                kept += data[begin:at]
        else:
            raise _UnusualError
    return bytes(kept)


def _colours(flags: int) -> int:
    """Bytes of the colour table that the flags of a GIF or of one of its pictures announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Where a row of blocks, each after its length, ends."""
    while data[at]:
        at += data[at] + 1
    return at + 1


_SUFFIXES = (
    (_jpeg, (".jpg", ".jpeg", ".jfif")),
    (_webp, (".webp",)),
    (_gif, (".gif",)),
)
"""What the names of files end in, the usual form first, by what takes them apart. All else is PNG."""
