"""A policy that does as each question says, and what is asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image

from cof_agent.dialects.profile import Profile
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role
from cof_agent.policies import Policy
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, zoom
from tests.support.made_questions import Made

HERE, THERE = (8, 8, 40, 40), (70, 50, 100, 80)
"""Two places in pixels of the first look, which is 112x84 pixels or more."""


class ToldModel(ScriptedModel):
    """Writes the turns of a question, by the question's first line; keeps no state."""

    says: dict[str, list[str]]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        turns = next(self.says[text] for text in _texts(messages) if text in self.says)
        said = sum(isinstance(message, AIMessage) for message in messages)
        if turns[said] == "fail":
            raise RuntimeError("no such luck")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(turns[said]))])


def _texts(messages: list[BaseMessage]) -> list[str]:
    blocks = [block for message in messages if isinstance(message.content, list) for block in message.content]
    return [
        block["text"].splitlines()[0]
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "text" and block["text"]
    ]


def looking(*boxes: tuple[int, int, int, int], said: str | None = None) -> list[str]:
    return [*(zoom(*box) for box in boxes), said if said is not None else answer("42")]


class Drawn:
    """A picture of its own for each question, at any size."""

    def __init__(self, number: int) -> None:
        self.number = number

    def render(self, long_side: int) -> Image.Image:
        made = photo(long_side, long_side * 3 // 4)
        made.putpixel((0, 0), (self.number % 256, self.number // 256, 7))
        return made


def told(*scripts: list[str], role: Role = Role.TRAIN, category: str = "all") -> tuple[Made, Policy]:
    """A benchmark with a question for each script, and the policy that follows them."""
    texts = [f"Question {number}?" for number in range(len(scripts))]
    items: list[BenchmarkItem] = [
        BenchmarkQuestion(f"q{number}", Drawn(number), text, "42", category=category)
        for number, text in enumerate(texts)
    ]
    model = ToldModel(turns=["never"], says=dict(zip(texts, scripts, strict=True)))
    return Made(items, role=role), Policy(model, Profile(), "told")


def lasting(out: Path) -> dict[str, Any]:
    """All that is in a collection but times, the parts of unfinished files included."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or name.startswith("tried"):
            continue
        if name == "trajectories.jsonl":
            found[name] = [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            found[name] = path.read_bytes()
    return found


def _without_times(value: dict[str, Any]) -> dict[str, Any]:
    value["usage"].pop("seconds")
    return {key: item for key, item in value.items() if key not in ("id", "started", "finished")}
