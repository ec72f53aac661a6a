"""Images from anywhere, upright and RGB over white, shown at any size and cut at native resolution."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from PIL import Image

from cof_agent.errors import ConfigError, ImageError, StoreError
from cof_agent.images.codecs.decoding import Decoded, Encoded, jpeg_scale, orientation_of, reason, to_upright
from cof_agent.images.codecs.flattening import flatten
from cof_agent.images.codecs.formats import Place
from cof_agent.images.geometry import MAX_ASPECT, Box, Size
from cof_agent.images.limits import DECODE_SECONDS, ImageLimits
from cof_agent.images.receiving.source_bytes import receive
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering.apart import Asked, can_start, look_apart
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.images.store import ImageStore
from cof_agent.images.time_limit import time_limit

__all__ = [
    "ImageLimits",
    "ImageRef",
    "ImageSource",
    "SourceImage",
    "ViewEncoding",
    "encode_view",
    "load_image",
    "open_image",
]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image"
"""A path, a URL (`file:`, `http(s):`, `s3:`, `gs:`, `az:`, `data:`), encoded bytes, or a PIL image."""

_USUAL_OVERVIEW_PIXELS = 1280 * 28 * 28
"""The default overview budget: the scale at which a JPEG is decoded when it is opened suits an overview this large."""


@dataclass(frozen=True, slots=True)
class ViewEncoding:
    """How views are encoded."""

    jpeg_quality: int = 95
    """1 to 100; chroma is kept in full."""
    png_pixels: int = 256 * 256
    """Views up to this area are PNG; above, it is several times larger and slower than JPEG for no visible gain."""

    def __post_init__(self) -> None:
        if not (1 <= self.jpeg_quality <= 100 and self.png_pixels >= 0):
            raise ConfigError(f"{self} is not an encoding: it needs 1 <= jpeg_quality <= 100 and png_pixels >= 0")


class HashedBytes(bytes):
    """Bytes that keep their hash. A store in memory gives the very same ones back, which need not be hashed again."""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self).hexdigest()


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An original image: its encoded bytes and what they are. Pixels are decoded when asked for and cached."""

    ref: ImageRef
    data: bytes = field(repr=False, compare=False)
    """As received; PNG bytes of the upright RGB pixels where the source was a PIL image."""
    source: str
    """What to call it in messages for people: short, without passwords."""
    seconds: float = field(default=DECODE_SECONDS, repr=False, compare=False)
    """Wall-clock time for decoding it, each time its pixels are needed."""

    def overview(self, size: Size) -> Image.Image:
        """The whole image at `size` (width, height), Lanczos, RGB. A JPEG is decoded at reduced scale where that does.

        Raises ImageError when the data cannot be decoded to the size that the reference states.
        """
        scale = jpeg_scale(self.ref.size, size) if self.ref.mime_type == "image/jpeg" else 1
        return self._render(None, size, scale)

    def region(self, box: Box, size: Size) -> Image.Image:
        """`box` (original upright pixels), cut at native resolution and shown at `size` (width, height), Lanczos, RGB.

        Raises ImageError when the box leaves the image, or the data cannot be decoded.
        """
        if not Box.whole(self.ref.size).contains(box):
            raise ImageError(
                f"box {box.as_list()} leaves {self.source} of {self.ref.width}x{self.ref.height} pixels: clip it first"
            )
        return self._render(box, size, 1)

    def _render(self, box: Box | None, size: Size, scale: int) -> Image.Image:
        def show(decoded: Decoded) -> Image.Image:
            if decoded.upright != self.ref.size:
                raise self._mismatch(decoded.upright)
            return decoded.overview(size) if box is None else decoded.region(box, size)

        queue, key = decode_queue(), (self.ref.sha256, scale)
        encoded = Encoded(self.data, self.source, _unlimited(self.ref.size))
        if encoded.size and sorted(encoded.size) != sorted(self.ref.size):
            raise self._mismatch(encoded.size)
        if not _is_apart(encoded, scale):
            need, limit = _need(encoded, scale), time_limit(self.seconds, self.source)
            return queue.show(Rank.SHOW, need, key, lambda: encoded.decode(scale), show, limit)
        kept = queue.show_kept(Rank.SHOW, key, show)
        if kept is not None:
            return kept
        looked = look_apart(encoded, Asked(scale, self.ref.size, box, size), Rank.SHOW, self.seconds)
        if looked.upright != self.ref.size:
            raise self._mismatch(looked.upright)
        if looked.whole is None:
            assert looked.view is not None, "it has the size that was named"
            return looked.view
        return _keep(looked.whole, key, show)

    def _mismatch(self, found: Size) -> ImageError:
        return ImageError(
            f"{self.source} has {found[0]}x{found[1]} pixels, but its reference says "
            f"{self.ref.width}x{self.ref.height}: open the image again"
        )


def open_image(source: ImageSource, *, limits: ImageLimits | None = None) -> SourceImage:
    """Read an image, check it against `limits` (default: `ImageLimits()`) and decode all of its data once.

    Of an animation the first frame counts; of a PIL image the current one. Raises ImageError, naming the source and
    what to do, when it cannot be read, is truncated, or is outside of the limits.
    """
    limits = limits or ImageLimits()
    if isinstance(source, Image.Image):
        return _from_pil(source, limits)
    received = receive(source, limits)
    encoded = Encoded(received.data, received.name, limits)
    data = HashedBytes(received.data)
    size = encoded.size if encoded.scalable else None
    scale = jpeg_scale(size, _usual_overview(size)) if size else 1
    key = (data.sha256, scale)
    upright, mime_type = (
        _check_apart(encoded, key, limits) if _is_apart(encoded, scale) else _check(encoded, key, limits)
    )
    limits.check_size(upright, received.name)
    return SourceImage(ImageRef(data.sha256, mime_type, *upright), data, received.name, limits.decode_seconds)


