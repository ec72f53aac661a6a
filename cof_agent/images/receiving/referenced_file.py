"""A local file that is read where it lies, instead of being kept in a store."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from cof_agent.errors import StoreError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.receiving.regular_file import open_regular, size_of
from cof_agent.images.reference import ImageRef

_SAMPLES, _SAMPLE_BYTES = 64, 64 * 1024
"""How many pieces of a file are hashed, and how long each is."""


def identity_of(file: BinaryIO) -> str:
    """SHA-256 of the length of an opened file and of pieces of it, evenly spaced from its first to its last byte.

    A file of up to 4 MiB is hashed as a whole. A larger one that changes between the pieces only is taken for the same.
    """
    length = size_of(file)
    digest = hashlib.sha256(f"cof-agent file of {length} bytes\n".encode())
    spread = max(0, length - _SAMPLE_BYTES) / (_SAMPLES - 1)
    for number in range(_SAMPLES):
        file.seek(min(int(spread * number), max(0, length - _SAMPLE_BYTES)))
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def check_file(ref: ImageRef, limits: ImageLimits) -> str:
    """The file that `ref` names, as it may be opened: there, allowed, and still what it was.

    Raises StoreError where it is gone or has changed, ImageError where `limits` do not allow it.
    """
    assert ref.file is not None
    allowed = limits.allowed_file(ref.file)
    try:
        with open_regular(allowed, links=limits.roots is None) as file:
            identity = identity_of(file)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(
            f"{ref.file} was read where it lies, and cannot be read any more ({why}): put it back, or open the image "
            "again"
        ) from error
    if identity != ref.sha256:
        raise StoreError(f"{ref.file} has changed since it was opened: put the old file back, or open the image again")
    return allowed
