"""Views of a slide of a scanner, by OpenSlide: of its resolutions only what a view needs is read."""

from __future__ import annotations

from math import ceil
from typing import Any

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Box, Size
from cof_agent.images.receiving.referenced_file import identity_of
from cof_agent.images.receiving.regular_file import open_regular
from cof_agent.images.source_kinds import SLIDE_TYPE

_SPARE = 1.25
"""How much larger than shown a resolution must be, so that the last step is still a proper reduction."""

_PIECE_PIXELS = 4_000_000
"""Pixels that are read at once. A slide with few resolutions is read, and reduced, piece by piece."""

_CACHE_BYTES = 16 * 2**20


class SlideWorker:
    """A slide at a path. Raises ImageError where OpenSlide does not open it, or it is not what it was."""

    def __init__(self, content: bytes | str, request: dict[str, Any]) -> None:
        import openslide  # type: ignore[import-untyped, unused-ignore]

        self._name, page = request["name"], request["page"]
        if isinstance(content, bytes):
            raise ImageError(f"{self._name} is looked at where it lies: save it to a file and pass its path")
        if page not in (None, 1):
            raise ImageError(f"{self._name} has one page, so there is no page {page}: leave the page out")
        try:
            with open_regular(content, links=not request.get("resolved", False)) as file:
                if request.get("identity") not in (None, identity_of(file)):
                    raise ImageError(f"{self._name} has changed since it was opened: open it again")
            self._errors = openslide.OpenSlideError
            self._slide: Any = openslide.OpenSlide(content)
            self._slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
        except OSError as error:
            raise ImageError(f"{self._name} cannot be read ({error.strerror or error}): open it again") from error
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise ImageError(f"{self._name} is no slide in a format that is known: export it as a TIFF") from error
        except openslide.OpenSlideError as error:
            raise self._failed(error) from error

    def describe(self, max_pixels: int) -> dict[str, Any]:
        """`size` of the finest resolution, one page, and `mime_type`."""
        return {"size": self._slide.dimensions, "pages": 1, "page": None, "mime_type": SLIDE_TYPE}

    def show(self, upright: tuple[int, int], box: list[int] | None, size: tuple[int, int]) -> bytes:
        """`box` of the slide, all of it without one, as RGB bytes of `size` pixels, over white."""
        if tuple(self._slide.dimensions) != tuple(upright):
            raise ImageError(f"{self._name} has other pixels than it had: open it again")
        try:
            return self._shown(Box(*box) if box else Box.whole(upright), size).tobytes()
        except self._errors as error:
            raise self._failed(error) from error

    def words(self, upright: tuple[int, int], box: list[int]) -> list[tuple[str, list[int]]]:
        """None: a slide knows no text."""
        return []

    def _shown(self, box: Box, size: Size) -> Image.Image:
        level = self._level_for(box, size)
        across, down = (
            full / side for full, side in zip(self._slide.dimensions, self._slide.level_dimensions[level], strict=True)
        )
        wide, high = max(1, ceil(box.width / across)), max(1, ceil(box.height / down))
        factor = max(1, min(wide // (2 * size[0]), high // (2 * size[1])))
        side = max(factor, int(_PIECE_PIXELS**0.5) // factor * factor)
        whole = Image.new("RGB", (ceil(wide / factor), ceil(high / factor)), "white")
        for top in range(0, high, side):
            for left in range(0, wide, side):
                piece = (min(side, wide - left), min(side, high - top))
                at = (box.x1 + round(left * across), box.y1 + round(top * down))
                clear = self._slide.read_region(at, level, piece)
                flat = Image.new("RGB", piece, "white")
                flat.paste(clear, mask=clear.getchannel("A"))
                whole.paste(flat.reduce(factor) if factor > 1 else flat, (left // factor, top // factor))
        corners = (0.0, 0.0, box.width / across / factor, box.height / down / factor)
        return whole.resize(size, Image.Resampling.LANCZOS, box=corners)

    def _level_for(self, box: Box, size: Size) -> int:
        """The coarsest resolution in which `box` still has more pixels than it is shown with."""
        most = min(box.width / size[0], box.height / size[1]) / _SPARE
        fitting = [number for number, factor in enumerate(self._slide.level_downsamples) if factor <= most]
        return max(fitting, default=0)

    def _failed(self, error: Exception) -> ImageError:
        words = " ".join(str(error).split())[:200]
        return ImageError(f"{self._name} is truncated or damaged ({words}): copy, download or export it again")
