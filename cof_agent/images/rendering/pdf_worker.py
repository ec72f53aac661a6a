"""PDF pages, rendered from their vectors at whatever size is asked for. Runs in a process of its own."""

from __future__ import annotations

import ctypes
import io
import os
import re
from typing import Any

import pypdfium2  # type: ignore[import-untyped, unused-ignore]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped, unused-ignore]

from cof_agent.errors import ImageError

DPI = (300, 200, 150, 100, 72, 50, 36, 24)
"""Original pixels to the inch: the first with which the page keeps within the limit of pixels."""

_POINTS = 72
"""Points to the inch (ISO 32000, section 8.3.2.3)."""

_MOST_CHARACTERS = 500_000
"""Characters of a page that are looked at for its words: a page of a dictionary has 10,000."""

_MOST_SEARCHED = 64 * 2**20
"""Bytes of a document in which the content of a page without any is searched for: it is written out for that."""

_MARK = 7777.25
"""A corner of a box that nobody writes: it tells the page among the objects of its document."""

_OBJECT = re.compile(rb"(?:\A|\n)([0-9]+) [0-9]+ obj\b")
_CONTENTS = re.compile(rb"/Contents\s*(\[[^\]]*\]|[0-9]+ [0-9]+ R)")
_REFERENCE = re.compile(rb"([0-9]+) [0-9]+ R")

_RENDERING = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
_WHITE = 0xFFFFFFFF


