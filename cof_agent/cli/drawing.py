"""Drawings for people: an image in characters, and what a policy wants to look at on the picture."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from rich.text import Text

    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.images.geometry import Box
    from cof_agent.loop.review import Request

SKETCH_SIDE = 1024
"""Longer side of a sketch in pixels: large enough for boxes, quick to open."""

ASKED, SHOWN = "red", "blue"
"""The colours of the box that a policy asks for, and of the region that it would be shown."""


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


class Sketches:
    """Pictures of what a policy wants to look at next, as files that are gone when the command ends."""

    def __init__(self, agent: ChainOfFocus, folder: Path, show: bool) -> None:
        """`show`: draw them in a colour terminal as well."""
        self._agent, self._folder, self._show = agent, folder, show
        self._count = 0

    def of(self, request: Request) -> Path:
        """The original with the box that is asked for and the region that would be shown, as a PNG file.

        Raises ImageError where the original is lost, and OSError where the file cannot be written.
        """
        from cof_agent.images.geometry import Box
        from cof_agent.images.opening import load_image
        from cof_agent.images.reference import ImageRef
        from cof_agent.loop.state import originals_of

        box, region = request.box, request.region
        assert box is not None, "a request for a zoom has both"
        assert region is not None, "as above"
        state = self._agent.graph.get_state({"configurable": {"thread_id": request.thread_id}}).values
        original = originals_of(state)[request.image_index]
        ref, name = ImageRef.from_json(original), original.get("source")
        source = load_image(ref, self._agent.store, limits=self._agent.limits, name=name)
        scale = min(1.0, SKETCH_SIDE / max(ref.size))
        size = max(1, round(ref.width * scale)), max(1, round(ref.height * scale))
        sketch = source.region(Box.whole(ref.size), size).convert("RGB")
        outline(sketch, region, scale, SHOWN)
        outline(sketch, box, scale, ASKED)
        self._count += 1
        path = self._folder / f"look-{self._count}.png"
        sketch.save(path)
        if self._show:
            self._draw(path.read_bytes())
        return path

    def _draw(self, data: bytes) -> None:
        from cof_agent.cli.console import CleanConsole

        console = CleanConsole(stderr=True)
        if console.color_system:
            console.print(in_characters(data, columns=min(72, console.width), rows=max(8, console.height - 4)))


@contextlib.contextmanager
def sketches(agent: ChainOfFocus, show: bool) -> Iterator[Sketches]:
    """Sketches in a directory of this process's own."""
    with tempfile.TemporaryDirectory(prefix="cof-agent-", ignore_cleanup_errors=True) as folder:
        yield Sketches(agent, Path(folder), show)


def outline(image: Image.Image, box: Box, scale: float, colour: str) -> None:
    """Draw the edge of `box`, in pixels that are `scale` times those of `image`, on it."""
    corners = [scale * side for side in box.as_list()]
    right, lower = max(corners[0], corners[2] - 1), max(corners[1], corners[3] - 1)
    ImageDraw.Draw(image).rectangle((corners[0], corners[1], right, lower), outline=colour, width=3)
