"""From encoded bytes to pixels: identified, decoded, flattened over white, and cut out upright."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass

from PIL import Image, ImageFile

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Box, Size
from cof_agent.images.limits import ImageLimits

_JPEG_SPARE = 1.25
"""How much larger than wanted a reduced JPEG must stay, so that the last step is still a proper Lanczos reduction."""

_COPIED_PIXELS = 16_000_000
"""Regions above this many pixels are resized in place: a copy would cost more than the sharper edge is worth."""

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

# EPS and WMF are programs rather than pixels (Pillow hands EPS to Ghostscript); for the others Pillow has no decoder.
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})


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
        if stored.area > _COPIED_PIXELS:
            return self._show(self.image, corners, size)
        # Cut first, so that what lies just outside of the box does not bleed into its edge. To cut by resizing to the
        # same size copies the very pixels, and is not subject to the process-wide limit that `crop` looks at.
        piece = self.image.resize(stored.size, Image.Resampling.NEAREST, box=corners)
        return self._show(piece, (0, 0, *stored.size), size)

    def _show(self, image: Image.Image, corners: tuple[float, float, float, float], size: Size) -> Image.Image:
        shown = image.resize(
            turned(size, self.orientation), Image.Resampling.LANCZOS, box=corners, reducing_gap=2.0
        ).convert("RGB")
        return to_upright(shown, self.orientation)


def turned(size: Size, orientation: int) -> Size:
    """`size` after turning by an EXIF orientation; the same call turns it back."""
    return (size[1], size[0]) if orientation >= 5 else size


def to_upright(image: Image.Image, orientation: int) -> Image.Image:
    """`image` turned by its EXIF orientation; the image itself where there is nothing to turn."""
    return image.transpose(_TO_UPRIGHT[orientation]) if orientation in _TO_UPRIGHT else image


def stored_box(box: Box, upright: Size, orientation: int) -> Box:
    """Where the upright `box` lies in the image as stored, whose upright size is `upright`."""
    x1, y1, x2, y2 = box.as_list()
    if orientation in (2, 3, 6, 7):
        x1, x2 = upright[0] - x2, upright[0] - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = upright[1] - y2, upright[1] - y1
    return Box(y1, x1, y2, x2) if orientation >= 5 else Box(x1, y1, x2, y2)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none that can be read."""
    try:
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
    """Image bytes whose header was read: what they are is known, their pixels are not decoded yet.

    Raises ImageError, naming `name`, when they are no image that Pillow can read or are outside of `limits`.
    """

    def __init__(self, data: bytes, name: str, limits: ImageLimits) -> None:
        self.name = name
        file = _identify(data, name)
        limits.check_size(file.size, name)
        self._files = [file]
        self.size: Size = file.size
        """Full width and height as stored."""
        # A camera's "multi-picture object" is a JPEG with more of them appended.
        self.is_jpeg = file.format in ("JPEG", "MPO")
        usual = Image.MIME.get(file.format or "", "application/octet-stream")
        self.mime_type = "image/jpeg" if self.is_jpeg else usual

    def decoding_bytes(self, scale: int) -> int:
        """About how much memory `decode` will take while it runs."""
        (file,), pixels = self._files, self.size[0] * self.size[1]
        if not self.is_jpeg:
            # Other modes are converted, transparent ones by way of two copies.
            return (4 if _is_flat(file) else 10) * pixels
        coefficients = 6 * pixels if file.info.get("progressive") else 0
        return coefficients + 4 * pixels // scale**2

    def decode(self, scale: int) -> Decoded:
        """Read all of the data, once only. Raises ImageError when it is truncated or damaged."""
        file, stored = self._files.pop(), self.size  # whoever goes on holding this does not hold the pixels
        try:
            if self.is_jpeg and scale > 1:
                file.draft(None, (stored[0] // scale, stored[1] // scale))
            file.load()
            # Some formats tell their orientation only now; TIFF has already applied it.
            stored = stored if self.is_jpeg else file.size
            orientation = orientation_of(file)
            flat = flatten(file)
        except Exception as error:  # Decoders raise nearly every exception for damaged data.
            raise ImageError(
                f"{self.name} is truncated or damaged and cannot be decoded ({reason(error)}): "
                "copy, download or save it again"
            ) from error
        flat.info = {}
        return Decoded(flat, stored, scale if self.is_jpeg else 1, orientation, self.mime_type)


def _identify(data: bytes, name: str) -> ImageFile.ImageFile:
    """What Image.open does, without its process-wide limit, the warning below that limit, and the refused formats."""
    prefix = data[:16]
    for load_plugins in (Image.preinit, Image.init):
        load_plugins()
        for kind in list(Image.ID):
            factory, accepts = Image.OPEN[kind]
            if kind in _REFUSED_FORMATS:
                continue
            try:
                verdict = accepts(prefix) if accepts else True
                if verdict and not isinstance(verdict, str):
                    return factory(io.BytesIO(data), "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
            except Exception as error:  # The header claims this format and is damaged in some way of its own.
                raise ImageError(
                    f"{name} has a damaged header and cannot be read ({reason(error)}): copy, download or save it again"
                ) from error
    if data[:1024].lstrip().startswith(b"%PDF-"):
        raise ImageError(
            f"{name} is a PDF rather than an image: save the page as a picture first, for example with "
            "`pdftoppm -r 200 -png FILE.pdf page`"
        )
    what = "is a text, a web page or an SVG drawing rather than" if _is_markup(data) else "is not"
    raise ImageError(
        f"{name} {what} an image in a format that can be read: save it as PNG, JPEG or WebP, "
        "and give the address of the image itself rather than of a page that shows it"
    )


def _is_markup(data: bytes) -> bool:
    return data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def reason(error: Exception) -> str:
    """What an exception says, or its kind where it says nothing."""
    return str(error) or type(error).__name__


def flatten(image: Image.Image) -> Image.Image:
    """`image`, of any mode, as L or RGB over white; the image itself where that is what it is.

    Integers of 16 bits mean 0 to 65535. Mode I holds either 8 or 16 bits, told apart by its largest value. What lies
    outside, and mode F outside of 0 to 1 or 0 to 255, is stretched between its smallest and largest value.
    """
    mode = image.mode
    if _is_flat(image):
        return image
    if mode.startswith("I;16"):
        return _scaled(image.convert("I"), 0.0, 65535.0)
    if mode in ("I", "F"):
        return _scaled(image, *_value_range(image))
    if mode == "1" and "transparency" not in image.info:
        return image.convert("L")
    if mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        ground = Image.new("RGB", clear.size, "white")
        ground.paste(clear, mask=clear)
        return ground
    return image.convert("RGB")


def _is_flat(image: Image.Image) -> bool:
    return image.mode in ("L", "RGB") and "transparency" not in image.info


def _value_range(image: Image.Image) -> tuple[float, float]:
    """The values of a mode I or F image that mean black and white."""
    low, high = (float(value) for value in _extremes(image))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("it holds values that are not finite numbers")
    usual = (255.0, 65535.0) if image.mode == "I" else (1.0, 255.0)
    for white in usual:
        if low >= 0 and high <= white:
            return 0.0, white
    return low, max(high, low + 1.0)


def _extremes(image: Image.Image) -> tuple[float, float]:
    low, high = image.getextrema()
    assert isinstance(low, (int, float)), "modes I and F have one band"
    assert isinstance(high, (int, float)), "modes I and F have one band"
    return low, high


def _scaled(image: Image.Image, black: float, white: float) -> Image.Image:
    factor = 255.0 / (white - black)
    # Half a step more, because the conversion to 8 bits truncates.
    return image.point(lambda value: value * factor + (0.5 - black * factor)).convert("L")
