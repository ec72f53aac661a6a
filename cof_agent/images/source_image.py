"""An original image, whatever renders it: its reference, its name, and its pixels at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Box, Size
from cof_agent.images.given_source import call_source
from cof_agent.images.reference import OBJECT, ImageRef
from cof_agent.images.region_source import HasWords, RegionSource, Word

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An original image: what it is, and what renders it. Pixels are made when asked for."""

    ref: ImageRef
    data: bytes = field(repr=False, compare=False)
    """As received; PNG bytes of the upright RGB pixels where the source was a PIL image. Empty where no store keeps
    them: the reference names a file, or a source that was given as an object."""
    source: str
    """What to call it in messages for people: short, without passwords."""
    renderer: RegionSource = field(repr=False, compare=False)
    """Makes its pixels."""
    pages: int = field(default=1, compare=False)
    """How many pages the document has that it is a page of; 1 for what is no document, and where nobody looked."""

    def named(self, source: str) -> SourceImage:
        """The same image, called `source` in messages."""
        return replace(self, source=source)

    def overview(self, size: Size) -> Image.Image:
        """The whole image at `size` (width, height), Lanczos, RGB. A JPEG is decoded at reduced scale where that does.

        Raises ImageError when the data cannot be decoded to the size that the reference states.
        """
        return self._checked(self._called(lambda: self.renderer.overview(size)), size)

    def region(self, box: Box, size: Size) -> Image.Image:
        """`box` (original upright pixels) at `size` (width, height), RGB: cut at native resolution, or rendered.

        Raises ImageError when the box leaves the image, or the data cannot be decoded.
        """
        self._check_inside(box)
        return self._checked(self._called(lambda: self.renderer.region(box, size)), size)

    def words(self, box: Box) -> list[Word]:
        """The words of its own text that stand in `box` (original upright pixels); empty for what has no text.

        Raises ImageError when the box leaves the image, or the document cannot be read.
        """
        self._check_inside(box)
        renderer = self.renderer
        if not isinstance(renderer, HasWords):
            return []
        words = self._called(lambda: list(renderer.words(box)))
        for word in words:
            match word:
                case (str(), Box()):
                    continue
            raise ImageError(
                f"{self.source} gave the word {word!r:.80}, which is no text with its Box: mend the source"
            )
        return words

    def _called(self, call: Callable[[], _Answer]) -> _Answer:
        """What a method of the renderer answers. One that is not our own may fail in any way, and may hang."""
        return call_source(call, self.source) if self.ref.mime_type == OBJECT else call()

    def _check_inside(self, box: Box) -> None:
        if not Box.whole(self.ref.size).contains(box):
            raise ImageError(
                f"box {box.as_list()} leaves {self.source} of {self.ref.width}x{self.ref.height} pixels: clip it first"
            )

    def _checked(self, image: Image.Image, size: Size) -> Image.Image:
        if not isinstance(image, Image.Image) or image.size != tuple(size):
            what = f"an image of {image.width}x{image.height}" if isinstance(image, Image.Image) else f"{image!r:.80}"
            raise ImageError(f"{self.source} was asked for {size[0]}x{size[1]} pixels and gave {what}: mend the source")
        return image if image.mode == "RGB" else image.convert("RGB")
