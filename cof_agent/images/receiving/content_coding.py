"""The codings in which a server sends a body, undone: what `Content-Encoding` names, and what is really there."""

from __future__ import annotations

import zlib

from cof_agent.errors import ImageError
from cof_agent.images.limits import ImageLimits

_GZIP = ("gzip", "x-gzip")
_DEFLATE = "deflate"

_MOST_CODINGS = 4
"""Codings on top of each other. Servers use one, and two by mistake."""

_MOST_MEMBERS = 1000
"""Members of a gzip body, one after the other. Each costs something, however little is in it."""

_STEP = 2**20
"""Bytes that are inflated at once, so that a small body cannot fill the memory."""
_CHUNK = 2**16
"""Compressed bytes that are taken at once: what is left of them is copied at every step."""

_GZIP_SIGNATURE = b"\x1f\x8b"
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""How a body begins that was not compressed, whatever its header says."""


class _CutShortError(ImageError):
    """A compressed body ends in the middle."""


def decoded(body: bytes, field: str, name: str, limits: ImageLimits) -> bytes:
    """`body` without the codings that the header field names, the last one first.

    A coding that is not known, or that was named but not used, leaves the body as it is: it may well be the image.
    Raises ImageError for a body that is larger than the limits allow, is cut short, or is no image under a coding that
    is not known.
    """
    codings = [coding.strip().lower() for coding in field.split(",") if coding.strip().lower() not in ("", "identity")]
    if len(codings) > _MOST_CODINGS:
        raise ImageError(f"{name} was sent in {len(codings)} content encodings: download it first")
    unknown = [coding for coding in codings if coding not in (*_GZIP, _DEFLATE)]
    for coding in reversed(codings):
        if coding in _GZIP:
            body = _gunzipped(body, name, limits)
        elif coding == _DEFLATE:
            body = _inflated(body, name, limits)
    if unknown and not _is_image(body, name, limits):
        raise ImageError(
            f"{name} was sent with the unknown content encoding {unknown[0][:40]!r}, and is no image without it: "
            "download it first"
        )
    return body


def _gunzipped(body: bytes, name: str, limits: ImageLimits) -> bytes:
    """What one or several gzip members hold; a body that is no gzip as `_inflated` has it."""
    if not body.startswith(_GZIP_SIGNATURE):
        return _inflated(body, name, limits)
    content = bytearray()
    at = 0
    for _ in range(_MOST_MEMBERS):
        at = _inflate(body, at, zlib.MAX_WBITS | 16, content, name, limits)
        if not body.startswith(_GZIP_SIGNATURE, at):
            break
    return bytes(content)


def _inflated(body: bytes, name: str, limits: ImageLimits) -> bytes:
    """What `deflate` holds: with the header of zlib, as it should be, without, as some send it, or nothing at all."""
    if body.startswith(_IMAGES):
        return body
    if body.startswith(_GZIP_SIGNATURE):
        return _gunzipped(body, name, limits)
    cut_short = None
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        content = bytearray()
        try:
            _inflate(body, 0, wbits, content, name, limits)
        except zlib.error:
            continue
        except _CutShortError as error:
            cut_short = error
            continue
        return bytes(content)
    if cut_short and not _is_image(body, name, limits):
        raise cut_short
    return body


def _inflate(body: bytes, at: int, wbits: int, content: bytearray, name: str, limits: ImageLimits) -> int:
    """Add to `content` what the compressed stream that begins at `at` holds. Returns where the stream ends."""
    inflate = zlib.decompressobj(wbits=wbits)
    while at < len(body) and not inflate.eof:
        chunk = body[at : at + _CHUNK]
        at += len(chunk)
        while chunk and not inflate.eof:
            content += inflate.decompress(chunk, _STEP)
            limits.check_bytes(len(content), name)
            chunk = inflate.unconsumed_tail
    while not inflate.eof and (piece := inflate.decompress(b"", _STEP)):
        content += piece
        limits.check_bytes(len(content), name)
    if not inflate.eof:
        raise _CutShortError(f"{name} ended in the middle of its compressed body: try again, or download it first")
    return at - len(inflate.unused_data)


def _is_image(body: bytes, name: str, limits: ImageLimits) -> bool:
    from cof_agent.images.codecs.decoding import Encoded

    try:
        Encoded(body, name, limits)
    except ImageError:
        return False
    return True
