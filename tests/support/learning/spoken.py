"""Runs of scripts in several dialects, saved as trajectories, with what the model was really sent."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage
from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.agent.result import FocusResult
from cof_agent.dialects import default_profile
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.xml_calls import xml_call
from cof_agent.learning.exports.conversation import Conversation
from tests.support.conversations import answer, call, crop, photo, watched, zoom

Spoken: TypeAlias = list[tuple[str, list[str | bytes]]]
"""Role and parts of each message: texts, and images as their bytes."""

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def deepeyes(*box: int) -> str:
    return "<think>Closer.</think>" + call("image_zoom_in_tool", bbox_2d=list(box), label="it")


def qwen3(*box: int, image: int = 0) -> str:
    return "<think>Closer.</think>" + call("image_zoom_in_tool", bbox_2d=list(box), label="it", img_idx=image)


def qwen3_5(*box: int, image: int = 0) -> str:
    call = xml_call("image_zoom_in_tool", {"bbox_2d": list(box), "label": "it", "img_idx": image})
    return f"Closer.\n</think>\n\n{call}"


def mini_o3(*box: float, source: str = "original_image") -> str:
    return f"<think>Closer.</think><grounding>{json.dumps({'bbox_2d': list(box), 'source': source})}</grounding>"


def pixel_reasoner(*box: float, image: int = 1) -> str:
    return "Closer." + call("crop_image_normalized", bbox_2d=list(box), target_image=image)


def cof_v1(*box: int) -> str:
    return f"<think>At <|box_start|>{list(box)}<|box_end|> <|image_zoomin|>"


NEITHER = "<think>I do not know yet.</think>"
"""A turn in which nothing can be read."""

SCRIPTS: dict[str, tuple[Profile, list[str]]] = {
    "cof": (
        Profile(),
        [zoom(0, 0, 200, 200), zoom(9, 9, 9, 9), NEITHER, zoom(300, 100, 500, 400) + call("no_such_tool"), answer("x")],
    ),
    "cof, both tools": (
        Profile(tools=("image_zoom_in_tool", "image_crop_tool")),
        [crop(0, 0, 200, 200) + zoom(100, 100, 300, 300, label="the “door”"), crop(0, 0, 5, 5, view=9), answer("x")],
    ),
    "cof, any view": (
        Profile(any_view=True),
        [zoom(0, 0, 300, 300), zoom(10, 10, 90, 90, view=1), zoom(1, 1, 2, 2, view=7), answer("x")],
    ),
    "qwen3": (
        default_profile("qwen3"),
        [qwen3(0, 0, 400, 400), qwen3(100, 100, 600, 600, image=1), qwen3(5, 5, 5, 5), answer("x")],
    ),
    "sensenova-mars": (
        default_profile("sensenova-mars"),
        [qwen3(0, 0, 400, 400), qwen3(100, 100, 600, 600, image=1), qwen3(5, 5, 5, 5), answer("x")],
    ),
    "qwen3.5": (
        default_profile("qwen3.5"),
        [qwen3_5(0, 0, 400, 400), qwen3_5(100, 100, 600, 600, image=1), qwen3_5(5, 5, 5, 5), answer("x")],
    ),
    "deepeyes": (
        default_profile("deepeyes"),
        [deepeyes(0, 0, 200, 200), deepeyes(3, 3, 3, 3), deepeyes(200, 200, 400, 400), answer("x")],
    ),
    "mini-o3": (
        default_profile("mini-o3"),
        [mini_o3(0.1, 0.1, 0.5, 0.5), mini_o3(0.2, 0.2, 0.9, 0.9, source="observation_1"), answer("x")],
    ),
    "pixel-reasoner": (
        default_profile("pixel-reasoner"),
        [pixel_reasoner(0.1, 0.1, 0.5, 0.5), pixel_reasoner(0.9, 0.9, 0.1, 0.1), "It is \\boxed{x}."],
    ),
    "cof-v1": (
        default_profile("cof-v1"),
        [cof_v1(0, 0, 200, 200), cof_v1(7, 7, 7, 7), NEITHER, cof_v1(300, 100, 500, 400), answer("x")],
    ),
}
"""Zooms, refused calls and turns without either, by the name of a way to speak."""


@dataclass(frozen=True, slots=True)
class Run:
    """A saved run and what the model was sent."""

    result: FocusResult
    prompts: list[list[BaseMessage]]
    turns: list[str]

    @property
    def spoken(self) -> Spoken:
        """The last call and the last turn."""
        return as_spoken([*self.prompts[-1], AIMessage(self.turns[len(self.prompts) - 1])])


def run(
    save: Path,
    turns: list[str],
    profile: Profile | None = None,
    *,
    question: str = "What is it? <b>&",
    config: FocusConfig | None = None,
    image: Image.Image | None = None,
    **more: Any,
) -> Run:
    policy, prompts = watched(*turns, profile=profile)
    result = ChainOfFocus(policy, save=save, config=config).ask(image or photo(), question, **more)
    return Run(result, prompts, turns)


def as_spoken(messages: list[BaseMessage]) -> Spoken:
    """What went to the model, images as the bytes that were sent."""
    spoken: Spoken = []
    for message in messages:
        content: Any = message.content
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts = [block["text"] if block["type"] == "text" else base64.b64decode(block["base64"]) for block in blocks]
        spoken.append((_ROLES[message.type], parts))
    return spoken


def as_held(conversation: Conversation) -> Spoken:
    """The same of a conversation in a training file."""
    return [
        (message.role, [part if isinstance(part, str) else part.read() for part in message.parts])
        for message in conversation.messages
    ]


def joined(spoken: Spoken) -> Spoken:
    """With texts side by side put together."""
    told: Spoken = []
    for role, parts in spoken:
        together: list[str | bytes] = []
        for part in parts:
            if together and isinstance(part, str) and isinstance(together[-1], str):
                together[-1] += part
            else:
                together.append(part)
        told.append((role, together))
    return told


def content(directory: Path) -> dict[str, str]:
    """The hashes of all files by their paths."""
    files = (file for file in directory.rglob("*") if file.is_file())
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
