"""Pillow's decoders, and what they leave out: the low bytes of deep colours, the end of a JPEG without end marker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from PIL import Image, ImageChops, ImageFile
from PIL.IcnsImagePlugin import IcnsImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from cof_agent.images.codecs.flattening import brightest, stretch
from cof_agent.images.codecs.formats import FORMATS, Format
from cof_agent.images.codecs.jpeg_segments import END, JpegSegments, is_filled_up
from cof_agent.images.codecs.png_chunks import lacks_rows

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""A tag of TIFF and its value for negatives."""

Open: TypeAlias = Callable[[bytes], ImageFile.ImageFile]
"""Opens encoded bytes, not yet decoded."""


def other_formats(data: bytes, read_here: bool = False) -> list[Format]:
    """The formats that data begins like, of those whose header is read here or of the others. A decoder says which."""
    Image.init()
    found = [FORMATS["IM"]] if data.startswith(b"Image type: ") else []
    start = data[:16].ljust(16)  # some look at bytes that short data does not have
    for name, (_, accepts) in Image.OPEN.items():
        model = FORMATS.get(name)
        if model and model.read_here == read_here and accepts is not None and accepts(start) is True:
            found += [model] if name != "CUR" or data[4:6] != b"\0\0" else []  # without cursors it is a TGA
    return found


def decoder_of(model: Format) -> Callable[..., ImageFile.ImageFile]:
    """Pillow's class of a format, made of a file and a name."""
    if model.name not in Image.OPEN:
        Image.init()
    if model.name == "JPEG":
        return JpegImageFile  # without a look at the further pictures of a camera's file
    return Image.OPEN[model.name][0]


def load_pixels(file: ImageFile.ImageFile, data: bytes, jpeg: JpegSegments | None, opened: Open) -> Image.Image:
    """The pixels of `file`, which `opened` made of `data`; `jpeg` holds its segments, if it is one."""
    if jpeg is not None and not jpeg.ends:
        return _without_end(jpeg, data, opened)
    if jpeg is not None and jpeg.scans > 1 and not jpeg.all_scans:  # a tool has put an end marker where it was cut
        raise OSError("image file is truncated: it lacks scans")
    tile = file.tile[0] if file.tile else None
    levels = tile.args[0] if tile and isinstance(tile.args, tuple) else tile.args if tile else None
    if isinstance(file, IcnsImageFile):  # whose own `load` loses the palette of the picture that it holds
        picture = file.icns.getimage(file.best_size)
        picture.load()
        return picture
    file.load()
    last = (0, file.height - 1, file.width, file.height)
    if isinstance(file, PngImageFile) and file.im.crop(last).getbbox() is None and lacks_rows(data):
        raise OSError("image file is truncated: it lacks rows")
    other = _LOW_BYTES.get(levels) if isinstance(levels, str) else None
    if other is None or brightest(file) >= 16:
        return file
    return _stretched(file, other, data, opened)


def positive(file: Image.Image, flat: Image.Image) -> Image.Image:
    """`flat`, made of the pixels of `file`, with white as a TIFF states it: Pillow inverts up to 8 bits only."""
    if isinstance(file, TiffImageFile) and file.mode in ("I;16", "F"):
        return ImageChops.invert(flat) if file.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else flat
    return flat


def _stretched(high: Image.Image, other: str, data: bytes, opened: Open) -> Image.Image:
    """The colours of a file of 16 bits that uses few of them: Pillow keeps the high bytes alone."""
    file = opened(data)
    # Read with their bytes swapped, the low ones are kept. Of two bands, all four bytes are.
    if other == "RGBA":
        file._mode = "RGBA"
    file.tile = [_with_levels(tile, other) for tile in file.tile]
    file.load()
    low: Image.Image = file
    if other == "RGBA":
        _, grey, _, alpha = file.split()
        low = Image.merge("RGBA", (grey, grey, grey, alpha))
    return stretch(high, low)


def _without_end(segments: JpegSegments, data: bytes, opened: Open) -> Image.Image:
    """The pixels of a JPEG that lacks its end marker and nothing else."""
    body = data.rstrip(b"\xff")
    if segments.all_scans and not is_filled_up(body):
        # Whatever follows, data that is complete gives the same pixels. A decoder reads up to eight bytes ahead.
        one, other = (opened(b"".join([body, byte * 9, END])) for byte in (b"\0", b"\xfe"))
        one.load()
        other.load()
        # With a single scan each line comes out once its data is there, and without an end marker nothing is made up.
        seen = [other] if segments.scans > 1 else [other, _as_far_as_it_goes(opened(body + b"\xfe" * 9))]
        if all(ImageChops.difference(one, each).getbbox(alpha_only=False) is None for each in seen):
            return one
    raise OSError("image file is truncated")


def _as_far_as_it_goes(file: ImageFile.ImageFile) -> Image.Image:
    """The lines that a decoder gives before it asks for more data; the others are black."""
    with suppress(OSError):
        file.load()
    return file._new(file.im)


def _with_levels(tile: ImageFile._Tile, levels: str) -> ImageFile._Tile:
    return tile._replace(args=(levels, *tile.args[1:]) if isinstance(tile.args, tuple) else levels)


_NATIVE, _SWAPPED = ("L", "B") if sys.byteorder == "little" else ("B", "L")

_LOW_BYTES = {
    "LA;16B": "RGBA",
    **{
        f"{bands};16{order}": f"{bands};16{other}"
        for bands in ("RGB", "RGBX", "RGBA", "CMYK")
        for order, other in (("B", "L"), ("L", "B"), ("N", _SWAPPED))
    },
}
"""Of the layouts of 16 bits whose high bytes Pillow keeps, those that give the low bytes."""
