"""Views rendered by a process of their own: of a page, a picture too large to decode, a slide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.codecs.formats import view_bytes
from cof_agent.images.geometry import Box, Size
from cof_agent.images.limits import ImageLimits
from cof_agent.images.region_source import Word
from cof_agent.images.rendering.decode_queue import Rank, apart_queue, decode_queue
from cof_agent.images.rendering.limited_process import (
    ANSWER_BYTES,
    LimitedProcess,
    boot_of,
    can_start,
    limited_process,
)
from cof_agent.images.source_kinds import KINDS, KindName
from cof_agent.images.time_limit import time_limit

_BOOT = boot_of("region_worker")

_WORD_BYTES = 16 * 2**20
"""Longest line of words: a page of a phone book has 200 kB."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a process says of a source."""

    size: Size
    """Of the page, in original pixels."""
    pages: int
    """How many pages the document has, from 1."""
    page: int | None
    """Which one it is, from 1; None where the kind has no pages."""
    mime_type: str


@dataclass(frozen=True, slots=True)
class Content:
    """Where a process finds what it renders: in the bytes it is sent, or in a file."""

    kind: KindName
    name: str
    """What to call it in messages."""
    data: bytes = field(default=b"", repr=False)
    file: str | None = None
    """Absolute path, checked; None where `data` holds it."""
    page: int | None = None
    """Counted from 1. None: the first, where there are pages."""
    seconds: float = 30.0
    """Wall-clock time, and processor time, of each process."""
    identity: str | None = None
    """Of the file, which must still have it; None where there is none."""
    resolved: bool = False
    """Whether no part of `file` may be a link any more."""

    def describe(self, limits: ImageLimits) -> Described:
        """Its size and pages. Raises ImageError where it cannot be read, lacks the page, or is outside of `limits`."""
        wanted = {"ask": "describe", "max_pixels": limits.max_pixels}
        with self._process(Rank.OPEN, 0) as process:
            answer = self._answer(process, wanted)
        return Described(tuple(answer["size"]), answer["pages"], answer["page"], answer["mime_type"])

    def show(self, upright: Size, box: Box | None, size: Size) -> Image.Image:
        """`box` of a source of `upright` pixels at `size`, RGB. Raises ImageError where it cannot be rendered."""
        wanted = {"ask": "show", "upright": upright, "box": box.as_list() if box else None, "size": size}
        with self._process(Rank.SHOW, view_bytes(size, size)) as process:
            self._answer(process, wanted, view_bytes(size, size))
            return process.pixels("RGB", size, Rank.SHOW)

    def words(self, upright: Size, box: Box) -> list[Word]:
        """The words in `box` of a source of `upright` pixels. Raises ImageError where it cannot be read."""
        wanted = {"ask": "words", "upright": upright, "box": box.as_list()}
        with self._process(Rank.SHOW, 0) as process:
            answer = self._answer(process, wanted, most=_WORD_BYTES)
        return [(text, Box(*corners)) for text, corners in answer["words"]]

    def alone(self) -> bytes:
        """A page as a document of its own. Raises ImageError where it cannot be read."""
        with self._process(Rank.OPEN, 0) as process:
            return process.bytes_behind(self._answer(process, {"ask": "alone"})["length"])

    @contextmanager
    def _process(self, rank: Rank, nbytes: int) -> Iterator[LimitedProcess]:
        kind = KINDS[self.kind]
        kind.check_installed(self.name)
        if not can_start():
            raise ImageError(
                f"{self.name} is {kind.what}, which is rendered in a process of its own, and this program cannot "
                f"start one: {kind.remedy}"
            )
        decode_queue().give_place_up()
        with (
            apart_queue().turn(rank, kind.nbytes + nbytes, name=self.name),
            limited_process(_BOOT, time_limit(self.seconds, self.name), kind.remedy, "render") as process,
        ):
            yield process

    def _answer(
        self, process: LimitedProcess, wanted: dict[str, Any], nbytes: int = 0, most: int = ANSWER_BYTES
    ) -> dict[str, Any]:
        """What a process answers. It may take `nbytes` of memory beside what its kind may, and copies of the data."""
        nbytes += KINDS[self.kind].nbytes + 3 * len(self.data)
        return process.ask(self._request(process.limit.left(), nbytes) | wanted, self.data, most)

    def _request(self, seconds: float, nbytes: int) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "length": len(self.data), "file": self.file, "page": self.page,
            "seconds": seconds, "nbytes": nbytes, "identity": self.identity, "resolved": self.resolved,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RegionProcess:
    """A source whose every view is rendered by a process that ends."""

    content: Content
    size: Size
    """In original pixels."""
    identity: str

    def overview(self, size: Size) -> Image.Image:
        """All of it at `size` (width, height), RGB. Raises ImageError where it cannot be rendered."""
        return self.content.show(self.size, None, size)

    def region(self, box: Box, size: Size) -> Image.Image:
        """`box` (original pixels) at `size` (width, height), RGB. Raises ImageError where it cannot be rendered."""
        return self.content.show(self.size, box, size)

    def words(self, box: Box) -> list[Word]:
        """The words of its own text in `box` (original pixels). Raises ImageError where it cannot be read."""
        return self.content.words(self.size, box)
