"""The image and the question of a conversation in LangChain messages."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages

from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import open_image
from cof_agent.images.source_image import SourceImage
from cof_agent.loop.overview import is_list

MESSAGES = "messages"
"""Where LangGraph's `MessagesState` has them."""


_FILES = ("file", "media", "input_file", "document")
"""Types of blocks that hold an image if their MIME type or name says so: LangChain's standard, Google's, OpenAI's,
Anthropic's. Google's own API has no type."""
_INSIDE = ("source", "file", "image", "image_url", "inlineData", "inline_data", "fileData", "file_data", "extras")
_DATA = ("base64", "data", "file_data", "bytes")
_URLS = ("url", "image_url", "file_uri", "fileUri", "file_url")
_MIME_TYPES = ("mime_type", "mimeType", "media_type")
_NAMES = ("filename", "file_name", "name", "title")
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2")


class Candidates(list[Any]):
    """Images of which a node looks at the first that can be opened, the newest first; `last_images` gives them.

    An entry that is a list holds images that belong together. Any other list holds images of one question.
    """


def last_image(state: Any, key: str = MESSAGES) -> str | list[str] | None:
    """The image of the last human message that has one, as a URL (`data:` where the bytes are in the message) or path.

    A list where that message has several: one question is about all of them. None where no message has one. Raises
    ImageError for an image that cannot be read.
    """
    meant = images_meant(_human(state, key))
    return _together(meant[0]) if meant else None


def last_images(state: Any, key: str = MESSAGES) -> Candidates:
    """What the last question of a conversation may be about, as an `image_key` that lets one bad image pass.

    The image of the last human message, if it has one, or the list of its images: a bad one is an error then. Else
    those of the human messages before, the newest first: of these the node looks at the first that can be opened.
    Raises ImageError as `last_image` does, for the newest message that has images.
    """
    return Candidates(sources_of(_human(state, key)))


def last_question(state: Any, key: str = MESSAGES) -> str | None:
    """The text of the last human message; None where there is none."""
    human = _human(state, key)
    return human[-1].text.strip() if human else None


def images_meant(messages: Sequence[Any]) -> list[list[Any]]:
    """The image blocks that a question at the end of `messages` may be about: a list a message, the newest first.

    Those of the newest message with images alone, unless a human message without any has come since.
    """
    shown = [(place, blocks) for place, message in enumerate(messages) if (blocks := _images_in(message))]
    since = messages[shown[-1][0] + 1 :] if shown else []
    asked = any(isinstance(message, HumanMessage) for message in since)
    return [blocks for _, blocks in (shown[::-1] if asked else shown[-1:])]


def sources_of(messages: Sequence[Any]) -> list[str | list[str]]:
    """The sources of `images_meant`, a list for a message with several; of earlier messages, of those that can be read.

    Raises ImageError where one of the newest cannot be read.
    """
    newest, *before = images_meant(messages) or [[]]
    readable = [blocks for blocks in before if all(_url_of(block) is not None for block in blocks)]
    found = [_together(blocks) for blocks in ([newest, *readable] if newest else [])]
    return [source for place, source in enumerate(found) if source not in found[:place]]


def each_of(image: Any) -> list[Any]:
    """The images that `image` stands for: those of a list, or itself."""
    return list(image) if is_list(image) else [image]


def first_that_opens(
    candidates: Sequence[Any], limits: ImageLimits | None
) -> tuple[Any, list[SourceImage], ImageError | None]:
    """Of several candidates the first that can be opened, what it is opened, and what was wrong with the very first.

    A list is opened whole or not at all. One candidate alone is left to whoever looks at it to open, and so is the
    first where none can be opened.
    """
    problem: ImageError | None = None
    for image in candidates if len(candidates) > 1 else ():
        try:
            return image, [open_image(one, limits=limits) for one in each_of(image)], problem
        except ImageError as error:
            problem = problem or error
    return next(iter(candidates), None), [], None


def about_another(sources: Sequence[str], problem: ImageError) -> str:
    """Says that an answer is about the earlier images of those `sources`, and what was wrong with the newest."""
    images = f"image before, {sources[0]}," if len(sources) == 1 else f"{len(sources)} images before, {_and(sources)},"
    return f"(This is about the {images} for the newest cannot be opened: {problem})"


def source_of(block: Any) -> str:
    """The URL (`data:` where the block has the bytes) or path of the image in a block of `content_blocks`.

    Raises ImageError for a block that has neither.
    """
    url = _url_of(block)
    if url is None:
        raise ImageError(
            f"an image of a message cannot be read from {sorted(_bare(block))}: pass its path or URL, or "
            'send {"type": "image", "base64": …, "mime_type": …} or {"type": "image", "url": …}'
        )
    return url


def value_of(state: Any, key: str) -> Any:
    """What a state, a mapping or an object, has under `key`; None where it has nothing."""
    return state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)


def _images_in(message: Any) -> list[Any]:
    blocks = message.content_blocks if isinstance(message, BaseMessage) else []
    return [block for block in blocks if _is_image(block)]


def _together(blocks: list[Any]) -> str | list[str]:
    """The source of a message's only image, or a list of those of its images."""
    sources = [source_of(block) for block in blocks]
    return sources[0] if len(sources) == 1 else sources


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _url_of(block: Any) -> str | None:
    for part in _parts(_bare(block)):
        data = next((part[key] for key in _DATA if isinstance(part.get(key), str | bytes) and part[key]), None)
        if isinstance(data, str) and data.startswith("data:"):
            return data
        if data is not None:
            encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
            return f"data:{_mime_type(block)};base64,{encoded}"
        if url := next((part[key] for key in _URLS if isinstance(part.get(key), str) and part[key]), None):
            return str(url)
    return None


def _bare(block: Any) -> Any:
    """The block itself, also of the forms that LangChain leaves as they are."""
    inner = block.get("value")
    return inner if block["type"] == "non_standard" and isinstance(inner, dict) else block


def _parts(bare: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A block, and what stands inside of it: vendors put bytes and addresses one level deeper."""
    return [bare, *(bare[key] for key in _INSIDE if isinstance(bare.get(key), Mapping))]


def _mime_type(block: Any) -> str:
    found = [part.get(key) for part in _parts(_bare(block)) for key in _MIME_TYPES]
    return next((kind for kind in found if isinstance(kind, str)), "")


def _human(state: Any, key: str) -> list[BaseMessage]:
    messages = value_of(state, key)
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise ConfigError(f"the state has a list of messages under {key!r}, not {messages!r:.80}")
    try:
        return [message for message in convert_to_messages(messages) if isinstance(message, HumanMessage)]
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"the state has something else than messages under {key!r}: {error}") from error


def _is_image(block: Any) -> bool:
    bare = _bare(block)
    if "image" in str(bare.get("type")):
        return True
    if bare.get("type", "media") not in _FILES:
        return False
    parts = _parts(bare)
    names = [part.get(key) for part in parts for key in _NAMES]
    data = [part.get(key) for part in parts for key in _DATA]
    return (
        _mime_type(block).lower().startswith("image/")
        or any(isinstance(name, str) and name.lower().endswith(_ENDINGS) for name in names)
        or any(isinstance(text, str) and text.lower().startswith("data:image/") for text in data)
    )
