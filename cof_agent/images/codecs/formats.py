"""The formats that are opened, what decoding one costs, and where it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Size

FREE_BYTES = 256 * 2**20
"""Memory that decoding any image may take, however few bytes it came in."""

FREE_SECONDS = 1.2
"""Processor time, as the model states it, that decoding any image may take."""

HERE_BYTES = 192 * 2**20
"""Memory up to which an image is decoded in this process."""

HERE_SECONDS = 2.0
"""Processor time, as the model states it, up to which an image is decoded in this process."""

COPIED_PIXELS = 16_000_000
"""Regions above this many pixels are resized in place: a copy would cost more than the sharper edge is worth."""

_MOST_BYTES = 2**30
"""Memory above which the received bytes must account for the pixels, whatever the format."""

_MOST_RATIO = 500
"""Decoded to received bytes, at most, of an image above that: blank pages reach 1,000, photos not 300."""

_USUAL_SCANS = 10
"""Scans of a progressive JPEG, as encoders write it by default."""

_MOST_SCANS = 100
"""Scans of a JPEG, at most: the longest script of jpegtran's manual has below 20."""

_PASS_SHARE = 0.25
"""Time of each further scan of a JPEG, as a share of decoding one that has a single scan."""


class Place(Enum):
    """Where an image is decoded."""

    HERE = "here"
    """In this process."""
    APART = "apart"
    """In a process of its own, which is ended at its limits."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format and its cost model."""

    name: str
    """As Pillow calls it."""
    pixel_bytes: float = 24
    """Most memory that decoding takes, in bytes a pixel, where the header does not say more."""
    pixel_seconds: float = 0.25
    """Processor seconds a million pixels."""
    byte_seconds: float = 0.0
    """Processor seconds a million bytes received."""
    least_bytes: float = 0.01
    """Encoded bytes a pixel that an image has at least, if it costs more than any image may."""
    most_pixels: int | None = None
    """Most pixels of the format, below those of the limits."""
    known: bool = False
    """Whether its header tells the memory that it takes. Otherwise the system must limit it."""
    read_here: bool = False
    """Whether its header is read in this process, by our own code, before a decoder sees it."""


def remedy(model: Format) -> str:
    """What to do with an image that costs too much."""
    return "save it smaller" if model.name in ("JPEG", "PNG") else "save it as PNG or JPEG"


@dataclass(frozen=True, slots=True)
class Cost:
    """What decoding one image takes, as its header and the cost model state."""

    nbytes: int
    """Memory at the peak."""
    seconds: float
    """Processor time, roughly, on a machine of 2020."""


