"""One image out of object storage (`s3:`, `gs:`, `az:`), within a limit of bytes and of seconds.

Import this module only where such an address is read: it brings in fsspec. The hosts it connects to, and the keys it
uses, are those that the operator has set up for the package of that storage. Nothing in an address changes them.
"""

from __future__ import annotations

import re
from typing import Any

from cof_agent.errors import ImageError, MissingFormatError
from cof_agent.images.codecs.decoding import reason
from cof_agent.images.display_name import show_text, show_url
from cof_agent.images.limits import ImageLimits
from cof_agent.images.receiving.content_coding import decoded

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""The schemes that are read, and the package of each."""

_IN_EXTRA = "s3fs"
"""The package that the extra brings along. The others have many dependencies, and are named where they are missing."""

_ADDRESS = re.compile(r"([A-Za-z0-9]+)://([^/]*)/(.*)", re.DOTALL)
_BUCKET = re.compile(r"\$?[A-Za-z0-9][A-Za-z0-9._-]{,221}")
"""A bucket of S3 or of Google, or a container of Azure. No name, password, port or other host is in it."""

_CHAIN = re.compile(r"::[A-Za-z0-9+.-]+(?::/|::)")
_WEB_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
_GZIP = b"\x1f\x8b"


def fetch_object(url: str, limits: ImageLimits) -> bytes:
    """The content of the object at `url`, such as `s3://bucket/photos/one.jpg`.

    Raises ImageError where it cannot be read or is outside of the limits, and for an address with a query, with a user
    or a host in it, or of one file system inside of another. Raises MissingFormatError without the storage's package.
    """
    name = show_url(url)
    protocol, path = _parsed(url, name)
    limits.check_address(f"{protocol}://{path}", name)
    storage = _storage(protocol, name)
    from fsspec.asyn import sync  # type: ignore[import-untyped, unused-ignore]

    try:
        body: bytes = sync(storage.loop, _read, storage, path, name, limits, timeout=limits.http_seconds)
    except ImageError:
        raise
    except TimeoutError:
        raise ImageError(
            f"{name} did not answer in full within {limits.http_seconds:g} s: "
            "try again, download it first, or raise http_seconds in ImageLimits"
        ) from None
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist: check the bucket and the key") from None
    except PermissionError as error:
        raise ImageError(f"{name} may not be read ({_words(error)}): check {_who(protocol)}") from error
    except ImportError as error:
        raise ImageError(f"{name} cannot be read ({_words(error)}): install what the message names") from error
    except Exception as error:  # Each storage has exceptions of its own, many of them without a common base.
        raise ImageError(f"{name} cannot be read ({_words(error)}): check the address and {_who(protocol)}") from error
    return decoded(body, "gzip", name, limits) if body.startswith(_GZIP) else body


def _parsed(url: str, name: str) -> tuple[str, str]:
    """Protocol and path of an address, checked."""
    found = _ADDRESS.fullmatch(url)
    bucket, key = (found[2], found[3]) if found else ("", "")
    if not found or not _BUCKET.fullmatch(bucket) or not key.strip("/") or key.endswith("/"):
        scheme = url.partition(":")[0].lower()
        raise ImageError(
            f"{name} does not name one object: write it like {scheme}://bucket/directory/photo.jpg, without a user, a "
            "password or a host; these are set up for the storage itself"
        )
    if _CHAIN.search(url):
        raise ImageError(f"{name} is a chain of addresses: name one object, not one inside of another")
    if "?" in key:
        raise ImageError(f"{name} has a query: name the object alone")
    if not key.isprintable() or any(part in (".", "..") for part in key.split("/")):
        raise ImageError(f"{name} has a key with '.', '..' or control characters in it: name the object directly")
    return found[1].lower(), f"{bucket}/{key}"


def _storage(protocol: str, name: str) -> Any:
    """The file system of a protocol, with what the operator's environment and configuration say of it."""
    package = _PACKAGES[protocol]
    try:
        import fsspec  # type: ignore[import-untyped, unused-ignore]

        storage = fsspec.filesystem(protocol, use_listings_cache=False)
    except ImportError as error:
        raise _missing(package, name) from error
    except Exception as error:
        raise ImageError(
            f"{name} cannot be read, as {package} cannot be set up ({_words(error)}): check {_who(protocol)}"
        ) from error
    if not getattr(storage, "async_impl", False):
        raise ImageError(
            f"{name} is read by {type(storage).__name__}, which cannot be stopped at a time limit: use {package}"
        )
    return storage


def _missing(package: str, name: str) -> MissingFormatError:
    packages = '"cof-agent[remote]"' if package == _IN_EXTRA else f'"cof-agent[remote]" {package}'
    return MissingFormatError(f"{name} needs {package}: pip install {packages}")


async def _read(storage: Any, path: str, name: str, limits: ImageLimits) -> bytes:
    info = await storage._info(path)
    size = info.get("size")
    if info.get("type") == "directory":
        raise ImageError(f"{name} is a directory: name one object in it")
    if size == 0:
        return b""
    limits.check_bytes(size or 0, name)
    # In one request, so that it is one version of the object. One byte more than allowed tells that it has grown.
    most = min(size, limits.max_bytes) if size else limits.max_bytes
    body: bytes = await storage._cat_file(path, start=0, end=most + 1)
    limits.check_bytes(len(body), name)
    if size and len(body) < size:
        raise ImageError(f"{name} ended after {len(body):,} of {size:,} bytes: try again")
    return body


def _who(protocol: str) -> str:
    """What the operator sets up, in the words of its storage."""
    return {
        "s3fs": "the keys and the region of S3 (AWS_ACCESS_KEY_ID and so on; FSSPEC_S3_ANON=true for a public bucket)",
        "gcsfs": "the credentials of Google Cloud (GOOGLE_APPLICATION_CREDENTIALS)",
        "adlfs": "the account of Azure (AZURE_STORAGE_ACCOUNT_NAME and its key)",
    }[_PACKAGES[protocol]]


def _words(error: Exception) -> str:
    """What an exception says, without what may be a password in the address of an endpoint."""
    return show_text(_WEB_ADDRESS.sub(lambda found: show_url(found[0]), reason(error)))
