"""Scripted conversations about made pictures, as tests write them down."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from PIL import Image

from cof_agent.dialects.profile import Profile
from cof_agent.policies import Policy
from cof_agent.policies.script import ScriptedModel
from tests.support.patience import PATIENCE

BOTH = Profile(tools=("image_zoom_in_tool", "image_crop_tool"))


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def zoom(*box: Any, **more: Any) -> str:
    return "<think>I look closer.</think>" + call("image_zoom_in_tool", bbox_2d=list(box), **more)


def crop(*box: Any, **more: Any) -> str:
    return "<think>I look closer.</think>" + call("image_crop_tool", bbox_2d=list(box), **more)


def answer(text: str) -> str:
    return f"<think>I see it.</think><answer>{text}</answer>"


def scripted(*turns: str, profile: Profile | None = None) -> Policy:
    return Policy(ScriptedModel(turns=list(turns)), profile or Profile(), "script")


def photo(width: int = 640, height: int = 480) -> Image.Image:
    """Red grows to the right and green downwards, so every place has its own colour. Shown at 644x476 by default."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 40)))


class WatchedModel(ScriptedModel):
    """Keeps what it was shown."""

    prompts: list[list[BaseMessage]]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.prompts.append(list(messages))
        return super()._generate(messages, *args, **kwargs)


def watched(*turns: str, profile: Profile | None = None) -> tuple[Policy, list[list[BaseMessage]]]:
    model = WatchedModel(turns=list(turns), prompts=[])
    return Policy(model, profile or Profile(), "watched"), model.prompts


class SlowModel(WatchedModel):
    """Does not reply as long as a test waits: to no call, or to all but the one that asks for its last answer."""

    closes: bool
    on_call: Callable[[], None] | None = None

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(messages, *args, **kwargs)
        if self.on_call:
            self.on_call()
        if not (self.closes and Profile().prompts.closing in texts(messages)[-1]):
            threading.Event().wait(2 * PATIENCE)
        return result


def slow(*turns: str, closes: bool = False, on_call: Callable[[], None] | None = None) -> Policy:
    return Policy(SlowModel(turns=list(turns), prompts=[], closes=closes, on_call=on_call), Profile(), "slow")


def texts(prompt: list[BaseMessage]) -> list[str]:
    """All text blocks of a prompt."""
    blocks = [block for message in prompt for block in _blocks(message)]
    return [block["text"] for block in blocks if block["type"] == "text"]


def images(prompt: list[BaseMessage]) -> int:
    return sum(block["type"] == "image" for message in prompt for block in _blocks(message))


def _blocks(message: BaseMessage) -> list[Any]:
    return [{"type": "text", "text": message.content}] if isinstance(message.content, str) else list(message.content)
