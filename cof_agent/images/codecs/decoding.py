"""From encoded bytes to pixels: identified, decoded, flattened, and cut out upright."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from PIL import Image, ImageFile

from cof_agent.errors import ImageError
from cof_agent.images.codecs.exif import is_sound
from cof_agent.images.codecs.flattening import flatten
from cof_agent.images.codecs.formats import COPIED_PIXELS, Cost, Format, Header, Place, remedy
from cof_agent.images.codecs.headers import image_start, is_jpeg, is_read_here, read_header, read_tga
from cof_agent.images.codecs.jpeg_segments import JpegSegments, read_jpeg
from cof_agent.images.codecs.loading import decoder_of, load_pixels, other_formats, positive
from cof_agent.images.codecs.orientation import stored_box, turned
from cof_agent.images.codecs.png_chunks import SIGNATURE, clean_png
from cof_agent.images.geometry import Box, Size
from cof_agent.images.limits import ImageLimits

_JPEG_SPARE = 1.25
"""How much larger than wanted a reduced JPEG must stay, so that the last step is still a proper Lanczos reduction."""

_UNKNOWN_PIXELS = "unknown pixel mode"
"""What Pillow says of a sound TIFF with such a number or kind of bits as it does not know."""

_ORIENTATION = 0x0112
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image, not yet turned upright. Its pixels are shared: nobody may change them."""

    image: Image.Image
    """Mode L or RGB, at 1/`scale` of the stored size, rounded up."""
    stored: Size
    """Full width and height in the orientation in which the file stores it."""
    scale: int
    """1, or for a JPEG 2, 4 or 8."""
    orientation: int
    """EXIF orientation, 1 to 8."""
    mime_type: str

    @property
    def upright(self) -> Size:
        """Full width and height in upright pixels."""
        return turned(self.stored, self.orientation)

    @property
    def nbytes(self) -> int:
        """Memory that the pixels take (Pillow spends four bytes on RGB)."""
        return self.image.width * self.image.height * (1 if self.image.mode == "L" else 4)

    def overview(self, size: Size) -> Image.Image:
        """All of the image at `size` (upright width and height), as upright RGB."""
        width, height = self.stored
        # A reduced JPEG is rounded up to whole pixels: the image's edge may lie within its last one.
        return self._show(self.image, (0.0, 0.0, width / self.scale, height / self.scale), size)

    def region(self, box: Box, size: Size) -> Image.Image:
        """The upright `box` at `size` (upright width and height), as upright RGB. Needs `scale` 1."""
        stored = stored_box(box, self.upright, self.orientation)
        corners = (stored.x1, stored.y1, stored.x2, stored.y2)
        if stored.area > COPIED_PIXELS:
            return self._show(self.image, corners, size)
        # Cut first, so that what lies just outside of the box does not bleed into its edge. To cut by resizing to the
        # same size copies the very pixels, and is not subject to the process-wide limit that `crop` looks at.
        piece = self.image.resize(stored.size, Image.Resampling.NEAREST, box=corners)
        return self._show(piece, (0, 0, *stored.size), size)

    def _show(self, image: Image.Image, corners: tuple[float, float, float, float], size: Size) -> Image.Image:
        shown = image.resize(turned(size, self.orientation), Image.Resampling.LANCZOS, box=corners, reducing_gap=2.0)
        return to_upright(shown if shown.mode == "RGB" else shown.convert("RGB"), self.orientation)


