"""An image whose pixels are decoded as a whole: the usual way of a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.codecs.decoding import Decoded, Encoded, jpeg_scale
from cof_agent.images.codecs.formats import Place
from cof_agent.images.codecs.tiff_pages import page_of
from cof_agent.images.geometry import MAX_ASPECT, Box, Size
from cof_agent.images.limits import ImageLimits
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering.apart import Asked, look_apart
from cof_agent.images.rendering.decode_queue import Key, Rank, decode_queue
from cof_agent.images.rendering.limited_process import can_start
from cof_agent.images.time_limit import time_limit


@dataclass(frozen=True, slots=True)
class WholeImage:
    """Encoded bytes that are decoded when pixels are asked for. What was decoded is kept for a while."""

    ref: ImageRef
    data: bytes = field(repr=False)
    name: str
    """What to call it in messages."""
    seconds: float
    """Wall-clock time for decoding it, each time its pixels are needed."""

    @property
    def size(self) -> Size:
        return self.ref.size

    @property
    def identity(self) -> str:
        return self.ref.url

    def overview(self, size: Size) -> Image.Image:
        """All of it at `size`, Lanczos. A JPEG is decoded at reduced scale where that does."""
        scale = jpeg_scale(self.ref.size, size) if self.ref.mime_type == "image/jpeg" else 1
        return self._render(None, size, scale)

    def region(self, box: Box, size: Size) -> Image.Image:
        """`box`, cut at native resolution and shown at `size`, Lanczos."""
        return self._render(box, size, 1)

    def _render(self, box: Box | None, size: Size, scale: int) -> Image.Image:
        def show(decoded: Decoded) -> Image.Image:
            if decoded.upright != self.ref.size:
                raise self._mismatch(decoded.upright)
            return decoded.overview(size) if box is None else decoded.region(box, size)

        queue, key = decode_queue(), key_of(self.ref.sha256, scale, self.ref.page)
        encoded = Encoded(page_of(self.data, self.ref.page), self.name, _unlimited(self.ref.size))
        if encoded.size and sorted(encoded.size) != sorted(self.ref.size):
            raise self._mismatch(encoded.size)
        if not is_apart(encoded, scale):
            need, limit = need_of(encoded, scale), time_limit(self.seconds, self.name)
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
            f"{self.name} has {found[0]}x{found[1]} pixels, but its reference says "
            f"{self.ref.width}x{self.ref.height}: open the image again"
        )


def check_whole(encoded: Encoded, key: Key, seconds: float) -> tuple[Size, str]:
    """Upright size and MIME type of an image, all of whose data is decoded for that, at the scale of `key`.

    Raises ImageError where it is damaged or takes longer than `seconds`.
    """
    queue, scale = decode_queue(), key[1]
    if not is_apart(encoded, scale):
        need, limit = need_of(encoded, scale), time_limit(seconds, encoded.name)
        return queue.show(Rank.OPEN, need, key, lambda: encoded.decode(scale), _size_and_type, limit)
    kept = queue.show_kept(Rank.OPEN, key, _size_and_type)
    if kept is not None:
        return kept
    looked = look_apart(encoded, Asked(key[1]), Rank.OPEN, seconds)
    if looked.whole is not None:
        queue.remember(key, looked.whole)
    return looked.upright, looked.mime_type


def key_of(sha256: str, scale: int, page: int | None) -> Key:
    """Under what the decoded pixels of an image are kept."""
    return f"{sha256}#{page}" if page else sha256, scale


def is_apart(encoded: Encoded, scale: int) -> bool:
    """Whether an image is decoded in a process of its own. One of known cost is not, where none can be started."""
    return encoded.place(scale) is Place.APART and (can_start() or encoded.header is None or not encoded.bounded)


def need_of(encoded: Encoded, scale: int) -> int:
    """Memory that decoding takes, in bytes."""
    cost = encoded.cost(scale)
    assert cost is not None, "what is decoded in this process has a header that was read"
    return cost.nbytes


def _size_and_type(decoded: Decoded) -> tuple[Size, str]:
    return decoded.upright, decoded.mime_type


def _keep(decoded: Decoded, key: Key, show: Callable[[Decoded], Image.Image]) -> Image.Image:
    queue = decode_queue()
    queue.remember(key, decoded)
    return queue.run(Rank.SHOW, 0, lambda: show(decoded))


def _unlimited(size: Size) -> ImageLimits:
    """Limits that an image of `size`, which was accepted once, keeps."""
    return ImageLimits(max_pixels=size[0] * size[1], max_aspect=MAX_ASPECT)
