"""The directories of a TIFF, read with a few seeks: which are pages, and which are smaller versions of one.

Nothing of a file but its directories is read, so it may have any length. Directories that lead in circles, and tables
that lie outside of the file, are not followed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import BinaryIO

from cof_agent.images.geometry import Size

_MOST_DIRECTORIES = 10_000
"""Directories that are looked at. A scanned archive of that many pages is cut up by other means."""

_MOST_TAGS, _MOST_SUBDIRECTORIES = 4_096, 64

_KINDS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Unsigned integers, by the number of their type (TIFF 6.0, and BigTIFF)."""

_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
"""Of `NewSubfileType` the bits for a smaller version of another picture and for a mask; of `SubfileType` the value."""

_LEAST_FACTOR = 1.5
"""How much smaller the next level of a pyramid is at least. Writers halve each side, or take a quarter."""

_ROUNDED = 2
"""Pixels by which writers round the sides of a level."""


class Tag:
    """Numbers of the tags that are looked at."""

    SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255
    WIDTH, HEIGHT, BITS, COMPRESSION = 256, 257, 258, 259
    DESCRIPTION, STRIP_OFFSETS, ORIENTATION, PLANES = 270, 273, 274, 277
    ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 278, 279, 284
    TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
    SUBDIRECTORIES = 330
    HAMAMATSU = 65420


@dataclass(frozen=True, slots=True)
class TiffForm:
    """How a TIFF writes its numbers."""

    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")


_FORMS = {
    b"II*\0": TiffForm("<", False),
    b"MM\0*": TiffForm(">", False),
    b"II+\0": TiffForm("<", True),
    b"MM\0+": TiffForm(">", True),
}


