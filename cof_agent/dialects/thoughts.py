"""Thoughts that stand beside the text of a turn: servers with a parser for reasoning take them out of it."""

from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage

KEY = "reasoning_content"
"""Where a message has the thought, among its `additional_kwargs`."""

_MARKS = ("<answer>", "<tool_call>", "<grounding>", "<|image_zoomin|>", "\\boxed{")
"""What a call or an answer begins with, or a call ends with, in the dialects that are written."""


def thought_beside(message: BaseMessage) -> str | None:
    """The thought beside the text, without the blanks around it; None where there is no text under the key."""
    thought = message.additional_kwargs.get(KEY)
    return thought.strip() if isinstance(thought, str) else None


def all_thought(message: AIMessage) -> str | None:
    """The thought beside a turn without text and calls, where the turn itself stands in it; None anywhere else.

    A server that waits in vain for the end of a thought sends the whole turn as one. Where the thought tries several
    answers, none of them is the turn's.
    """
    if message.text.strip() or message.tool_calls or message.invalid_tool_calls:
        return None
    thought = thought_beside(message) or ""
    return thought if any(mark in thought for mark in _MARKS) and thought.count("<answer>") < 2 else None


def with_thought(message: AIMessage) -> str:
    """The text of a turn, after the thought beside it in `<think>`, unless the text has one of its own."""
    text, thought = str(message.text), thought_beside(message)
    if turn := all_thought(message):
        return turn
    parted = thought and "<think>" not in text and thought != text.strip()
    return f"<think>{thought}</think>{text}" if parted else text
