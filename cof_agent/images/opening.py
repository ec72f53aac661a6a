"""Images from anywhere: photos, pages, and whatever else can show a region of itself."""

from __future__ import annotations

import hashlib
import io
import math
import os
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

from PIL import Image

from cof_agent.errors import ImageError, StoreError
from cof_agent.images.codecs.decoding import Decoded, Encoded, jpeg_scale, orientation_of, reason, to_upright
from cof_agent.images.codecs.flattening import flatten
from cof_agent.images.codecs.tiff_pages import is_cut_tiff, page_of, tiff_pages
from cof_agent.images.geometry import Size
from cof_agent.images.limits import DECODE_SECONDS, ImageLimits
from cof_agent.images.receiving.page_name import split_page
from cof_agent.images.receiving.referenced_file import check_file
from cof_agent.images.receiving.slide_files import check_companions
from cof_agent.images.receiving.source_bytes import Received, receive
from cof_agent.images.reference import OBJECT, ImageRef
from cof_agent.images.region_source import RegionSource, remember_source, remembered_source
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.images.rendering.region_process import Content, RegionProcess
from cof_agent.images.rendering.whole import WholeImage, check_whole, key_of
from cof_agent.images.source_image import SourceImage
from cof_agent.images.source_kinds import SourceKind, kind_named, kind_of, kind_of_file
from cof_agent.images.store import ImageStore
from cof_agent.images.time_limit import time_limit
from cof_agent.images.view_encoding import ViewEncoding, encode_view

__all__ = [
    "ImageLimits",
    "ImageRef",
    "ImageSource",
    "RegionSource",
    "SourceImage",
    "ViewEncoding",
    "encode_view",
    "load_image",
    "open_image",
    "whole_image",
]

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | RegionSource | SourceImage"
)
"""A path, a URL (file, http(s), s3, gs, az, data), encoded bytes, a PIL image, an object that shows regions, or an
image that was opened.

A path or URL may name a page: `plan.pdf#page=3`."""

_USUAL_OVERVIEW_PIXELS = 1280 * 28 * 28
"""The default overview budget: the scale at which a JPEG is decoded when it is opened suits an overview this large."""


class HashedBytes(bytes):
    """Bytes that keep their hash. A store in memory gives the very same ones back, which need not be hashed again."""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self).hexdigest()


def open_image(source: ImageSource, *, limits: ImageLimits | None = None, page: int | None = None) -> SourceImage:
    """Read an image, check it against `limits` (default: `ImageLimits()`) and decode all of its data once.

    Of a document, `page` is chosen (from 1; a PDF's first without it), which the source may name as well. Of an
    animation the first frame counts; of a PIL image the current one. What can show regions of itself is taken as it is.

    Raises ImageError, naming the source and what to do, when it cannot be read, is truncated, lacks the page, or is
    outside of the limits, and MissingFormatError, one of these, where an extra has to be installed for it.
    """
    limits = limits or ImageLimits()
    source, page = split_page(source, page, limits)
    if isinstance(source, Image.Image):
        opened = _from_pil(source, limits)
        check_only_page(page, opened.source)
        return opened
    if isinstance(source, SourceImage):
        check_only_page(page, source.source)
        return source
    if isinstance(source, RegionSource):
        return _from_object(source, limits, page)
    received = receive(source, limits, lambda path, file, length: kind_of_file(path, file, length, limits))
    kind = received.kind or kind_of(received.data)
    return _opened_apart(received, kind, limits, page) if kind else _opened_whole(received, limits, page)


def load_image(
    ref: ImageRef, store: ImageStore, *, limits: ImageLimits | None = None, name: str | None = None
) -> SourceImage:
    """The original that `store` keeps under `ref`, not decoded yet. Messages call it `name`, or by its reference.

    One that names a file is read there, and one of an object is found in this process.

    Raises StoreError when it is missing or is not what the reference names, ImageError when it is outside of `limits`.
    """
    limits = limits or ImageLimits()
    name = name or ref.url
    if ref.mime_type == OBJECT:
        return SourceImage(ref, b"", name, remembered_source(ref))
    kind = kind_named(ref)
    _check_size(kind, ref.size, ref.url, limits)
    if ref.file is not None:
        if kind is None:
            raise StoreError(f"{ref.url} names a file of type {ref.mime_type}, which is not read where it lies")
        content = _content(kind, name, limits, ref.page, file=check_file(ref, limits), identity=ref.sha256)
        return SourceImage(ref, b"", name, RegionProcess(content, ref.size, ref.url))
    data = store.get(ref)
    limits.check_bytes(len(data), ref.url)
    # The hash of a PIL image is that of its pixels; such an image is always kept as PNG, which checks itself.
    if ref.mime_type != "image/png" and _hash_of(data) != ref.sha256:
        raise StoreError(
            f"{ref.url} in {store!r} holds other content than its hash says: delete it and open the image again"
        )
    if kind is not None:
        content = _content(kind, name, limits, ref.page, data)
        return SourceImage(ref, data, name, RegionProcess(content, ref.size, ref.url))
    return whole_image(ref, data, name, limits.decode_seconds)


