"""The image and the question of a conversation in LangChain messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages

from cof_agent.errors import ConfigError, ImageError

MESSAGES = "messages"
"""Where LangGraph's `MessagesState` has them."""


def last_image(state: Any, key: str = MESSAGES) -> str | None:
    """The image of the last human message that has one, as a URL (`data:` where the bytes are in the message) or path.

    None where no message has one. Raises ImageError for a message with several images, or one that cannot be read.
    """
    blocks = newest_images(_human(state, key))
    if len(blocks) > 1:
        raise ImageError(f"a message has {len(blocks)} images: send them one by one, each with its question")
    return source_of(blocks[0]) if blocks else None


def last_images(state: Any, key: str = MESSAGES) -> list[str]:
    """What the last question of a conversation may be about, as an `image_key` that lets one bad image pass.

    The image of the last human message, if it has one: a bad one is an error then. Else those of the human messages
    before, the newest first: of these the node looks at the first that can be opened. Raises ImageError as
    `last_image` does, for the newest message that has images.
    """
    newest = last_image(state, key)
    human = _human(state, key)
    if newest is None or newest_images(human[-1:]):
        return [newest] if newest is not None else []
    shown = [newest_images([message]) for message in reversed(human)]
    urls = [url for blocks in shown if len(blocks) == 1 and (url := _url_of(blocks[0])) is not None]
    return list(dict.fromkeys(urls))


def last_question(state: Any, key: str = MESSAGES) -> str | None:
    """The text of the last human message; None where there is none."""
    human = _human(state, key)
    return human[-1].text.strip() if human else None


def newest_images(messages: Sequence[Any]) -> list[Any]:
    """The image blocks of the last of `messages` that has any, in their order."""
    for message in reversed(messages):
        blocks = message.content_blocks if isinstance(message, BaseMessage) else []
        if images := [block for block in blocks if _is_image(block)]:
            return images
    return []


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


def _url_of(block: Any) -> str | None:
    bare = _bare(block)
    if data := bare.get("base64"):
        return f"data:{bare.get('mime_type') or ''};base64,{data}"
    url = bare.get("url") or bare.get("image_url")
    return url if isinstance(url, str) else None


def _bare(block: Any) -> Any:
    """The block itself, also of OpenAI's forms, which LangChain leaves as they are."""
    return block if block["type"] == "image" else block["value"]


def _human(state: Any, key: str) -> list[BaseMessage]:
    messages = value_of(state, key)
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise ConfigError(f"the state has a list of messages under {key!r}, not {messages!r:.80}")
    try:
        return [message for message in convert_to_messages(messages) if isinstance(message, HumanMessage)]
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"the state has something else than messages under {key!r}: {error}") from error


def _is_image(block: Any) -> bool:
    foreign = block.get("value")
    return block["type"] == "image" or (isinstance(foreign, dict) and "image" in str(foreign.get("type")))
