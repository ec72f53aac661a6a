"""Thoughts that stand beside the text of a turn: servers with a parser for reasoning take them out of it."""

from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage

KEY = "reasoning_content"
"""Where a message has the thought, among its `additional_kwargs`."""


def thought_beside(message: BaseMessage) -> str | None:
    """The thought beside the text, without the blanks around it; None where there is no text under the key."""
    thought = message.additional_kwargs.get(KEY)
    return thought.strip() if isinstance(thought, str) else None


def with_thought(message: AIMessage) -> str:
    """The text of a turn, after the thought beside it in `<think>`, unless the text has one of its own."""
    text, thought = str(message.text), thought_beside(message)
    return f"<think>{thought}</think>{text}" if thought and "<think>" not in text else text
