"""What can be looked at closely: whatever shows all of itself, and any part of itself, at a given size."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from cof_agent.errors import ImageError, StoreError
from cof_agent.images.geometry import Box, Size
from cof_agent.images.reference import OBJECT, ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

Word: TypeAlias = tuple[str, Box]
"""A word of a page's own text, and where it stands in original pixels."""

_HASH = re.compile(r"[0-9a-f]{64}")


@runtime_checkable
class RegionSource(Protocol):
    """A picture of any kind that can be zoomed into. Called from several threads.

    `open_image`, `ask` and the hosts take an object with these members.
    """

    @property
    def size(self) -> Size:
        """Width and height in upright original pixels: boxes are given in them."""

    @property
    def identity(self) -> str:
        """Names the content: the same text for the same pixels, another one for others."""

    def overview(self, size: Size) -> Image:
        """All of it at `size` (width, height), RGB."""

    def region(self, box: Box, size: Size) -> Image:
        """`box` (original pixels) at `size` (width, height), RGB."""


@runtime_checkable
class HasWords(Protocol):
    """A source that knows its text, such as a PDF page."""

    def words(self, box: Box) -> list[Word]:
        """The words that stand in `box` (original pixels), in reading order. Empty where it has no text."""


_lock = threading.Lock()
_given: dict[str, RegionSource] = {}


def remember_source(source: RegionSource) -> ImageRef:
    """A reference to `source`, under which `remembered_source` finds it for as long as the process runs.

    Raises ImageError where its size or identity is none.
    """
    try:
        size, identity = source.size, source.identity
    except Exception as error:
        raise ImageError(
            f"{type(source).__name__} does not say its size and identity ({type(error).__name__}: {error!s:.300}): "
            "mend the source"
        ) from error
    if not (isinstance(identity, str) and identity):
        raise ImageError(f"the identity of {source!r:.80} is {identity!r:.80}: it needs a text that names its content")
    if not (isinstance(size, tuple) and len(size) == 2):
        raise ImageError(f"the size of {source!r:.80} is {size!r:.80}: it needs (width, height) in pixels")
    sha256 = identity if _HASH.fullmatch(identity) else hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
    ref = ImageRef(sha256, OBJECT, *size)
    with _lock:
        _given[sha256] = source
    return ref


def remembered_source(ref: ImageRef) -> RegionSource:
    """The source that `remember_source` gave `ref` for. Raises StoreError in another process."""
    with _lock:
        source = _given.get(ref.sha256)
    if source is None:
        raise StoreError(
            f"{ref.url} is a source that a program gave as an object, and this process has not got it: "
            "open it again (open_image, or ask with the object) before the run goes on"
        )
    return source
