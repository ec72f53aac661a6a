"""Conversations for policies that know three roles: what is not theirs and not the system's is a user turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from cof_agent.images.views import View

Block: TypeAlias = Any
"""A content block: text or image."""


def user_turns(
    messages: Sequence[AnyMessage],
    system: str | None,
    *,
    observed: Callable[[ToolMessage, bool], list[Block]],
    asked: Callable[[list[Block]], list[Block]] = lambda blocks: blocks,
) -> list[BaseMessage]:
    """`messages` with the policy's text verbatim and everything between two of its turns in one user turn.

    `observed` writes an observation, told whether it is the last of a turn's; `asked` writes a question. Chat templates
    put text blocks side by side, so a line break comes before a text that follows another message's text.
    """
    rendered: list[BaseMessage] = [SystemMessage(system)] if system is not None else []
    for position, message in enumerate(messages):
        if isinstance(message, AIMessage):
            rendered.append(AIMessage(message.text))
            continue
        if isinstance(message, ToolMessage):
            last = position + 1 == len(messages) or not isinstance(messages[position + 1], ToolMessage)
            blocks = observed(message, last)
        else:  # what the graph itself says is a string
            blocks = blocks_of(message) if isinstance(message.content, str) else asked(blocks_of(message))
        if rendered and isinstance(rendered[-1], HumanMessage):
            earlier = blocks_of(rendered.pop())
            if earlier[-1]["type"] == blocks[0]["type"] == "text":
                blocks = [words("\n" + blocks[0]["text"]), *blocks[1:]]
            blocks = [*earlier, *blocks]
        rendered.append(HumanMessage(blocks))
    return rendered


def blocks_of(message: BaseMessage) -> list[Block]:
    """A message's content as blocks."""
    content = message.content
    return [words(content)] if isinstance(content, str) else list(content)


def words(text: str) -> Block:
    """A text block."""
    return {"type": "text", "text": text}


def count_images(messages: Sequence[AnyMessage]) -> int:
    """How many images the conversation is about. In graph state they stand in a question, and regions do not."""
    asked = [block for message in messages if isinstance(message, HumanMessage) for block in blocks_of(message)]
    return sum(block["type"] == "image" for block in asked)


def image_in(message: ToolMessage) -> tuple[Block, View] | None:
    """The region that an observation shows; None where the call was refused or the region is no longer shown."""
    images = [block for block in blocks_of(message) if block["type"] == "image"]
    return (images[0], View.from_json(message.artifact)) if images else None
