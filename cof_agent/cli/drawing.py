"""An image drawn with characters, for terminals."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from rich.text import Text


def in_characters(data: bytes, columns: int, rows: int) -> Text:
    """Encoded image bytes as coloured half blocks, two pixels above each other in one character.

    The drawing keeps the image's shape within at most `columns` by `rows` characters.
    """
    from rich.text import Text

    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = min(columns / image.width, 2 * rows / image.height)
    columns, rows = max(1, round(image.width * scale)), max(1, round(image.height * scale / 2))
    small = image.resize((columns, rows * 2), Image.Resampling.BOX)
    text = Text(no_wrap=True)
    for row in range(rows):
        for column in range(columns):
            upper, lower = (_hex(small, column, 2 * row + half) for half in (0, 1))
            text.append("▀", style=f"{upper} on {lower}")
        text.append("\n")
    return text


def _hex(image: Image.Image, x: int, y: int) -> str:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return "#{:02x}{:02x}{:02x}".format(*pixel)
