"""The pages of a TIFF that is held in memory, and one of them as a file of its own."""

from __future__ import annotations

import io
import struct

from cof_agent.images.codecs.tiff_directories import form_of, is_cut_off, is_tiff, pages_of, read_directories


def tiff_pages(data: bytes) -> list[int]:
    """Where the directories of the pages of a TIFF begin, in order; empty for anything else.

    A smaller version of another page, such as a thumbnail or a level of a pyramid, and a mask are no pages.
    Directories behind damaged ones are not found.
    """
    return [page.main.at for page in pages_of(read_directories(io.BytesIO(data)))] if is_tiff(data) else []


def is_cut_tiff(data: bytes) -> bool:
    """Whether data is a TIFF that ends before its last directory, or the one that comes behind it."""
    return is_tiff(data) and is_cut_off(read_directories(io.BytesIO(data)), len(data))


def page_of(data: bytes, page: int | None) -> bytes:
    """A TIFF that begins with the page of that number, counted from 1, and is otherwise the same.

    The data itself without a number, for what is no TIFF, and where that page is the first anyway.
    """
    form = form_of(data)
    if page is None or form is None:
        return data
    begins = struct.pack(form.offset, tiff_pages(data)[page - 1])
    first = 8 if form.big else 4
    end = first + len(begins)
    return data if data[first:end] == begins else data[:first] + begins + data[end:]