class PdfWorker:
    """One page of a PDF, as pdfium reads it: cut to its CropBox, and turned as its `Rotate` says."""

    def __init__(self, content: bytes | str, request: dict[str, Any]) -> None:
        self.name = request["name"]
        self.length = os.path.getsize(content) if isinstance(content, str) else len(content)
        try:
            self.document = pypdfium2.PdfDocument(content)
            self.document.init_forms()
        except pypdfium2.PdfiumError as error:
            raise self._unread(error) from error
        self.pages, self.number = len(self.document), request["page"] or 1
        if self.pages < 1:
            raise ImageError(f"{self.name} is a PDF without pages: use another file, or save it again")
        if self.number > self.pages:
            has = "one page" if self.pages == 1 else f"{self.pages:,} pages"
            raise ImageError(
                f"{self.name} has {has}, so there is no page {self.number}: choose one from 1 to {self.pages}, as in "
                f"#page={self.pages}"
            )
        self.forms = self.document.formenv
        try:
            self.page = self.document[self.number - 1]
            if min(self.page.get_size()) <= 0:
                # Its CropBox leaves nothing of the MediaBox. Without one, as other viewers do, all of it is shown.
                self.page.set_cropbox(0, 0, 0, 0)
                self.page.close()
                self.page = self.document[self.number - 1]
        except pypdfium2.PdfiumError as error:
            raise self._damaged(str(error)) from error

    def describe(self, max_pixels: int) -> dict[str, Any]:
        if self._lacks_content():
            raise self._damaged("its content is not in the file")
        width, height = self.page.get_size()
        for dpi in DPI:
            size = tuple(max(1, round(side * dpi / _POINTS)) for side in (width, height))
            if size[0] * size[1] <= max_pixels:
                return {"size": size, "pages": self.pages, "page": self.number, "mime_type": "application/pdf"}
        raise ImageError(
            f"page {self.number} of {self.name} measures {width / _POINTS:,.0f}x{height / _POINTS:,.0f} inches, over "
            f"the limit of {max_pixels:,} pixels even with {DPI[-1]} to the inch: save it smaller, or raise max_pixels "
            "in ImageLimits"
        )

    def show(self, upright: tuple[int, int], box: list[int] | None, size: tuple[int, int]) -> bytes | memoryview:
        x1, y1, x2, y2 = box or (0, 0, *upright)
        # The page's own display has one pixel a point; from there to the pixels of the view.
        across, down = size[0] / (x2 - x1), size[1] / (y2 - y1)
        width, height = self.page.get_size()
        matrix = pdfium.FS_MATRIX(
            across * upright[0] / width, 0, 0, down * upright[1] / height, -x1 * across, -y1 * down
        )
        clip = pdfium.FS_RECTF(0, 0, *size)
        pixels = (ctypes.c_ubyte * (3 * size[0] * size[1]))()
        bitmap = pdfium.FPDFBitmap_CreateEx(*size, pdfium.FPDFBitmap_BGR, pixels, 3 * size[0])
        if not bitmap:
            raise ImageError(f"{self.name} cannot be shown at {size[0]}x{size[1]} pixels: show it smaller")
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, *size, _WHITE)
        pdfium.FPDF_RenderPageBitmapWithMatrix(bitmap, self.page, matrix, clip, _RENDERING)
        if self.forms is not None:  # fields that were filled in; their place is rounded to whole pixels
            place = (-x1 * across, -y1 * down, upright[0] * across, upright[1] * down)
            pdfium.FPDF_FFLDraw(self.forms, bitmap, self.page, *map(round, place), 0, _RENDERING)
        pdfium.FPDFBitmap_Destroy(bitmap)
        return memoryview(pixels).cast("B")

    def alone(self) -> bytes:
        alone, file = pypdfium2.PdfDocument.new(), io.BytesIO()
        alone.import_pages(self.document, [self.number - 1])
        alone.save(file)
        return file.getvalue()

    def words(self, upright: tuple[int, int], box: list[int]) -> list[tuple[str, list[int]]]:
        text = self.page.get_textpage()
        found: list[tuple[str, list[int]]] = []
        word: list[str] = []
        corners: list[list[int]] = []
        for index in range(min(text.count_chars(), _MOST_CHARACTERS) + 1):
            letter = chr(pdfium.FPDFText_GetUnicode(text, index)) if index < text.count_chars() else " "
            if letter.isspace() or not letter.isprintable():
                if word and corners:
                    found.append(("".join(word), _union(corners)))
                word, corners = [], []
                continue
            word.append(letter)
            if (place := self._place(text, index, upright)) is not None:
                corners.append(place)
        return [(each, place) for each, place in found if _inside(place, box)]

    def _place(self, text: Any, index: int, upright: tuple[int, int]) -> list[int] | None:
        """Where a character stands, in original pixels; None for one without a place."""
        left, bottom, right, top = text.get_charbox(index)
        if not (right > left and top > bottom):
            left, bottom, right, top = text.get_charbox(index, loose=True)
        corners = [self._pixel(x, y, upright) for x, y in ((left, bottom), (right, top))]
        (x1, x2), (y1, y2) = (sorted(side) for side in zip(*corners, strict=True))
        return [x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)]

    def _pixel(self, x: float, y: float, upright: tuple[int, int]) -> tuple[int, int]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(self.page, 0, 0, *upright, 0, x, y, across, down)
        return across.value, down.value

    def _lacks_content(self) -> bool:
        """Whether the page names content that the file does not hold. To pdfium such a page is a blank one.

        It tells nobody what a page names, so the document is written out, and the page is looked for in that.
        """
        if pdfium.FPDFPage_CountObjects(self.page) or self.length > _MOST_SEARCHED:
            return False
        file = io.BytesIO()
        self.page.set_artbox(_MARK, 0, _MARK, 0)
        self.document.save(file)
        written = file.getvalue()
        mark = written.find(b"%g" % _MARK)
        objects = list(_OBJECT.finditer(written))
        begin = max((each.end() for each in objects if each.end() <= mark), default=0)
        named = _CONTENTS.search(written, begin, max(begin, written.find(b"endobj", mark)))
        there = {each[1] for each in objects}
        return named is not None and any(number not in there for number in _REFERENCE.findall(named[1]))

    def _damaged(self, why: str) -> ImageError:
        return ImageError(
            f"page {self.number} of {self.name} is damaged ({why}): save the PDF again, or choose another page"
        )

    def _unread(self, error: pypdfium2.PdfiumError) -> ImageError:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            return ImageError(f"{self.name} is an encrypted PDF: save a copy without its password, and ask about that")
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            return ImageError(
                f"{self.name} is a PDF with a protection that is not known: save a copy without it, for example by "
                "printing it to a file"
            )
        if error.err_code == pdfium.FPDF_ERR_SUCCESS:
            return ImageError(
                f"{self.name} is a PDF without pages, or a damaged one: use another file, or save it again"
            )
        return ImageError(f"{self.name} is a damaged PDF ({error}): copy, download or save it again")


def _union(corners: list[list[int]]) -> list[int]:
    lefts, tops, rights, bottoms = zip(*corners, strict=True)
    return [min(lefts), min(tops), max(rights), max(bottoms)]


def _inside(place: list[int], box: list[int]) -> bool:
    return place[0] >= box[0] and place[1] >= box[1] and place[2] <= box[2] and place[3] <= box[3]