def to_upright(image: Image.Image, orientation: int) -> Image.Image:
    """`image` turned by its EXIF orientation; the image itself where there is nothing to turn."""
    return image.transpose(_TO_UPRIGHT[orientation]) if orientation in _TO_UPRIGHT else image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that can be read."""
    try:
        if not is_sound(image.info.get("exif") or b""):
            return 1
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # A damaged EXIF block makes Pillow raise anything from KeyError to SyntaxError.
        return 1
    return value if value in _TO_UPRIGHT else 1


def jpeg_scale(full: Size, wanted: Size) -> int:
    """The largest of 8, 4, 2 and 1 by which a JPEG of `full` pixels can be reduced and still exceed `wanted` well."""
    for scale in (8, 4, 2):
        if all(side // scale >= _JPEG_SPARE * goal for side, goal in zip(full, wanted, strict=True)):
            return scale
    return 1


class Encoded:
    """Image bytes that were identified; their pixels are not decoded yet. What metadata holds is not looked at.

    Raises ImageError, naming `name`, when they are no image in a format that is opened, or are outside of `limits`.
    """

    def __init__(self, data: bytes, name: str, limits: ImageLimits) -> None:
        self.name, self.limits, self.received = name, limits, data
        self._length = len(data)
        self._jpeg: JpegSegments | None = None
        self.header: Header | None = None
        """None for a format whose header only its decoder reads."""
        self._formats = [] if is_read_here(data) else other_formats(data)
        with self._as_damaged_header():
            if not self._formats:
                data = self._picture(data)
                self.header = read_header(data, self._jpeg) or read_tga(data)
        self._formats = self._formats or [self.header.format if self.header else self._unread(data)]
        self.format = self._formats[0]
        self._data = [data]
        self.scalable = self._jpeg is not None and self._jpeg.ends
        """Whether it can be decoded at reduced scale."""
        if self.header:
            self._check(self.header)

    @property
    def is_jpeg(self) -> bool:
        return self._jpeg is not None

    @property
    def size(self) -> Size | None:
        """Full width and height as stored, where the header says so: that of an icon has several sizes."""
        return self.header.size if self.header and self.format.name != "ICO" else None

    @property
    def remedy(self) -> str:
        """What to do where it costs too much."""
        return remedy(self.format)

    @property
    def bounded(self) -> bool:
        """Whether what decoding takes is known, whatever the data holds."""
        return self.header.bounded if self.header else self.format.known

    def place(self, scale: int) -> Place:
        """Where it is decoded at 1/`scale`."""
        return self.header.place(self._length, scale) if self.header else Place.APART

    def cost(self, scale: int) -> Cost | None:
        """What `decode` will take; None where only a decoder can tell."""
        return self.header.cost(self._length, scale if self.scalable else 1) if self.header else None

    def decode(self, scale: int, agree: Callable[[Cost], None] | None = None) -> Decoded:
        """Read all of the data, once only. `agree` gets to know the cost before anything is decoded.

        Raises ImageError when it is truncated or damaged.
        """
        data = self._data.pop()  # whoever goes on holding this does not hold the pixels
        scale = scale if self.scalable else 1
        try:
            read_here = self.header is not None
            if agree and (cost := self.cost(scale)):
                agree(cost)
            file = self.opened(data)
            if agree and not read_here and (cost := self.cost(scale)):
                agree(cost)
            stored = file.size
            if scale > 1:
                file.draft(None, (stored[0] // scale, stored[1] // scale))
            image = load_pixels(file, data, self._jpeg, self.opened)
            # Some formats tell their orientation only now; TIFF has already applied it.
            stored = stored if self.is_jpeg else image.size
            orientation = orientation_of(file)
            flat = positive(file, flatten(image))
        except ImageError:
            raise
        except MemoryError as error:
            raise ImageError(
                f"{self.name} ({self.format.name}) takes more memory to decode than there is, or than an image of its "
                f"size may: {self.remedy}"
            ) from error
        except Exception as error:  # Decoders raise nearly every exception for damaged data.
            costly = ", or takes more memory than an image of its size may," if agree else ""
            raise ImageError(
                f"{self.name} is truncated or damaged{costly} and cannot be decoded ({reason(error)}): "
                "copy, download or save it again"
            ) from error
        flat.info = {}
        return Decoded(flat, stored, scale, orientation, self.mime_type)

    @property
    def mime_type(self) -> str:
        return Image.MIME.get(self.format.name, "application/octet-stream")

    def opened(self, data: bytes) -> ImageFile.ImageFile:
        """What the decoder makes of the header. Raises ImageError where that is not what our own code read."""
        with self._as_damaged_header():
            file = self._identified(data)
        pixels = file.size[0] * file.size[1]
        if self.header is None:
            model = self.format
            self.header = Header(model, file.size, model.pixel_bytes)
            self._check(self.header)
        elif pixels > self.header.size[0] * self.header.size[1]:
            raise ImageError(f"{self.name} has a damaged header, which states two sizes: save it again")
        return file

    def _identified(self, data: bytes) -> ImageFile.ImageFile:
        for model in self._formats[:-1]:
            with suppress(SyntaxError):
                self.format, file = model, decoder_of(model)(io.BytesIO(data), "")
                return file
        self.format = self._formats[-1]
        return decoder_of(self.format)(io.BytesIO(data), "")

    def _check(self, header: Header) -> None:
        if self.format.most_pixels is None:  # an icon may hold larger ones than the one that is shown
            self.limits.check_size(header.size, self.name)
        header.check(self._length, self.name)

    def _picture(self, data: bytes) -> bytes:
        """The data from its first to its last byte that belong to the picture."""
        start = image_start(data)
        if is_jpeg(data[start : start + 3]):
            self._jpeg = read_jpeg(data, start)
            return data if self._jpeg.tidy and self._jpeg.ends else self._jpeg.cleaned(data)
        data = data[start:] if start else data
        return clean_png(data) if data.startswith(SIGNATURE) else data

    def _unread(self, data: bytes) -> Format:
        """The format of data whose header our own code cannot read, and a decoder may."""
        if is_read_here(data) and (models := other_formats(data, read_here=True)):
            return models[0]
        what = "is a text, a web page or an SVG drawing rather than" if _is_markup(data) else "is not"
        raise ImageError(
            f"{self.name} {what} an image in a format that can be read: save it as PNG, JPEG or WebP, "
            "and give the address of the image itself rather than of a page that shows it"
        )

    @contextmanager
    def _as_damaged_header(self) -> Iterator[None]:
        try:
            yield
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # The header claims this format and is damaged in some way of its own.
            if reason(error) == _UNKNOWN_PIXELS:
                raise ImageError(
                    f"{self.name} has pixels of a kind that is not read, such as floats of 64 bits: save it with 8 or "
                    "16 bits, as PNG or TIFF"
                ) from error
            raise ImageError(
                f"{self.name} has a damaged header and cannot be read ({reason(error)}): "
                "copy, download or save it again"
            ) from error


def _is_markup(data: bytes) -> bool:
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def reason(error: Exception) -> str:
    """What an exception says, or its kind where it says nothing."""
    return str(error) or type(error).__name__