@dataclass(frozen=True, slots=True)
class _TagEntry:
    """One tag: where its values stand, and how they are written."""

    kind: int
    count: int
    at: int


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF."""

    file: BinaryIO = field(repr=False, compare=False)
    form: TiffForm = field(repr=False)
    number: int
    """Its place in the chain of directories, from 0; that of its parent for one that hangs below another."""
    below: int | None
    """Its place among those that hang below another directory, from 0; None for one of the chain."""
    at: int
    """Where it begins in the file."""
    following: int
    """Where the next one of the chain begins; 0 at its end, and -1 where the file ends before it says so."""
    entries: dict[int, _TagEntry] = field(repr=False)

    def first(self, tag: int, absent: int = 0) -> int:
        """The first value of a tag; `absent` where there is none that can be read."""
        entry = self.entries.get(tag)
        values = self._values(entry, 1) if entry else ()
        return values[0] if values else absent

    def every(self, tag: int, most: int) -> tuple[int, ...]:
        """All values of a tag, up to so many; as many as the file holds."""
        entry = self.entries.get(tag)
        return self._values(entry, most) if entry else ()

    def count(self, tag: int) -> int:
        """How many values a tag claims to have."""
        return self.entries[tag].count if tag in self.entries else 0

    @cached_property
    def size(self) -> Size:
        """Width and height as stored, in pixels."""
        return self.first(Tag.WIDTH), self.first(Tag.HEIGHT)

    @cached_property
    def piece(self) -> Size:
        """Width and height of a tile, or of a strip."""
        if self.is_tiled:
            return self.first(Tag.TILE_WIDTH), self.first(Tag.TILE_HEIGHT)
        return self.size[0], min(self.size[1], self.first(Tag.ROWS_PER_STRIP, self.size[1]))

    @property
    def is_tiled(self) -> bool:
        return Tag.TILE_WIDTH in self.entries

    @property
    def pieces(self) -> int:
        """How many tiles or strips its size asks for."""
        (width, height), (wide, high) = self.size, self.piece
        planes = self.first(Tag.PLANES, 1) if self.first(Tag.PLANAR, 1) == 2 else 1
        return ceil(width / wide) * ceil(height / high) * planes if wide and high else 0

    @property
    def is_extra(self) -> bool:
        """Whether it says that it is a smaller version of another picture, or a mask."""
        if Tag.SUBFILE_TYPE in self.entries:
            return bool(self.first(Tag.SUBFILE_TYPE) & (_REDUCED | _MASK))
        return self.first(Tag.OLD_SUBFILE_TYPE) == _OLD_REDUCED

    @property
    def is_mask(self) -> bool:
        return bool(self.first(Tag.SUBFILE_TYPE) & _MASK)

    @cached_property
    def description(self) -> bytes:
        """The beginning of what its writer says of it."""
        entry = self.entries.get(Tag.DESCRIPTION)
        if entry is None:
            return b""
        self.file.seek(entry.at)
        return self.file.read(min(entry.count, 256)) or b""

    def _values(self, entry: _TagEntry, most: int) -> tuple[int, ...]:
        code = _KINDS.get(entry.kind)
        if code is None:
            return ()
        width = struct.calcsize(f"={code}")
        self.file.seek(entry.at)
        data = self.file.read(min(entry.count, most) * width) or b""
        return struct.unpack(f"{self.form.order}{len(data) // width}{code}", data[: len(data) // width * width])


@dataclass(frozen=True, slots=True)
class Page:
    """One picture of a TIFF with its smaller versions."""

    main: Directory
    levels: tuple[Directory, ...]
    """`main` and those of its smaller versions that show all of it, the largest first."""


def is_tiff(head: bytes) -> bool:
    """Whether data begins like a TIFF, of 32 bits or big."""
    return head[:4] in _FORMS


def form_of(head: bytes) -> TiffForm | None:
    """How a TIFF that begins like this writes its numbers; None for something else."""
    return _FORMS.get(head[:4])


def read_directories(file: BinaryIO) -> list[Directory]:
    """The chain of directories of an opened TIFF, as far as it can be read; empty for something else."""
    file.seek(0)
    head = file.read(16) or b""
    form = _FORMS.get(head[:4])
    found: list[Directory] = []
    if form is None:
        return found
    seen = set[int]()
    try:
        (at,) = struct.unpack_from(form.offset, head, 8 if form.big else 4)
        while at and at not in seen and len(found) < _MOST_DIRECTORIES:
            seen.add(at)
            found.append(_read(file, form, at, len(found), None))
            at = max(0, found[-1].following)
    except (struct.error, OverflowError, OSError):  # what comes behind is not there
        pass
    return found


def is_cut_off(directories: list[Directory], length: int) -> bool:
    """Whether a file of `length` bytes ends before its last directory does, or before the next one begins."""
    if not directories:
        return False
    last = directories[-1]
    least = 8 if last.form.big else 2  # bytes of the number that a directory begins with
    return last.following < 0 or last.following > length - least


def pages_of(directories: list[Directory]) -> list[Page]:
    """The pages among the directories of a file, each with its smaller versions.

    A smaller version says so, hangs below its page, or, as some scanners of slides write it, is tiled like the page
    before it and has its shape. Of a slide of Aperio the first picture counts: label and thumbnail are no pages.
    """
    if directories and directories[0].description.startswith(b"Aperio"):
        return [_page(directories[0], directories[1:])]
    pages: list[tuple[Directory, list[Directory]]] = []
    for directory in directories:
        if pages and (directory.is_extra or _is_next_level(pages[-1], directory)):
            pages[-1][1].append(directory)
        elif not directory.is_extra:
            pages.append((directory, []))
    if not pages and directories:
        pages = [(directories[0], directories[1:])]
    return [_page(main, others) for main, others in pages]


def _page(main: Directory, others: list[Directory]) -> Page:
    below = [_below(main, at, place) for place, at in enumerate(main.every(Tag.SUBDIRECTORIES, _MOST_SUBDIRECTORIES))]
    smaller = [
        other
        for other in [*others, *filter(None, below)]
        if not other.is_mask and other.is_tiled >= main.is_tiled and _has_shape_of(main, other)
    ]
    return Page(main, (main, *sorted(smaller, key=lambda each: each.size, reverse=True)))


def _is_next_level(page: tuple[Directory, list[Directory]], directory: Directory) -> bool:
    main, others = page
    last = others[-1] if others else main
    tiled = main.is_tiled and directory.is_tiled and main.piece == directory.piece
    return tiled and last.size[0] >= _LEAST_FACTOR * directory.size[0] and _has_shape_of(main, directory)


def _has_shape_of(main: Directory, other: Directory) -> bool:
    """Whether `other` is smaller than `main`, but for what its sides were rounded by as high for its width."""
    (width, height), (wide, high) = main.size, other.size
    if not (0 < _LEAST_FACTOR * wide <= width and 0 < high < height):
        return False
    same_pixels = all(main.first(tag) == other.first(tag) for tag in (Tag.BITS, Tag.PLANES))
    return same_pixels and abs(wide * height - high * width) <= _ROUNDED * (width + height)


def _below(main: Directory, at: int, place: int) -> Directory | None:
    try:
        return _read(main.file, main.form, at, main.number, place)
    except (struct.error, OverflowError, OSError):
        return None


def _read(file: BinaryIO, form: TiffForm, at: int, number: int, below: int | None) -> Directory:
    """The directory that begins at `at`."""
    file.seek(at)
    head = struct.Struct(form.order + ("Q" if form.big else "H"))
    (count,) = head.unpack(file.read(head.size) or b"")
    entry, value = struct.Struct(form.order + ("HHQ" if form.big else "HHI")), 8 if form.big else 4
    table = file.read(min(count, _MOST_TAGS) * (entry.size + value)) or b""
    entries: dict[int, _TagEntry] = {}
    for start in range(0, len(table) - entry.size - value + 1, entry.size + value):
        tag, kind, values = entry.unpack_from(table, start)
        place = at + head.size + start + entry.size
        if values * struct.calcsize(f"={_KINDS.get(kind, 'B')}") > value:
            (place,) = struct.unpack_from(form.offset, table, start + entry.size)
        entries.setdefault(tag, _TagEntry(kind, values, place))
    try:
        file.seek(at + head.size + count * (entry.size + value))
        (following,) = struct.unpack(form.offset, file.read(value) or b"")
    except (struct.error, OverflowError, OSError):
        following = -1
    return Directory(file, form, number, below, at, following, entries)
