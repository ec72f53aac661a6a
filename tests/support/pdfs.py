"""PDFs written by hand: pages with text, odd boxes, and bombs."""

from __future__ import annotations

import zlib


def document(*objects: bytes, catalog: bytes = b"") -> bytes:
    """A PDF of these objects, from number 2 on: object 1 is the catalog, and 2 should be the tree of pages."""
    every = [b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, *objects]
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(every, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"<</Size %d/Root 1 0 R>>" % (len(every) + 1)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(every) + 1)
    return data + head + table + b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, len(data))


def stream(content: bytes, attributes: bytes = b"", *, packed: bool = False) -> bytes:
    if packed:
        content, attributes = zlib.compress(content), attributes + b"/Filter/FlateDecode"
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), attributes, content)


def pdf(*pages: tuple[bytes, bytes], more: tuple[bytes, ...] = (), resources: bytes = b"") -> bytes:
    """A PDF of pages, each its attributes and its content. `more` objects come behind them; font F is Helvetica."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, (attributes, content) in enumerate(pages):
        place = 5 + 2 * number
        objects += [
            b"<</Type/Page/Parent 2 0 R/Resources<</Font<</F 3 0 R>>%s>>/Contents %d 0 R%s>>"
            % (resources, place, attributes),
            stream(content),
        ]
    return document(*objects, *more)


def text(words: str, size: float, x: float, y: float) -> bytes:
    """Content that writes words, their baseline at x, y points from the lower left."""
    return b"BT /F %g Tf %g %g Td (%s) Tj ET\n" % (size, x, y, words.encode())


LETTER = b"/MediaBox[0 0 612 792]"


def form() -> bytes:
    """A page with a field that somebody has filled in."""
    return document(
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Annots[4 0 R]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(Filled)/Rect[10 10 200 40]/AP<</N 5 0 R>>/F 4>>",
        stream(
            b"BT /F 20 Tf 5 8 Td (Filled in) Tj ET",
            b"/Type/XObject/Subtype/Form/BBox[0 0 190 30]/Resources<</Font<</F 6 0 R>>>>",
        ),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        catalog=b"/AcroForm<</Fields[4 0 R]>>",
    )


def drawing() -> bytes:
    """A page of 36x48 inches: a frame, and a plate whose lines get smaller, down to one of 4 points."""
    content, y = b"4 w 60 60 2472 3336 re S\n", 1700.0
    for words, size in (("PLATE", 30), ("Pump station", 15), ("Made in Kiel", 8), ("Serial number: 4711-K", 4)):
        y -= 1.6 * size
        content += text(words, size, 1200, y)
    return pdf((b"/MediaBox[0 0 2592 3456]", content))