def view_bytes(cut: Size, shown: Size) -> int:
    """Memory, at most, that it takes to cut `cut` pixels out of a decoded image and show them at `shown`."""
    area, goal = cut[0] * cut[1], shown[0] * shown[1]
    piece = area if area <= COPIED_PIXELS else 0
    # Before the last step to a smaller size, each side is reduced to at most three times of its goal, or is below four.
    resized = 0 if cut == shown else min(area, 9 * goal) + 4 * goal
    # The view, its copy in RGB and its copy turned upright.
    return 4 * (piece + resized + 3 * goal)


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before a decoder has seen it."""

    format: Format
    size: Size
    """Width and height as stored."""
    pixel_bytes: float
    """Memory a pixel of what is decoded, at its peak."""
    extra_bytes: float = 0.0
    """Memory a pixel of the full size besides, whatever scale it is decoded at."""
    fixed_bytes: int = 0
    """Memory besides, whatever its size."""
    passes: int = 1
    """How often a decoder passes over all of it."""
    times: int = 1
    """How often it is decoded."""
    orderly: bool = True
    """Whether the header is of a usual form, whose cost is what the model says."""

    def cost(self, length: int, scale: int = 1) -> Cost:
        """What decoding `length` bytes at 1/`scale` takes."""
        pixels = self.size[0] * self.size[1]
        nbytes = pixels * self.pixel_bytes / scale**2 + pixels * self.extra_bytes + self.fixed_bytes
        work = (1 + _PASS_SHARE * (self.passes - 1)) * pixels * self.times
        seconds = (work * self.format.pixel_seconds + length * self.format.byte_seconds) / 1e6
        return Cost(int(nbytes), seconds)

    @property
    def bounded(self) -> bool:
        """Whether what it takes is what the model says, whatever its data holds."""
        return self.orderly and self.format.known

    def place(self, length: int, scale: int = 1) -> Place:
        """Where to decode it."""
        cost = self.cost(length, scale)
        small = cost.nbytes <= HERE_BYTES and cost.seconds <= HERE_SECONDS
        return Place.HERE if small and self.bounded and self.format.read_here else Place.APART

    def check(self, length: int, name: str) -> None:
        """Raise ImageError where so few bytes cannot be an image that costs so much."""
        pixels, cost, kind = self.size[0] * self.size[1], self.cost(length), self.format.name
        what = f"{name} ({kind}, {self.size[0]}x{self.size[1]})"
        if self.format.most_pixels is not None and pixels > self.format.most_pixels:
            raise ImageError(
                f"{what} has {pixels:,} pixels, over the {self.format.most_pixels:,} that this format is opened with: "
                f"{remedy(self.format)}"
            )
        if self.passes > _MOST_SCANS:
            raise ImageError(f"{what} has more than {_MOST_SCANS} scans: save it as PNG, or as a JPEG once more")
        if cost.nbytes > _MOST_BYTES and 4 * pixels > _MOST_RATIO * length:
            raise ImageError(
                f"{what} is only {length:,} bytes and would take {cost.nbytes / 2**20:,.0f} MB to decode: it claims "
                "far more pixels than so little data can show; save it as JPEG, or smaller"
            )
        least = self.format.least_bytes * pixels * max(1.0, self.passes / _USUAL_SCANS)
        if (cost.nbytes > FREE_BYTES or cost.seconds > FREE_SECONDS) and length < least:
            raise ImageError(
                f"{what} is only {length:,} bytes and would take {cost.nbytes / 2**20:,.0f} MB and about "
                f"{max(cost.seconds, 0.1):.1f} s to decode: no photo is that small; {remedy(self.format)}"
            )


FORMATS = {
    each.name: each
    for each in (
        Format("JPEG", 4, 0.012, least_bytes=0.004, known=True, read_here=True),
        Format("PNG", 14, 0.035, least_bytes=0, known=True, read_here=True),
        Format("GIF", 10, 0.02, least_bytes=0, known=True, read_here=True),
        Format("WEBP", 21, 0.08, least_bytes=0.002, known=True, read_here=True),
        Format("BMP", 13, 0.01, least_bytes=0, known=True, read_here=True),
        Format("TIFF", 16, 0.04, least_bytes=0, known=True, read_here=True),
        Format("PPM", 13, 0.01, least_bytes=0, known=True, read_here=True),
        Format("TGA", 13, 0.01, least_bytes=0, known=True, read_here=True),
        Format("ICO", 20, 0.05, most_pixels=2048 * 2048, known=True, read_here=True),
        Format("ICNS", 24, 0.1, most_pixels=2048 * 2048),
        Format("CUR", most_pixels=2048 * 2048),
        Format("JPEG2000", 28, 0.25, least_bytes=0.02),
        Format("AVIF", 24, 0.15, least_bytes=0.002),
        # Pure Python: they cost what their bytes and pixels do, one by one.
        Format("QOI", 14, 0.02, byte_seconds=1.5, least_bytes=0.05, known=True),
        Format("FITS", 40, 0.6, least_bytes=0.1),
        Format("DDS", 16, 3.0, known=True),
        *(Format(name, known=True) for name in ("PSD", "PCX", "DCX", "SGI", "SUN", "DIB", "XBM", "XPM")),
        *(Format(name) for name in ("BLP", "FLI", "FTEX", "GBR", "IM", "MSP", "PIXAR", "XVTHUMB")),
    )
}
"""What is opened. EPS and WMF are programs rather than pixels; of others that Pillow names it decodes nothing."""