def _check(encoded: Encoded, key: tuple[str, int], limits: ImageLimits) -> tuple[Size, str]:
    """Size and type of an image, all of whose data was decoded in this process."""
    scale, limit = key[1], time_limit(limits.decode_seconds, encoded.name)
    return decode_queue().show(
        Rank.OPEN,
        _need(encoded, scale),
        key,
        lambda: encoded.decode(scale),
        lambda decoded: (decoded.upright, decoded.mime_type),
        limit,
    )


def _check_apart(encoded: Encoded, key: tuple[str, int], limits: ImageLimits) -> tuple[Size, str]:
    """The same for an image that is decoded in a process of its own."""
    kept = decode_queue().show_kept(Rank.OPEN, key, lambda decoded: (decoded.upright, decoded.mime_type))
    if kept is not None:
        return kept
    looked = look_apart(encoded, Asked(key[1]), Rank.OPEN, limits.decode_seconds)
    if looked.whole is not None:
        decode_queue().remember(key, looked.whole)
    return looked.upright, looked.mime_type


def _keep(decoded: Decoded, key: tuple[str, int], show: Callable[[Decoded], Image.Image]) -> Image.Image:
    queue = decode_queue()
    queue.remember(key, decoded)
    return queue.run(Rank.SHOW, 0, lambda: show(decoded))


def _is_apart(encoded: Encoded, scale: int) -> bool:
    """Whether an image is decoded in a process of its own. One of known cost is not, where none can be started."""
    return encoded.place(scale) is Place.APART and (can_start() or encoded.header is None or not encoded.bounded)


def _need(encoded: Encoded, scale: int) -> int:
    cost = encoded.cost(scale)
    assert cost is not None, "what is decoded in this process has a header that was read"
    return cost.nbytes


def load_image(
    ref: ImageRef, store: ImageStore, *, limits: ImageLimits | None = None, name: str | None = None
) -> SourceImage:
    """The original that `store` keeps under `ref`, not decoded yet. Messages call it `name`, or by its reference.

    Raises StoreError when it is missing or is not what the reference names, ImageError when it is outside of `limits`.
    """
    limits = limits or ImageLimits()
    limits.check_size(ref.size, ref.url)
    data = store.get(ref)
    limits.check_bytes(len(data), ref.url)
    # The hash of a PIL image is that of its pixels; such an image is always kept as PNG, which checks itself.
    if ref.mime_type != "image/png" and _hash_of(data) != ref.sha256:
        raise StoreError(
            f"{ref.url} in {store!r} holds other content than its hash says: delete it and open the image again"
        )
    return SourceImage(ref, data, name or ref.url, limits.decode_seconds)


def encode_view(image: Image.Image, encoding: ViewEncoding | None = None) -> tuple[bytes, ImageRef]:
    """An RGB view ready to send, as PNG or JPEG. The reference holds the hash of the encoded bytes."""
    encoding = encoding or ViewEncoding()
    buffer = io.BytesIO()
    if image.width * image.height <= encoding.png_pixels:
        mime_type = "image/png"
        image.save(buffer, "PNG", compress_level=1)  # 3 to 5 times faster than the default, for 4 to 19% more bytes
    else:
        mime_type = "image/jpeg"
        image.save(buffer, "JPEG", quality=encoding.jpeg_quality, subsampling=0)
    data = buffer.getvalue()
    return data, ImageRef(hashlib.sha256(data).hexdigest(), mime_type, image.width, image.height)


def _usual_overview(full: Size) -> Size:
    shrink = math.sqrt(max(1.0, full[0] * full[1] / _USUAL_OVERVIEW_PIXELS))
    return round(full[0] / shrink), round(full[1] / shrink)


def _unlimited(size: Size) -> ImageLimits:
    """Limits that an image of `size`, which was accepted once, keeps."""
    return ImageLimits(max_pixels=size[0] * size[1], max_aspect=MAX_ASPECT)


def _from_pil(image: Image.Image, limits: ImageLimits) -> SourceImage:
    name = f"PIL image ({image.mode}, {image.width}x{image.height})"
    limits.check_size(image.size, name)

    def convert() -> SourceImage:
        try:
            image.load()
            upright = to_upright(image, orientation_of(image))
            sha256 = _hash_of_pixels(upright)
            flat = flatten(upright).convert("RGB")
        except Exception as error:  # Decoders raise nearly every exception for damaged data.
            raise ImageError(f"{name} cannot be decoded ({reason(error)}): open it again") from error
        flat.info = {}
        buffer = io.BytesIO()
        flat.save(buffer, "PNG", compress_level=1)
        data = buffer.getvalue()
        limits.check_bytes(len(data), name)
        ref = ImageRef(sha256, "image/png", *flat.size)
        decode_queue().remember((sha256, 1), Decoded(flat, flat.size, 1, 1, "image/png"))
        return SourceImage(ref, data, name, limits.decode_seconds)

    need, limit = 14 * image.width * image.height, time_limit(limits.decode_seconds, name)
    return decode_queue().run(Rank.OPEN, need, convert, limit)


def _hash_of(data: bytes) -> str:
    return data.sha256 if isinstance(data, HashedBytes) else hashlib.sha256(data).hexdigest()


def _hash_of_pixels(image: Image.Image) -> str:
    digest = hashlib.sha256(f"{image.mode} {image.width} {image.height}\n".encode())
    for part in (image.getpalette("RGBA") or [], image.info.get("transparency")):
        digest.update(f"{part!r}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()
