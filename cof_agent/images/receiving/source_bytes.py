"""The bytes behind a path, a URL or a buffer, within limits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_data_url, show_source, show_url
from cof_agent.images.limits import ImageLimits
from cof_agent.images.receiving.data_url import decode_data_url
from cof_agent.images.receiving.referenced_file import identity_of
from cof_agent.images.receiving.regular_file import SpecialFileError, open_regular, read_at_most, size_of
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.images.source_kinds import SourceKind

EncodedSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
"""Where encoded image bytes may come from. A `str` is a path or a URL: file, http(s), s3, gs, az or data."""

_ACCEPTED = "pass a path, a file:, http(s):, s3:, gs:, az: or data: URL, bytes or a PIL image"

_OBJECT_STORAGE = ("s3", "gs", "gcs", "az", "abfs")

_CHAIN = re.compile(r"[A-Za-z0-9+.-]+::[A-Za-z0-9+.-]+:(?://|:)")
"""How an address of one file system inside of another begins, as fsspec writes them."""

# A single letter before the colon is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


HEAD_BYTES = 64 * 1024
"""As much of a file as tells its format."""


@dataclass(frozen=True, slots=True)
class Received:
    """Encoded image bytes and what to call their source in messages."""

    data: bytes
    """All of the bytes; the first `HEAD_BYTES` of a file that is to be read where it lies."""
    name: str
    file: str | None = None
    """Absolute path of a file that is to be read where it lies."""
    identity: str | None = None
    """Of such a file."""
    kind: SourceKind | None = None
    """Of such a file."""


Referenced: TypeAlias = Callable[[str, BinaryIO, int], SourceKind | None]
"""The kind of a local file (its path, opened, and its bytes) that is to be read where it lies, not as a whole."""


def receive(source: EncodedSource, limits: ImageLimits, referenced: Referenced | None = None) -> Received:
    """Read `source`, or, of a file that is to be read where it lies, its beginning.

    Raises ImageError when it cannot be read, is empty, or is larger than the limits allow.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        name = f"image of {size:,} bytes"
        limits.check_bytes(size, name)
        received = Received(bytes(source), name)
    elif isinstance(source, str):
        received = _receive_text(source, limits, referenced)
    elif isinstance(source, os.PathLike):
        received = _receive_path(os.fsdecode(source), limits, referenced)
    else:
        raise ImageError(f"a value of type {type(source).__name__} is no image source: {_ACCEPTED}")
    if not received.data:
        raise ImageError(f"{received.name} is empty: use another file, or save or download it again")
    return received


def is_remote(source: object) -> bool:
    """Whether `source` is fetched from another host."""
    match = _SCHEME.match(source.strip()) if isinstance(source, str) else None
    if match is None:
        return False
    stored = match[1].lower() in _OBJECT_STORAGE and match.string.startswith("//", match.end())
    return stored or match[1].lower() in ("http", "https")


def _receive_text(source: str, limits: ImageLimits, referenced: Referenced | None) -> Received:
    text = source.strip()  # a path may begin with a blank, a URL only by mistake
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    if scheme in ("data", "http", "https", *_OBJECT_STORAGE):
        source = text
    if scheme == "data":
        return Received(decode_data_url(source, limits), show_data_url(source))
    if is_remote(source) and scheme in _OBJECT_STORAGE:
        from cof_agent.images.receiving.object_storage import fetch_object

        return Received(fetch_object(source, limits), show_url(source))
    if is_remote(source):
        from cof_agent.images.receiving.fetch import fetch

        return Received(fetch(source, limits), show_url(source))
    if scheme == "file":
        return _receive_file_url(source, limits, referenced)
    if match and source.startswith("//", match.end()):
        hint = "open it with load_image and its store" if scheme == "cof-image" else "download it and pass its path"
        known = "file, http, https, s3, gs, az and data"
        raise ImageError(f"{show_url(source)} has a scheme other than {known}: {hint}")
    if _CHAIN.match(text) and not os.path.exists(source):
        raise ImageError(f"{show_source(source)} is a chain of addresses: download what it leads to and pass its path")
    return _receive_path(source, limits, referenced)


def _receive_file_url(url: str, limits: ImageLimits, referenced: Referenced | None) -> Received:
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
    return _receive_path(url2pathname(parts.path), limits, referenced)


def _receive_path(path: str, limits: ImageLimits, referenced: Referenced | None) -> Received:
    name = show_source(path)
    if not path:
        raise ImageError(f"the image path is empty: {_ACCEPTED}")
    try:
        allowed = limits.allowed_file(path)
        # Where there are roots, the path was resolved: a link in it now was put there since.
        with open_regular(allowed, links=limits.roots is None) as file, decode_queue().turn(Rank.READ):
            kind = referenced(allowed, file, size_of(file)) if referenced else None
            if kind is not None:
                file.seek(0)
                return Received(file.read(HEAD_BYTES), name, os.path.abspath(allowed), identity_of(file), kind)
            file.seek(0)
            limits.check_bytes(size_of(file), name)
            data = read_at_most(file, limits.max_bytes + 1)
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        # Its words repeat the path: where that hides something, they are not shown either.
        raise ImageError(f"{name} {_trouble(error)}") from (error if name == path else None)
    limits.check_bytes(len(data), name)
    return Received(data, name)


def _trouble(error: OSError | ValueError) -> str:
    """What is wrong with a path, and what to do."""
    match error:
        case SpecialFileError() if str(error) == "a symbolic link":
            return "was replaced by a symbolic link while it was opened: try again"
        case SpecialFileError() if "pipe" in str(error):
            return f"is {error}: pass the path of an image file, or its bytes (cof-agent ask: - for standard input)"
        case SpecialFileError():
            return f"is {error}: pass the path of an image file"
        case FileNotFoundError():
            return "does not exist: check the path"
        case PermissionError():
            return "may not be read: check the permissions of the file and its directories"
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read ({why}): check the path"
