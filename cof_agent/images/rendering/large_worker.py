"""Views of a picture too large to decode as a whole, by libvips: of a tiled file only what a view needs is read."""

from __future__ import annotations

import os
from typing import Any

from cof_agent.errors import ImageError
from cof_agent.images.codecs.orientation import stored_box, turned
from cof_agent.images.geometry import Box, Size
from cof_agent.images.rendering.large_file import TILED, LargeFile, Level

_SPARE = 1.25
"""How much larger than shown a level of a pyramid must be, so that the last step is still a proper reduction."""

_GAP = 2
"""How much larger than shown a picture is left by averaging whole pixels, before Lanczos does the rest."""

_WHITE_PIXELS = 4_000_000
"""Pixels of the level that is looked at to find out what 16 bits mean."""

_WHITES = (255, 1023, 4095)
"""What white is where a file of 16 bits holds values of 8, 10 or 12, as for pictures that are decoded as a whole."""

_READ = ("uchar", "ushort")
"""Kinds of pixels that are shown: integers of 8 and of 16 bits, and of fewer."""

_TURNS: dict[int, tuple[str, ...]] = {
    2: ("horizontal",),
    3: ("rot180",),
    4: ("vertical",),
    5: ("rot90", "horizontal"),
    6: ("rot90",),
    7: ("rot90", "vertical"),
    8: ("rot270",),
}
"""How a picture is turned upright, by its EXIF orientation."""


class LargeWorker:
    """A TIFF, PNG or JPEG at a path. Raises ImageError where it cannot be opened, or lacks the page."""

    def __init__(self, content: bytes | str, request: dict[str, Any]) -> None:
        self._name = request["name"]
        if isinstance(content, bytes):
            raise ImageError(f"{self._name} is looked at where it lies: save it to a file and pass its path")
        self._file = LargeFile(
            content, self._name, request["page"], request.get("identity"), request.get("resolved", False)
        )

    def describe(self, max_pixels: int) -> dict[str, Any]:
        """`size` (upright), `pages`, `page` (None where there is one only) and `mime_type`."""
        self._file.check()
        return {
            "size": turned(self._file.levels[0].size, self._orientation()),
            "pages": max(1, len(self._file.pages)),
            "page": self._file.number,
            "mime_type": f"image/{self._file.format.lower()}",
        }

    def show(self, upright: tuple[int, int], box: list[int] | None, size: tuple[int, int]) -> bytes:
        """`box` of the upright picture, all of it without one, as RGB bytes of `size` pixels."""
        import pyvips  # type: ignore[import-untyped, unused-ignore]

        try:
            pixels: bytes = self._shown(Box(*box) if box else Box.whole(upright), upright, size).write_to_memory()
        except pyvips.Error as error:
            raise self._failed(error) from error
        return pixels

    def words(self, upright: tuple[int, int], box: list[int]) -> list[tuple[str, list[int]]]:
        """None: a picture knows no text."""
        return []

    def _shown(self, box: Box, upright: Size, size: Size) -> Any:
        levels, orientation = self._file.levels, self._orientation()
        full = levels[0].size
        if turned(full, orientation) != upright:
            raise ImageError(f"{self._name} has other pixels than it had ({full[0]}x{full[1]}): open it again")
        stored, goal = stored_box(box, upright, orientation), turned(size, orientation)
        image = self._opened(_level_for(levels, stored, goal), self._shrink(full, stored, goal))
        cut = _scaled(stored, full, (image.width, image.height))
        # Cut first, so that nothing beside the box bleeds into its edge.
        image = _resized(self._flat(image.crop(cut.x1, cut.y1, cut.width, cut.height)), goal)
        for turn in _TURNS.get(orientation, ()):
            image = image.flip(turn) if turn in ("horizontal", "vertical") else getattr(image, turn)()
        return image

    def _orientation(self) -> int:
        found = self._file.orientation
        if found is None:
            import pyvips  # type: ignore[import-untyped, unused-ignore]

            try:
                image = self._opened(self._file.levels[0])
            except pyvips.Error as error:
                raise self._failed(error) from error
            found = image.get("orientation") if image.get_typeof("orientation") else 1
        return found if found in _TURNS else 1

    def _opened(self, level: Level, shrink: int = 1) -> Any:
        """A level as libvips reads it, of a JPEG at 1/`shrink`: piece by piece of a tiled file, else from its top."""
        pyvips = _library()
        with self._file.descriptor() as descriptor:
            source = pyvips.Source.new_from_descriptor(descriptor)
        access = "random" if self._file.is_tiled else "sequential"
        kept = {"access": access, "fail_on": "error"}
        if self._file.format == "TIFF":
            image = pyvips.Image.tiffload_source(source, **kept, **level.options)
        elif self._file.format == "JPEG":
            image = pyvips.Image.jpegload_source(source, **kept, shrink=shrink)
        else:
            image = pyvips.Image.pngload_source(source, **kept)
        for mark, what in (("jpeg-multiscan", "a progressive JPEG"), ("interlaced", "interlaced")):
            if image.get_typeof(mark) and image.get(mark):
                raise ImageError(f"{self._name} is {what}, and can only be decoded as a whole: {TILED}")
        return image

    def _shrink(self, full: Size, stored: Box, goal: Size) -> int:
        """By how much a JPEG is reduced while it is decoded: where all of it is shown, as pixels are averaged."""
        if self._file.format != "JPEG" or stored != Box.whole(full):
            return 1
        most = min(full[0] / goal[0], full[1] / goal[1]) / _SPARE
        return next((shrink for shrink in (8, 4, 2) if shrink <= most), 1)

    def _flat(self, image: Any) -> Any:
        """`image` as RGB of 8 bits, over white."""
        if image.format not in _READ:
            raise ImageError(
                f"{self._name} has pixels of a kind that is not read ({image.format}): save it with 8 or 16 bits"
            )
        if image.interpretation in ("cmyk", "lab"):
            image = image.colourspace("srgb")
        elif image.bands > 4:
            image = image.extract_band(0, n=3)
        if image.format == "ushort":
            image = self._bytes_of(image)
        if image.bands in (2, 4):
            image = image.flatten(background=255, max_alpha=255)
        return image.extract_band(0, n=3) if image.bands >= 3 else image.bandjoin([image, image])

    def _bytes_of(self, deep: Any) -> Any:
        """Values of 16 bits on a scale up to 255; an alpha, the second or fourth, from its whole scale."""
        white = self._white()
        scales = [255 / white] * deep.bands
        if deep.bands in (2, 4):
            scales[-1] = 255 / 65535
        return deep.linear(scales, [0.5] * deep.bands, uchar=True)

    def _white(self) -> int:
        """What 16 bits mean by white, told by the highest value of a small version, where there is one."""
        smallest = self._file.levels[-1]
        if smallest.size[0] * smallest.size[1] > _WHITE_PIXELS:
            return 65535
        highest = self._opened(smallest).extract_band(0).max()
        return next((white for white in _WHITES if highest <= white), 65535)

    def _failed(self, error: Exception) -> ImageError:
        words = " ".join(str(getattr(error, "detail", "") or error).split())[:200]
        return ImageError(f"{self._name} is truncated or damaged ({words}): copy, download or save it again")


