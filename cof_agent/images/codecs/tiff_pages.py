"""The pages of a TIFF, and one of them as a file of its own."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_MOST_DIRECTORIES = 65_535
"""Directories that are looked at: TIFF readers count them with 16 bits."""

_MOST_TAGS = 4_096
"""Tags of one directory that are looked at."""

_SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 254, 255
_REDUCED, _MASK = 1, 4
"""Bits of `NewSubfileType`: a smaller version of another picture, and a mask for one (TIFF 6.0, section 8)."""
_OLD_REDUCED = 2


@dataclass(frozen=True, slots=True)
class _Form:
    """How a TIFF writes its numbers."""

    order: str
    big: bool

    @property
    def first(self) -> int:
        """Where the offset of the first directory stands."""
        return 8 if self.big else 4

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> int:
        """Bytes of one tag."""
        return 20 if self.big else 12


_FORMS = {
    b"II*\0": _Form("<", False),
    b"MM\0*": _Form(">", False),
    b"II+\0": _Form("<", True),
    b"MM\0+": _Form(">", True),
}


def is_tiff(data: bytes) -> bool:
    return data[:4] in _FORMS


def tiff_pages(data: bytes) -> list[int]:
    """Where the directories of the pages of a TIFF begin, in order; empty for anything else.

    A reduced version of another page, such as a thumbnail, and a mask are no pages. Directories behind damaged ones
    are not found.
    """
    form = _FORMS.get(data[:4])
    pages: list[int] = []
    others: list[int] = []
    if form is None:
        return pages
    try:
        (at,) = struct.unpack_from(form.offset, data, form.first)
        seen = set[int]()
        while at and at not in seen and len(seen) < _MOST_DIRECTORIES:
            (count,) = struct.unpack_from(form.count, data, at)
            begin = at + struct.calcsize(form.count)
            kept = others if _is_extra(data, form, begin, min(count, _MOST_TAGS)) else pages
            following = begin + count * form.entry
            seen.add(at)
            kept.append(at)
            (at,) = struct.unpack_from(form.offset, data, following)
    except struct.error:  # what comes behind is not there
        pass
    return pages or others[:1]


def _is_extra(data: bytes, form: _Form, begin: int, count: int) -> bool:
    for at in range(begin, begin + count * form.entry, form.entry):
        tag, kind = struct.unpack_from(form.order + "HH", data, at)
        if tag in (_SUBFILE_TYPE, _OLD_SUBFILE_TYPE):
            short = kind == 3
            place = at + (12 if form.big else 8)
            (value,) = struct.unpack_from(form.order + ("H" if short else "I"), data, place)
            if tag == _SUBFILE_TYPE:
                return bool(value & (_REDUCED | _MASK))
            return bool(value == _OLD_REDUCED)
        if tag > _OLD_SUBFILE_TYPE:  # they are sorted
            return False
    return False


def page_of(data: bytes, page: int | None) -> bytes:
    """A TIFF that begins with the page of that number, counted from 1, and is otherwise the same.

    The data itself without a number, for what is no TIFF, and where that page is the first anyway.
    """
    form = _FORMS.get(data[:4])
    if page is None or form is None:
        return data
    at = tiff_pages(data)[page - 1]
    begins = struct.pack(form.offset, at)
    end = form.first + len(begins)
    return data if data[form.first : end] == begins else data[: form.first] + begins + data[end:]
