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
    for message in reversed(_human(state, key)):
        if blocks := [block for block in message.content_blocks if _is_image(block)]:
            if len(blocks) > 1:
                raise ImageError(f"a message has {len(blocks)} images: send them one by one, each with its question")
            return _source(blocks[0])
    return None


def last_question(state: Any, key: str = MESSAGES) -> str | None:
    """The text of the last human message; None where there is none."""
    human = _human(state, key)
    return human[-1].text.strip() if human else None


def value_of(state: Any, key: str) -> Any:
    """What a state, a mapping or an object, has under `key`; None where it has nothing."""
    return state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)


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


def _source(block: Any) -> str:
    if data := block.get("base64"):
        return f"data:{block.get('mime_type') or ''};base64,{data}"
    url = block.get("url")
    if not isinstance(url, str):
        raise ImageError(
            f"an image of a message cannot be read from {sorted(block)}: "
            'send {"type": "image", "base64": …, "mime_type": …} or {"type": "image", "url": …}'
        )
    return url
