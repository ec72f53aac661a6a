"""Pixels of any mode as opaque grey or RGB: transparency, wide values and floats become what an eye would see."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageFilter, ImageMath

_WHITES = (255, 1023, 4095)
"""What white is where a 16-bit file holds values of 8, 10 or 12 bits. A real 16-bit photo, however dark, has a value
of 4096 or more; one that has not is brightened, and loses nothing."""

_LIGHT_HIDES = 40
"""Steps of 255 by which neighbours must differ to be told apart. Yellow differs from white by 29, cyan by 76."""

_GROUNDS = (255, 0, 128)
"""Greys to show transparent parts on; of equal ones the first."""

_SHOWN_WELL, _GAIN = 0.99, 0.005
"""Share of all edges that white must show to stay the ground, or else how much more another must show."""

_NO_VALUE = 1e38
"""Floats from this on are no values: geodata mark what is unknown by the largest float there is, or by NaN."""

_OPAQUE = 250
"""Alpha, of 255, from which no ground is seen through a pixel."""

_SAMPLED_PIXELS = 1_000_000
"""Pixels looked at to choose the ground. Every n-th pixel of a larger image has as many edges among its neighbours."""

_FAINT = 16
"""Highest alpha, of 255, at which nothing can be seen: such a channel is on another scale, or was never filled in."""


def flatten(image: Image.Image) -> Image.Image:
    """`image`, of any mode, as opaque L or RGB; the image itself where that is what it is.

    Transparent parts become white, or black or grey where white would hide some of what is there. Where everything is
    transparent, nothing is meant to be.

    Integers of 16 bits mean 0 to 65535, or 0 to 255, 1023 or 4095 where none is larger. Mode I holds one of these. What
    lies outside, and mode F outside of 0 to 1 or 0 to 255, is stretched between its smallest and largest value.
    """
    mode = image.mode
    if is_flat(image):
        return image
    if mode.startswith("I;16"):
        wide = image.convert("I")
        return _scaled(wide, 0.0, white_of(int(_extremes(wide)[1])))
    if mode in ("I", "F"):
        image = _finite(image) if mode == "F" else image
        return _scaled(image, *_value_range(image))
    if mode == "1" and "transparency" not in image.info:
        return image.convert("L")
    if mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        return _over_ground(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image.convert("RGB")


def is_flat(image: Image.Image) -> bool:
    """Whether `image` is opaque L or RGB as it is."""
    return image.mode in ("L", "RGB") and "transparency" not in image.info


def white_of(highest: int) -> float:
    """The value of 16 bits that means white, told by the highest value in use."""
    return float(next((white for white in _WHITES if highest <= white), 65535))


def _over_ground(clear: Image.Image) -> Image.Image:
    lowest, highest = (int(value) for value in _extremes(clear.getchannel("A")))
    if highest == 0:
        return clear.convert("RGB")
    if highest < _FAINT:
        clear = _strengthened(clear, highest)
    grey = 255 if lowest >= 128 else _ground(clear)
    if grey is None and lowest < highest:  # too faint for an edge: as strong as it can be
        clear = _strengthened(clear, highest)
        grey = _ground(clear)
    if grey is None:
        grey = max(_GROUNDS, key=lambda grey: _contrast(clear, grey))
    ground = Image.new("RGB", clear.size, (grey, grey, grey))
    ground.paste(clear, mask=clear)
    return ground


def _strengthened(clear: Image.Image, highest: int) -> Image.Image:
    """An RGBA image with its alpha, of which `highest` is the highest, on the scale up to 255."""
    clear = clear.copy()
    clear.putalpha(clear.getchannel("A").point([min(255, value * 255 // highest) for value in range(256)]))
    return clear


def _ground(clear: Image.Image) -> int | None:
    """The grey on which most edges of an RGBA image show: white if it hides next to none. None if there are no edges.

    Edges between opaque pixels are not counted: they show on any ground.
    """
    light, alpha = _sampled(clear)
    solid = alpha.point([255 * (value >= _OPAQUE) for value in range(256)])
    open_pairs = [ImageChops.invert(ImageChops.darker(solid, other)) for other in _neighbours(solid)]
    edges = {grey: _edges(_over(light, alpha, grey), open_pairs) for grey in _GROUNDS}
    every = ImageChops.lighter(ImageChops.lighter(edges[255], edges[0]), edges[128])
    count = every.histogram()[255]
    if not count:
        return None
    # On a ground of less contrast a soft edge has fewer steep steps; it shows by any that is near.
    shares = {
        grey: ImageChops.darker(every, found.filter(ImageFilter.MaxFilter(5))).histogram()[255] / count
        for grey, found in edges.items()
    }
    best = max(shares, key=lambda grey: shares[grey])
    return best if shares[255] < _SHOWN_WELL and shares[best] > shares[255] + _GAIN else 255


def _contrast(clear: Image.Image, grey: int) -> float:
    low, high = _extremes(_over(*_sampled(clear), grey))
    return high - low


def _sampled(clear: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The lightness and the alpha of some pixels of an RGBA image."""
    step = math.ceil(math.sqrt(clear.width * clear.height / _SAMPLED_PIXELS))
    size = max(1, clear.width // step), max(1, clear.height // step)
    seen = clear.resize(size, Image.Resampling.NEAREST)
    return seen.convert("L"), seen.getchannel("A")


def _over(light: Image.Image, alpha: Image.Image, grey: int) -> Image.Image:
    return Image.composite(light, Image.new("L", light.size, grey), alpha)


def _neighbours(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """A grey image moved so that each pixel is the one to its right, and so that it is the one below."""
    width, height = image.size
    right = image.transform(image.size, Image.Transform.EXTENT, (1, 0, width + 1, height))
    right.paste(image.crop((width - 1, 0, width, height)), (width - 1, 0))
    below = image.transform(image.size, Image.Transform.EXTENT, (0, 1, width, height + 1))
    below.paste(image.crop((0, height - 1, width, height)), (0, height - 1))
    return right, below


def _edges(image: Image.Image, counted: list[Image.Image]) -> Image.Image:
    """255 where a pixel of a grey image differs clearly from the one to its right or below, where that is counted."""
    right, below = (
        ImageChops.darker(ImageChops.difference(image, other), mask)
        for other, mask in zip(_neighbours(image), counted, strict=True)
    )
    return ImageChops.lighter(right, below).point([255 * (value >= _LIGHT_HIDES) for value in range(256)])


def _value_range(image: Image.Image) -> tuple[float, float]:
    """The values of a mode I or F image that mean black and white."""
    low, high = _extremes(image)
    if image.mode == "I" and low >= 0 and high <= 65535:
        return 0.0, white_of(int(high))
    for white in (1.0, 255.0) if image.mode == "F" else ():
        if low >= 0 and high <= white:
            return 0.0, white
    return low, max(high, low + 1.0)


def _finite(image: Image.Image) -> Image.Image:
    """A mode F image whose smallest value, black, also stands where there is no number, or one that means none."""
    low, high = _extremes(image)
    if abs(low) < _NO_VALUE and abs(high) < _NO_VALUE:  # false for what is not a number
        return image
    known = ImageMath.lambda_eval(lambda args: abs(args["image"]) < _NO_VALUE, image=image)
    mask = known.convert("L").point([0] + [255] * 255, "1")
    if mask.getbbox() is None:
        return Image.new("F", image.size, 0.0)
    highest_elsewhere = Image.new("F", image.size, _NO_VALUE)
    highest_elsewhere.paste(image, mask=mask)
    filled = Image.new("F", image.size, _extremes(highest_elsewhere)[0])
    filled.paste(image, mask=mask)
    return filled


def _extremes(image: Image.Image) -> tuple[float, float]:
    low, high = image.getextrema()
    assert isinstance(low, (int, float)), "such a mode has one band"
    assert isinstance(high, (int, float)), "such a mode has one band"
    return low, high


def _scaled(image: Image.Image, black: float, white: float) -> Image.Image:
    factor = 255.0 / (white - black)
    # Half a step more, because the conversion to 8 bits truncates.
    return image.point(lambda value: value * factor + (0.5 - black * factor)).convert("L")


def brightest(image: Image.Image) -> int:
    """The largest value of all colours, in 8 bits; alpha is none."""
    return max(int(_extremes(band)[1]) for band in _colours(image))


def stretch(high: Image.Image, low: Image.Image) -> Image.Image:
    """Colours of at most 12 bits in files of 16, given as images of their high and of their low bytes, as 8 bits."""
    highest = brightest(high)
    white = white_of(256 * highest + 255 if highest else brightest(low))
    upper = [min(255, round(value * 256 * 255 / white)) for value in range(256)]
    lower = [round(value * 255 / white) for value in range(256)]
    bands = list(high.split())
    for number, band in enumerate(bands):
        if number < len(_colours(high)) or _extremes(band)[1] < 16:
            bands[number] = ImageChops.add(band.point(upper), low.getchannel(number).point(lower))
    return Image.merge(high.mode, bands)


def _colours(image: Image.Image) -> tuple[Image.Image, ...]:
    return image.split()[: 3 if image.mode == "RGBA" else None]