def _library() -> Any:
    """libvips with one thread, which keeps nothing and reads three formats only."""
    os.putenv("VIPS_CONCURRENCY", "1")  # each thread has its share of the memory; read when the library loads
    import pyvips  # type: ignore[import-untyped, unused-ignore]

    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in ("VipsForeignLoadTiff", "VipsForeignLoadPng", "VipsForeignLoadJpeg"):
        pyvips.operation_block_set(loader, False)
    return pyvips


def _level_for(levels: list[Level], stored: Box, goal: Size) -> Level:
    """The smallest level in which `stored` still has more pixels than it is shown with."""
    full = levels[0].size
    wanted = max(goal[0] / stored.width, goal[1] / stored.height) * _SPARE
    fitting = [level for level in levels if level.size[0] >= wanted * full[0] and level.size[1] >= wanted * full[1]]
    return fitting[-1] if fitting else levels[0]


def _scaled(box: Box, full: Size, size: Size) -> Box:
    """Where `box` of a picture of `full` pixels lies in a version of it of `size`, outward to whole pixels."""
    x1, y1 = box.x1 * size[0] // full[0], box.y1 * size[1] // full[1]
    x2, y2 = -(-box.x2 * size[0] // full[0]), -(-box.y2 * size[1] // full[1])
    return Box(min(x1, size[0] - 1), min(y1, size[1] - 1), min(max(x2, x1 + 1), size[0]), min(max(y2, y1 + 1), size[1]))


def _resized(image: Any, goal: Size) -> Any:
    """`image` at `goal` pixels: made smaller by averages and Lanczos, or larger by cubic splines."""
    import pyvips  # type: ignore[import-untyped, unused-ignore]

    across, down = max(1, int(image.width / goal[0] / _GAP)), max(1, int(image.height / goal[1] / _GAP))
    if across > 1 or down > 1:
        image = image.shrink(across, down, ceil=True)
    wide, high = min(goal[0], image.width), min(goal[1], image.height)
    if (image.width, image.height) != (wide, high):
        image = image.resize(wide / image.width, vscale=high / image.height, kernel="lanczos3")
    x, y = goal[0] / image.width, goal[1] / image.height
    if (x, y) == (1, 1):
        return image
    # Centres of pixels are mapped to each other, not their corners. What was rounded off is filled up at the edge.
    return image.affine(
        [x, 0, 0, y],
        interpolate=pyvips.Interpolate.new("bicubic"),
        extend="copy",
        odx=(x - 1) / 2,
        ody=(y - 1) / 2,
        oarea=[0, 0, *goal],
    )
