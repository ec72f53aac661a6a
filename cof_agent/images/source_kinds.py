"""The kinds of source whose views are rendered in a process of their own, each by a library of its own."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias

from cof_agent.errors import MissingFormatError
from cof_agent.images.codecs.stated_size import large_format, stated_size
from cof_agent.images.codecs.tiff_directories import Tag, read_directories
from cof_agent.images.display_name import show_source
from cof_agent.images.limits import ImageLimits
from cof_agent.images.reference import ImageRef

KindName: TypeAlias = Literal["pdf", "large", "slide"]


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind, what it needs, and what rendering it may take."""

    name: KindName
    what: str
    """What to call it in messages: `a PDF`."""
    extra: str
    package: str
    """The module that the extra brings in."""
    nbytes: int
    """Memory that rendering may take beside the view itself, in bytes."""
    remedy: str
    """What to do with one that cannot be rendered."""
    is_large: bool = False
    """Whether it may have more pixels than an image that is decoded as a whole."""

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def check_installed(self, name: str) -> None:
        """Raise MissingFormatError, naming the source and the extra, where its library is not there."""
        if not self.is_installed:
            raise MissingFormatError(f'{name} is {self.what}: pip install "cof-agent[{self.extra}]" to look at it')


PDF = SourceKind("pdf", "a PDF", "pdf", "pypdfium2", 512 * 2**20, "save the page as a PNG, and ask about that")
LARGE = SourceKind(
    "large",
    "a picture over max_pixels or max_bytes, which are the limits of what is decoded as a whole",
    "large",
    "pyvips",
    512 * 2**20,
    "save it as a tiled TIFF with a pyramid (vips tiffsave makes one)",
    is_large=True,
)
SLIDE = SourceKind(
    "slide",
    "a slide of a scanner",
    "slides",
    "openslide",
    512 * 2**20,
    "export it as a tiled TIFF",
    is_large=True,
)
KINDS: dict[KindName, SourceKind] = {kind.name: kind for kind in (PDF, LARGE, SLIDE)}

SLIDE_TYPE = "image/x-slide"
"""Of references to slides."""

_SLIDES = (".bif", ".czi", ".dcm", ".mrxs", ".ndpi", ".scn", ".svslide", ".vms", ".vmu")
"""Endings of slides that no other library reads in full. Those of Aperio are TIFFs."""

_PDF = re.compile(rb"(?s).{0,1023}?%PDF-")
"""Readers look for the header in the first kilobyte."""


def kind_of(data: bytes) -> SourceKind | None:
    """The kind that data begins like, whole or its head; None for what is decoded as a whole."""
    if _PDF.match(data, 0, 1024 + 5) and not data.startswith((b"II*\0", b"MM\0*", b"\xff\xd8\xff", b"\x89PNG", b"<")):
        return PDF
    return None


def kind_of_file(path: str, file: BinaryIO, length: int, limits: ImageLimits) -> SourceKind | None:
    """The kind of an opened file of `length` bytes that is read where it lies; None for one that is received.

    A slide always is; a PDF, where it is too long; a TIFF, PNG or JPEG also where it has too many pixels.
    Raises ImageError where it states more than `limits` allow of these, or no size.
    """
    head = file.read(2048) or b""
    if path.lower().endswith(_SLIDES):
        return SLIDE
    if length > limits.max_bytes and (kind := kind_of(head)):
        return kind
    form = large_format(head)
    if form is None:
        return None
    directories = read_directories(file) if form == "TIFF" else []
    if any(Tag.HAMAMATSU in directory.entries for directory in directories[:1]):
        return SLIDE
    width, height = stated_size(file) or (0, 0)
    if length <= limits.max_bytes and width * height <= limits.max_pixels:
        return None
    limits.check_large((width, height), show_source(path))
    # openslide reads those of Aperio as well.
    is_slide = bool(directories) and directories[0].description.startswith(b"Aperio")
    return SLIDE if is_slide and not LARGE.is_installed and SLIDE.is_installed else LARGE


def kind_named(ref: ImageRef) -> SourceKind | None:
    """The kind of source that `ref` names; None for what is decoded as a whole."""
    if ref.mime_type == "application/pdf":
        return PDF
    if ref.file is None:
        return None
    return SLIDE if ref.mime_type == SLIDE_TYPE else LARGE
