"""A benchmark of made pictures and policies to ask about them, for tests of evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image

from cof_agent.dialects.profile import Profile
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role
from cof_agent.policies import Policy
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo


@dataclass
class Made:
    """A benchmark of given items."""

    items: Sequence[BenchmarkItem]
    name: str = "made"
    role: Role = Role.TEST

    def __iter__(self) -> Iterator[BenchmarkItem]:
        return iter(self.items)


def question(number: int, image: Any = None, **known: Any) -> BenchmarkQuestion:
    """Asks for the number 42; its id holds its own number."""
    image = photo(96, 72) if image is None else image
    return BenchmarkQuestion(
        **{"id": f"q{number}", "image": image, "text": f"Question {number}?", "answer": "42"} | known
    )


def questions(count: int, **known: Any) -> Made:
    return Made([question(number, **known) for number in range(count)])


@dataclass
class Painted:
    """An image that notes when it is made."""

    made: list[int] = field(default_factory=list)
    size: tuple[int, int] = (96, 72)

    def render(self, long_side: int) -> Image.Image:
        self.made.append(long_side)
        return photo(long_side, long_side * self.size[1] // self.size[0])


class CountingModel(ScriptedModel):
    """Counts its calls, and how many ran at once. Each takes until `gate` have run at once and `until` is true."""

    asked: list[str]
    running: int = 0
    most: int = 0
    gate: int = 0
    on_call: Callable[[str], None] | None = None
    until: Callable[[], bool] = lambda: True

    def __init__(self, *turns: str, **settings: Any) -> None:
        super().__init__(turns=list(turns) or [answer("42")], asked=[], **settings)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            text = _question(messages)
            self.asked.append(text)
            if self.on_call:
                self.on_call(text)
            await asyncio.sleep(0)  # lets the others begin, so that they are counted
            while self.most < self.gate or not self.until():
                await asyncio.sleep(0.001)
            return self._generate(messages)
        finally:
            self.running -= 1


class MissingModel(CountingModel):
    """Fails for some questions."""

    misses: frozenset[str]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if _question(messages) in self.misses:
            raise RuntimeError("no such luck")
        return super()._generate(messages)


class WordyModel(CountingModel):
    """Answers with the question's own number."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        number = _question(messages).removeprefix("Question ").removesuffix("?")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer(number)))])


def driven(model: ScriptedModel, profile: Profile | None = None) -> Policy:
    return Policy(model, profile or Profile(), "script")


def _question(messages: list[BaseMessage]) -> str:
    for message in messages:
        for block in message.content if isinstance(message.content, list) else []:
            if isinstance(block, dict) and str(block.get("text", "")).startswith("Question "):
                return str(block["text"]).splitlines()[0]
    raise AssertionError("there is no question in the prompt")
