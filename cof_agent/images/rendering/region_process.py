"""Views rendered by a process of their own: of a page, a picture too large to decode, a slide."""

from __future__ import annotations

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
from cof_agent.images.source_kinds import KINDS, KindName, SourceKind
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
        answer, _ = self.ask(Rank.OPEN, {"ask": "describe", "max_pixels": limits.max_pixels}, 0)
        return Described(tuple(answer["size"]), answer["pages"], answer["page"], answer["mime_type"])

    def ask(
        self, rank: Rank, wanted: dict[str, Any], nbytes: int, most: int = ANSWER_BYTES
    ) -> tuple[dict[str, Any], Image.Image | None]:
        """What a process answers, and the pixels behind it, where there are any.

        It may take `nbytes` of memory beside what its kind may. Raises ImageError where it fails or ends at a limit.
        """
        kind = KINDS[self.kind]
        kind.check_installed(self.name)
        self._check_can_start(kind)
        decode_queue().give_place_up()
        need = kind.nbytes + nbytes
        with apart_queue().turn(rank, need, name=self.name):
            limit = time_limit(self.seconds, self.name)
            with limited_process(_BOOT, limit, kind.remedy, "render") as process:
                request = self._request(limit.left(), need + 3 * len(self.data)) | wanted
                answer = process.ask(request, self.data, most)
                return answer, self._pixels(process, answer, rank)

    def _pixels(self, process: LimitedProcess, answer: dict[str, Any], rank: Rank) -> Image.Image | None:
        size = answer.get("pixels")
        return process.pixels("RGB", tuple(size), rank) if size else None

    def _request(self, seconds: float, nbytes: int) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "length": len(self.data), "file": self.file, "page": self.page,
            "seconds": seconds, "nbytes": nbytes, "identity": self.identity, "resolved": self.resolved,
        }  # fmt: skip

    def _check_can_start(self, kind: SourceKind) -> None:
        if not can_start():
            raise ImageError(
                f"{self.name} is {kind.what}, which is rendered in a process of its own, and this program cannot "
                f"start one: {kind.remedy}"
            )


@dataclass(frozen=True, slots=True)
class RegionProcess:
    """A source whose every view is rendered by a process that ends."""

    content: Content
    size: Size
    """In original pixels."""
    identity: str

    def overview(self, size: Size) -> Image.Image:
        """All of it at `size` (width, height), RGB. Raises ImageError where it cannot be rendered."""
        return self._show(None, size)

    def region(self, box: Box, size: Size) -> Image.Image:
        """`box` (original pixels) at `size` (width, height), RGB. Raises ImageError where it cannot be rendered."""
        return self._show(box, size)

    def words(self, box: Box) -> list[Word]:
        """The words of its own text in `box` (original pixels). Raises ImageError where it cannot be read."""
        wanted = {"ask": "words", "upright": self.size, "box": box.as_list()}
        answer, _ = self.content.ask(Rank.SHOW, wanted, 0, _WORD_BYTES)
        return [(text, Box(*corners)) for text, corners in answer["words"]]

    def _show(self, box: Box | None, size: Size) -> Image.Image:
        wanted = {"ask": "show", "upright": self.size, "box": box.as_list() if box else None, "size": size}
        answer, image = self.content.ask(Rank.SHOW, wanted, view_bytes(size, size))
        if image is None:
            raise ImageError(f"{self.content.name} was rendered without pixels ({answer!r:.80}): open it again")
        return image
