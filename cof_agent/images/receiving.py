"""The bytes behind a path, a URL or a buffer, within limits."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from cof_agent.errors import ImageError
from cof_agent.images.decode_queue import Rank, decode_queue
from cof_agent.images.display_name import show_data_url, show_text, show_url
from cof_agent.images.limits import ImageLimits

EncodedSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
"""Where encoded image bytes may come from. A `str` is a path or a `file:`, `http:`, `https:` or `data:` URL."""

_ACCEPTED = "pass a path, a file:, http(s): or data: URL, bytes or a PIL image"

# A single letter before the colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True, slots=True)
class Received:
    """Encoded image bytes and what to call their source in messages."""

    data: bytes
    name: str


def receive(source: EncodedSource, limits: ImageLimits) -> Received:
    """Read `source`. Raises ImageError when it cannot be read, is empty, or is larger than the limits allow."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        name = f"image of {size:,} bytes"
        limits.check_bytes(size, name)
        received = Received(bytes(source), name)
    elif isinstance(source, str):
        received = _receive_text(source, limits)
    elif isinstance(source, os.PathLike):
        received = _receive_path(os.fsdecode(source), limits)
    else:
        raise ImageError(f"a value of type {type(source).__name__} is no image source: {_ACCEPTED}")
    if not received.data:
        raise ImageError(f"{received.name} is empty: use another file, or save or download it again")
    return received


def is_remote(source: object) -> bool:
    """Whether `source` is fetched from another host."""
    match = _SCHEME.match(source) if isinstance(source, str) else None
    return match is not None and match[1].lower() in ("http", "https")


def _receive_text(source: str, limits: ImageLimits) -> Received:
    match = _SCHEME.match(source)
    scheme = match[1].lower() if match else ""
    if scheme == "data":
        return _receive_data_url(source, limits)
    if is_remote(source):
        from cof_agent.images.fetch import fetch

        return Received(fetch(source, limits), show_url(source))
    if scheme == "file":
        return _receive_file_url(source, limits)
    if match and source.startswith("//", match.end()):
        hint = "open it with load_image and its store" if scheme == "cof-image" else "download it and pass its path"
        raise ImageError(f"{show_url(source)} has a scheme other than file, http, https and data: {hint}")
    return _receive_path(source, limits)


def _receive_file_url(url: str, limits: ImageLimits) -> Received:
    from urllib.request import url2pathname

    try:
        parts = urlsplit(url)
    except ValueError:
        raise ImageError(
            f"{show_url(url)} is not a valid file URL: write it like file:///directory/photo.jpg"
        ) from None
    if parts.netloc.lower() not in ("", "localhost"):
        raise ImageError(
            f"{show_url(url)} names another host: a file URL must be local, like file:///directory/photo.jpg"
        )
    return _receive_path(url2pathname(parts.path), limits)


def _receive_data_url(url: str, limits: ImageLimits) -> Received:
    name = show_data_url(url)
    header, comma, payload = url.partition(",")
    if not comma:
        raise ImageError(f"{name} has no comma: write it like data:image/png;base64,…")
    # Escapes only ever make a payload longer than its content, at most three times, and base64 once more by 4/3.
    limits.check_bytes(len(payload) // 4, name)
    data = unquote_to_bytes(payload)
    if header.lower().rstrip().endswith(";base64"):
        compact = b"".join(data.split()).rstrip(b"=")
        try:
            data = base64.b64decode(compact + b"=" * (-len(compact) % 4), altchars=_alphabet(compact), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ImageError(f"{name} is not valid base64 ({error}): encode the image again") from error
    limits.check_bytes(len(data), name)
    return Received(data, name)


def _alphabet(encoded: bytes) -> bytes | None:
    return b"-_" if b"-" in encoded or b"_" in encoded else None


def _receive_path(path: str, limits: ImageLimits) -> Received:
    name = show_text(path)
    if not path:
        raise ImageError(f"the image path is empty: {_ACCEPTED}")
    try:
        path = limits.allowed_file(path)
        # Without blocking: opening a FIFO would otherwise wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file, decode_queue().turn(Rank.READ):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                limits.check_bytes(status.st_size, name)
                data = file.read(limits.max_bytes + 1)
                limits.check_bytes(len(data), name)
                return Received(data, name)
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist: check the path") from error
    except IsADirectoryError:
        kind = "a directory"
    except PermissionError as error:
        if os.path.isdir(path):
            kind = "a directory"
        else:
            raise ImageError(
                f"{name} may not be read: check the permissions of the file and its directories"
            ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"{name} cannot be read ({reason}): check the path") from error
    raise ImageError(f"{name} is {kind}: pass the path of an image file")
