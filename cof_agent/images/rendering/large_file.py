"""A TIFF, PNG or JPEG of any length where it lies: its page, its resolutions, and whether all of it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from cof_agent.errors import ImageError
from cof_agent.images.codecs.stated_size import LargeFormat, ends_as_it_should, large_format, stated_size
from cof_agent.images.codecs.tiff_directories import Directory, Page, Tag, is_cut_off, pages_of, read_directories
from cof_agent.images.geometry import Size
from cof_agent.images.receiving.referenced_file import identity_of
from cof_agent.images.receiving.regular_file import SpecialFileError, open_regular, size_of

TILED = "save it as a tiled TIFF with a pyramid (vips tiffsave makes one)"
"""What makes a picture of any kind one that is shown piece by piece."""

_TILE_BYTES = 64 * 2**20
"""Largest tile that is decoded."""

_MOST_PIECES = 4_000_000
"""Tiles or strips of one resolution, at most: 100 gigapixels have 1.5 million of 256 x 256."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a picture."""

    size: Size
    """Width and height as stored."""
    options: dict[str, int] = field(default_factory=dict)
    """Which part of the file it is, in the words of libvips."""


class LargeFile:
    """A picture at a path. Raises ImageError, calling it `name`, where it cannot be opened, or lacks the page.

    The file must still have the `identity` that is named. A path that was `resolved` is opened through no link: one
    in it now was put there since.
    """

    def __init__(
        self, path: str, name: str, page: int | None, identity: str | None = None, resolved: bool = False
    ) -> None:
        self.name, self._path, self._resolved = name, path, resolved
        self._file = self._open()
        try:
            self._read(page, identity)
        except BaseException:
            self._file.close()
            raise

    def _read(self, page: int | None, identity: str | None) -> None:
        name = self.name
        if identity is not None and identity_of(self._file) != identity:
            raise ImageError(f"{name} has changed since it was opened: put the old file back, or open the image again")
        self._file.seek(0)
        kind = large_format(self._file.read(16))
        if kind is None:
            raise ImageError(f"{name} is no TIFF, PNG or JPEG any more: open it again")
        self.format: LargeFormat = kind
        directories = read_directories(self._file) if kind == "TIFF" else []
        if is_cut_off(directories, size_of(self._file)):
            raise self._truncated()
        self.pages: list[Page] = pages_of(directories)
        self.page = self._chosen(page)
        self.number = (page or 1) if len(self.pages) > 1 else None
        """Of the page, from 1; None where there is one only."""

    def close(self) -> None:
        self._file.close()

    @property
    def levels(self) -> list[Level]:
        """Its resolutions, the full one first."""
        if self.page is None:
            return [Level(stated_size(self._file) or (0, 0))]
        return [Level(each.size, _options(each)) for each in self.page.levels]

    @property
    def is_tiled(self) -> bool:
        """Whether any part of it can be read without the others."""
        return self.page is not None and self.page.main.is_tiled

    @property
    def orientation(self) -> int | None:
        """As a TIFF states it; None for other formats, whose decoder finds it."""
        return None if self.page is None else self.page.main.first(Tag.ORIENTATION, 1)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """The file, opened once more: a reader of its own keeps its place in it. It is closed afterwards."""
        with self._open() as again:
            if not os.path.samestat(os.fstat(again.fileno()), os.fstat(self._file.fileno())):
                raise ImageError(f"{self.name} was replaced while it was read: open it again")
            yield again.fileno()

    def check(self) -> None:
        """Raise ImageError where it is cut off, its header is damaged, or its tiles are too large to decode."""
        if self.page is not None:
            for level in self.page.levels:
                self._check_level(level)
        elif not ends_as_it_should(self._file, self.format):
            raise self._truncated()

    def _truncated(self) -> ImageError:
        return ImageError(f"{self.name} is truncated at {size_of(self._file):,} bytes: copy, download or save it again")

    def _open(self) -> BinaryIO:
        try:
            return open_regular(self._path, links=not self._resolved)
        except (SpecialFileError, OSError) as error:
            raise ImageError(f"{self.name} cannot be read ({error.strerror or error}): open it again") from error

    def _chosen(self, page: int | None) -> Page | None:
        if self.format != "TIFF":
            return None
        count = len(self.pages)
        if not count:
            raise ImageError(f"{self.name} is a TIFF without a picture: copy, download or save it again")
        if (page is None and count > 1) or (page or 1) > count:
            what = f"has no page {page}" if page else "no page was chosen"
            raise ImageError(
                f"{self.name} is a TIFF of {count:,} pages, and {what}: choose one from 1 to {count}, as in #page=1 "
                "behind its name, or page=1"
            )
        return self.pages[(page or 1) - 1]

    def _check_level(self, level: Directory) -> None:
        (width, height), (wide, high) = level.size, level.piece
        tags = (Tag.TILE_OFFSETS, Tag.TILE_COUNTS) if level.is_tiled else (Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS)
        count = level.pieces
        if min(width, height, wide, high) < 1 or count > _MOST_PIECES or any(level.count(tag) < count for tag in tags):
            raise ImageError(
                f"{self.name} has a damaged header ({width}x{height} pixels in pieces of {wide}x{high}): save it again"
            )
        bits = max(level.every(Tag.BITS, 16) or (1,)) * level.first(Tag.PLANES, 1)
        if level.is_tiled and wide * high * bits > 8 * _TILE_BYTES:
            raise ImageError(f"{self.name} has tiles of {wide}x{high} pixels, which take too much memory: {TILED}")
        begins, lengths = (level.every(tag, count) for tag in tags)
        if min(len(begins), len(lengths)) < count or any(
            begin + taken > size_of(self._file) for begin, taken in zip(begins, lengths, strict=True)
        ):
            raise self._truncated()


def _options(level: Directory) -> dict[str, int]:
    return {"page": level.number} if level.below is None else {"page": level.number, "subifd": level.below}
