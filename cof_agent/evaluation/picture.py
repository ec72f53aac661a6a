"""The picture that a question is asked about, at the resolution of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from cof_agent.errors import ConfigError
from cof_agent.evaluation.question import Picture, Readable, Renderable
from cof_agent.images.display_name import page_in
from cof_agent.images.geometry import Box, Size
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import ImageSource, open_image
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.images.source_image import SourceImage
from cof_agent.images.view_encoding import ViewEncoding, encode_view

_ENCODING = ViewEncoding(png_pixels=1024 * 1024)
"""PNG up to 1024² pixels, above it JPEG of quality 95 with full chroma: what a reduction must not add is artefacts."""

_GIVEN = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)
"""Asked for first: whether a value has the methods of a protocol takes Python half a millisecond to say."""


@dataclass(frozen=True, slots=True)
class SizedImage:
    """An image ready to be asked about."""

    source: ImageSource = field(repr=False)
    """Encoded; or what it was given as, where that is a page of a document or has no bytes of its own."""
    size: Size
    """Width and height in upright pixels."""


def pictures(
    images: Sequence[Picture], resolution: int | None, *, limits: ImageLimits | None = None
) -> tuple[SizedImage, ...] | None:
    """Each of `images` as `picture` makes it; None where one of them is smaller than `resolution`."""
    made = []
    for image in images:
        sized = picture(image, resolution, limits=limits)
        if sized is None:
            return None
        made.append(sized)
    return tuple(made)


def picture(image: Picture, resolution: int | None, *, limits: ImageLimits | None = None) -> SizedImage | None:
    """`image` with its longer side `resolution` pixels, or None when it is smaller: it is never enlarged.

    It is turned upright, decoded in full and reduced by Lanczos, its aspect kept to the nearest pixel. An image of
    just that size stays as it is, and so does every image where `resolution` is None. A scene is rendered at it.

    Safe on many threads at once; each takes four bytes for a pixel of the original while it runs. Raises ImageError
    for an image that cannot be read, and ConfigError where a scene is asked for as it is.
    """
    if resolution is not None and resolution < 1:
        raise ConfigError(f"a resolution of {resolution} pixels: it is the longer side, at least 1")
    if not isinstance(image, _GIVEN) and isinstance(image, Renderable):
        if resolution is None:
            raise ConfigError("a scene has no resolution of its own: name some, such as 224,512,1024")
        data, ref = encode_view(image.render(resolution), _ENCODING)
        return SizedImage(data, ref.size)
    if not isinstance(image, _GIVEN) and isinstance(image, Readable):
        image = image.read()
    source = open_image(image, limits=limits)
    size = source.ref.size
    if resolution is None or max(size) == resolution:
        named = isinstance(image, str | os.PathLike) and page_in(os.fspath(image))
        return SizedImage(image if named or not source.data else source.data, size)
    if max(size) < resolution:
        return None
    data, ref = encode_view(_shrunk(source, reduced(size, resolution)), _ENCODING)
    return SizedImage(data, ref.size)


def _shrunk(source: SourceImage, size: Size) -> Image.Image:
    # Views shrink in two steps, which is faster and may differ by a few levels. What is measured must not.
    whole = source.region(Box.whole(source.ref.size), source.ref.size)
    need = 4 * size[0] * whole.height  # between the two passes of Lanczos
    return decode_queue().run(Rank.SHOW, need, lambda: whole.resize(size, Image.Resampling.LANCZOS))


def reduced(size: Size, long_side: int) -> Size:
    """`size` (width, height) reduced so that the longer side is `long_side`; no side falls under 1 pixel."""
    longest = max(size)
    width, height = (max(1, (2 * side * long_side + longest) // (2 * longest)) for side in size)
    return width, height