def whole_image(ref: ImageRef, data: bytes, name: str, seconds: float = DECODE_SECONDS) -> SourceImage:
    """The image that `data` encodes, which is decoded as a whole, in up to `seconds` each time."""
    return SourceImage(ref, data, name, WholeImage(ref, data, name, seconds))


def check_only_page(page: int | None, name: str) -> None:
    """Raise ImageError where another page than the first is asked of what has no pages."""
    if page not in (None, 1):
        raise ImageError(f"{name} has one page, so there is no page {page}: leave the page out")


def _opened_whole(received: Received, limits: ImageLimits, page: int | None) -> SourceImage:
    pages = tiff_pages(received.data)
    if is_cut_tiff(received.data):
        length = len(received.data)
        raise ImageError(f"{received.name} is truncated at {length:,} bytes: copy, download or save it again")
    if len(pages) > 1:
        page = _chosen(page, len(pages), received.name)
    else:
        check_only_page(page, received.name)
        page = 1 if pages else None  # which may lie behind its thumbnail
    data = HashedBytes(received.data)
    paged = page_of(data, page)
    encoded = Encoded(paged, received.name, limits)
    size = encoded.size if encoded.scalable else None
    scale = jpeg_scale(size, _usual_overview(size)) if size else 1
    named = page if len(pages) > 1 or paged is not data else None
    upright, mime_type = check_whole(encoded, key_of(data.sha256, scale, named), limits.decode_seconds)
    limits.check_size(upright, received.name)
    ref = ImageRef(data.sha256, mime_type, *upright, page=named)
    opened = whole_image(ref, data, received.name, limits.decode_seconds)
    return replace(opened, pages=max(1, len(pages)))


def _chosen(page: int | None, pages: int, name: str) -> int:
    if page is None or page > pages:
        lacks = "" if page is None else f", so there is no page {page}"
        raise ImageError(
            f"{name} is a TIFF of {pages:,} pages{lacks}: choose one from 1 to {pages}, with #page=1 behind its name "
            "or page=1"
        )
    return page


def _opened_apart(received: Received, kind: SourceKind, limits: ImageLimits, page: int | None) -> SourceImage:
    data = HashedBytes(b"" if received.file else received.data)
    content = _content(kind, received.name, limits, page, data, received.file, received.identity)
    found = content.describe(limits)
    _check_size(kind, found.size, received.name, limits)
    ref = ImageRef(received.identity or data.sha256, found.mime_type, *found.size, found.page, received.file)
    content = replace(content, page=found.page)
    return SourceImage(ref, data, received.name, RegionProcess(content, found.size, ref.url), found.pages)


def _content(
    kind: SourceKind,
    name: str,
    limits: ImageLimits,
    page: int | None,
    data: bytes = b"",
    file: str | None = None,
    identity: str | None = None,
) -> Content:
    """What a process is to render, as `limits` allow it."""
    if file is not None and kind.name == "slide":
        check_companions(file, limits)
    resolved = limits.roots is not None
    return Content(kind.name, name, data, file, page, limits.decode_seconds, identity, resolved)


def _check_size(kind: SourceKind | None, size: Size, name: str, limits: ImageLimits) -> None:
    if kind is not None and kind.is_large:
        limits.check_large(size, name)
    else:
        limits.check_size(size, name)


def _from_object(source: RegionSource, limits: ImageLimits, page: int | None) -> SourceImage:
    ref, name = remember_source(source), f"{type(source).__name__} of {source.size[0]}x{source.size[1]} pixels"
    check_only_page(page, name)
    return SourceImage(ref, b"", name, source)


def _usual_overview(full: Size) -> Size:
    shrink = math.sqrt(max(1.0, full[0] * full[1] / _USUAL_OVERVIEW_PIXELS))
    return round(full[0] / shrink), round(full[1] / shrink)


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
        decode_queue().remember(key_of(sha256, 1, None), Decoded(flat, flat.size, 1, 1, "image/png"))
        return whole_image(ref, data, name, limits.decode_seconds)

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
