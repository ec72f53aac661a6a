"""What a tool call found, as a result of limited size: views get smaller, and what is left out can be linked to."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images.display_name import nth_image
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View

LINKS_SINCE = "2025-06-18"
"""The version of the protocol that brought resource links."""

_ENVELOPE = 4096
"""Bytes for what stands around a result in a message."""
_QUALITY = 85
"""Of views that are made smaller, as JPEG."""
_AREAS = (None, *(round(2 ** (20 - step / 2)) for step in range(9)))
"""Pixels that a view which is made smaller has at most, tried in turn."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a call found: words, views and values."""

    text: str
    views: Sequence[View]
    values: dict[str, Any]
    failed: bool = False
    images: int = 1
    """Images that the question is about: of several, the words name the one that a view shows."""

    def words_of(self, view: View) -> str:
        """What is said of a view."""
        return view.describe(nth_image(view.image_index, self.images) if self.images > 1 else None)


@dataclass(frozen=True, slots=True)
class _Picture:
    """The bytes that are sent for a view."""

    view: View
    data: bytes | None
    """None: not sent."""
    mime_type: str
    size: tuple[int, int]
    whole: bool = True
    """Whether they are the view's own."""


def refusal(why: str) -> CallToolResult:
    """A result that says what is wrong, and can be mended by the caller."""
    return CallToolResult(content=[TextContent(text=why)], is_error=True)


def result_within(
    finding: CallOutcome, store: ImageStore, most: int, *, readable: bool = True, links: bool = True
) -> tuple[CallToolResult, list[View]]:
    """The result, of at most `most` bytes as it is sent; and the views that it refers to as resources.

    Views that do not fit are made smaller, all alike; where that is not enough, the last ones are sent, and the others
    not at all. Of what is not sent whole the words name the resource, if resources are `readable`, with a resource
    link if the client knows `links`.
    """
    whole = [_whole(view, store) for view in finding.views]
    for pictures in _tries(whole):
        result = _result(finding, pictures, readable, links)
        if size_of(result) <= most:
            return result, [picture.view for picture in pictures if readable and not picture.whole]
    return refusal(
        f"the answer alone takes {size_of(result) // 1024} KiB, more than the {most // 1024} that a result may have: "
        "ask for less, or have whoever starts the server raise --max-result-kb"
    ), []


def size_of(result: CallToolResult) -> int:
    """Bytes of its message at most, however it is written as JSON."""
    return len(json.dumps(result.model_dump(mode="json", by_alias=True))) + _ENVELOPE


def image_within(data: bytes, mime_type: str, most: int) -> tuple[bytes, str]:
    """An encoded image whose base64 has at most `most` bytes, smaller where it must be; and its MIME type."""
    if _base64_size(data) <= most:
        return data, mime_type
    for area in (*_AREAS, 2**14, 2**12):
        smaller, _ = _smaller(data, area)
        if _base64_size(smaller) <= most:
            break
    return smaller, "image/jpeg"


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _tries(whole: list[_Picture]) -> Iterator[list[_Picture]]:
    """Pictures to send, ever less of them."""
    yield whole
    pictures = whole
    for area in _AREAS:
        pictures = [_reduced(picture, area) for picture in whole]
        yield pictures
    for count in range(1, len(pictures) + 1):
        yield [replace(each, data=None, whole=False) for each in pictures[:count]] + pictures[count:]


def _whole(view: View, store: ImageStore) -> _Picture:
    try:
        return _Picture(view, store.get(view.image), view.image.mime_type, view.shown)
    except ImageError:  # the store had to make room meanwhile
        return _Picture(view, None, view.image.mime_type, view.shown, whole=False)


def _reduced(picture: _Picture, area: int | None) -> _Picture:
    """Smaller, if that makes it take less."""
    if picture.data is None:
        return picture
    data, size = _smaller(picture.data, area)
    if len(data) >= len(picture.data):
        return picture
    return replace(picture, data=data, mime_type="image/jpeg", size=size, whole=False)


def _smaller(data: bytes, area: int | None) -> tuple[bytes, tuple[int, int]]:
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    if area is not None and (pixels := image.width * image.height) > area:
        scale = math.sqrt(area / pixels)
        size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue(), image.size


def _result(finding: CallOutcome, pictures: list[_Picture], readable: bool, links: bool) -> CallToolResult:
    content: list[ContentBlock] = [TextContent(text=finding.text)] if finding.text else []
    for picture in pictures:
        content += _blocks(picture, finding.words_of(picture.view), readable, links)
    return CallToolResult(content=content, structured_content=finding.values, is_error=finding.failed)


def _blocks(picture: _Picture, described: str, readable: bool, links: bool) -> list[ContentBlock]:
    view, words = picture.view, described
    if not picture.whole:
        size = "less quality" if picture.size == view.shown else f"{picture.size[0]}x{picture.size[1]}"
        here = f"here at {size}" if picture.data is not None else "not here"
        where = f"; whole: the resource {view.image.url}" if readable else ""
        words = f"{words} ({here}, for a result has its limit{where})"
    blocks: list[ContentBlock] = [TextContent(text=words)]
    if picture.data is not None:
        blocks.append(ImageContent(data=base64_of(picture.data), mime_type=picture.mime_type))
    if readable and links and not picture.whole:
        ref, name = view.image, f"view-{view.index}-{view.image.sha256[:8]}"
        blocks.append(ResourceLink(uri=ref.url, name=name, description=described, mime_type=ref.mime_type))
    return blocks


def _base64_size(data: bytes) -> int:
    return 4 * math.ceil(len(data) / 3)
