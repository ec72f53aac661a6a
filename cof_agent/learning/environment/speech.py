"""How a trainer writes and reads the turns of a conversation, so that they are those of the loop."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

TURN_END = "turn_end"
"""Key of a block that belongs behind the last observation of a turn: a method cannot know whether it is the last."""

CHAT_TEMPLATE = resources.files(__package__).joinpath("chat_template.jinja").read_text(encoding="utf-8")
"""ChatML in which the observations of a turn are one user turn, as the dialect `cof` sends them."""

RESPONSE_TEMPLATE: Mapping[str, Any] = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
    },
}
"""How the trainer finds the calls of a turn; thoughts stay in the text."""


def prepare(processor: Any) -> Any:
    """Let a processor of Qwen-VL write and read turns as the loop does; returns it.

    Its image processor gives tensors from now on, which the trainer takes for granted. It keeps all that when it is
    saved; served by the loop it makes no difference.
    """
    processor.image_processor.return_tensors = "pt"
    processor.chat_template = processor.tokenizer.chat_template = CHAT_TEMPLATE
    processor.tokenizer.response_template = dict(RESPONSE_TEMPLATE)
    return processor


def said(completion: Iterable[Mapping[str, Any]]) -> str:
    """The policy's own words of a completion, as rewards take them: its turns, one below the other, calls included."""
    return "\n".join(turn_text(message) for message in completion if message["role"] == "assistant")


def turn_text(message: Mapping[str, Any]) -> str:
    """A turn as text, its calls included."""
    content = message["content"]
    text = content if isinstance(content, str) else "".join(block.get("text") or "" for block in content)
    calls = (json.dumps(call["function"], ensure_ascii=False) for call in message.get("tool_calls") or [])
    return text + "".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)
