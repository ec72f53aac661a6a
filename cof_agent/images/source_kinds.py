"""The kinds of source whose views are rendered in a process of their own, each by a library of its own."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias

from cof_agent.errors import MissingFormatError
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

    def check_installed(self, name: str) -> None:
        """Raise MissingFormatError, naming the source and the extra, where its library is not there."""
        if importlib.util.find_spec(self.package) is None:
            raise MissingFormatError(f'{name} is {self.what}: pip install "cof-agent[{self.extra}]" to look at it')


PDF = SourceKind("pdf", "a PDF", "pdf", "pypdfium2", 512 * 2**20, "save the page as a PNG, and ask about that")
KINDS: dict[KindName, SourceKind] = {kind.name: kind for kind in (PDF,)}

_PDF = re.compile(rb"(?s).{0,1023}?%PDF-")
"""Readers look for the header in the first kilobyte."""


def kind_of(data: bytes) -> SourceKind | None:
    """The kind that data begins like, whole or its head; None for what is decoded as a whole."""
    if _PDF.match(data, 0, 1024 + 5) and not data.startswith((b"II*\0", b"MM\0*", b"\xff\xd8\xff", b"\x89PNG", b"<")):
        return PDF
    return None


def is_referenced(file: BinaryIO, length: int, limits: ImageLimits) -> bool:
    """Whether an opened file is read where it lies: it is too long to be received, and its kind does not need to be."""
    return length > limits.max_bytes and kind_of(file.read(2048)) is not None


def kind_named(ref: ImageRef) -> SourceKind | None:
    """The kind of source that `ref` names; None for what is decoded as a whole."""
    return PDF if ref.mime_type == "application/pdf" else None
