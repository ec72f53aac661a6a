"""Many questions over one policy: in order, failures in their own place, none delayed by another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from cof_agent import (
    ChainOfFocus,
    ConfigError,
    FailedQuestion,
    FocusResult,
    ImageError,
    Policy,
    Profile,
    Status,
    StopReason,
    read_trajectories,
)
from cof_agent.agent import Question
from cof_agent.errors import QuestionError
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, scripted, texts
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow


class Crowd(ScriptedModel):
    """Answers with the question and counts who is there at once.

    Nobody is let go before `gather` calls were there together, and a question `held` not before `others` were served.
    """

    turns: list[str | AIMessage] = Field(default_factory=list)
    gather: int = 1
    others: int = 0
    _served: int = PrivateAttr(default=0)
    _here: int = PrivateAttr(default=0)
    _most: int = PrivateAttr(default=0)
    _free: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _gathered: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        question = texts(messages)[-1]
        self._here += 1
        self._most = max(self._most, self._here)
        if self._here == self.gather:
            self._gathered.set()
        await self._gathered.wait()
        if question.startswith("held"):
            await self._free.wait()
        else:
            self._served += 1
            if self._served == self.others:
                self._free.set()
        self._here -= 1
        if "break" in question:
            raise ValueError(f"no idea: {question}")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer(f"re {question}")))])


def crowd(**settings: Any) -> tuple[ChainOfFocus, Crowd]:
    model = Crowd(**settings)
    return ChainOfFocus(Policy(model, Profile(), "crowd")), model


async def test_results_come_in_the_order_of_the_questions() -> None:
    agent, model = crowd(gather=5)
    async with asyncio.timeout(PATIENCE):
        results = await agent.abatch([(photo(), f"question {number}?") for number in range(24)], concurrency=5)
    assert [result.answer for result in results] == [f"re question {number}?" for number in range(24)]
    assert model._most == 5


async def test_one_slow_question_delays_no_other() -> None:
    agent, _ = crowd(others=9)  # the first is let go only when the nine after it have been answered
    questions: list[Question] = [(photo(), "held one?"), *[(photo(), f"{number}?") for number in range(9)]]
    async with asyncio.timeout(PATIENCE):
        results = await agent.abatch(questions, concurrency=2)
    assert [result.answer for result in results] == ["re held one?", *[f"re {number}?" for number in range(9)]]


async def test_a_failure_stays_in_its_own_place(tmp_path: Path) -> None:
    agent, _ = crowd()
    missing = tmp_path / "missing.jpg"
    results = await agent.abatch(
        [(photo(), "a?"), (missing, "b?"), (photo(), "break?"), (photo(), " "), (photo(), "e?")], concurrency=2
    )
    assert [result.status for result in results] == [
        Status.ANSWERED, Status.FAILED, Status.FAILED, Status.FAILED, Status.ANSWERED
    ]  # fmt: skip
    absent, broken, empty = results[1:4]
    assert isinstance(absent, FailedQuestion)
    assert isinstance(absent.error, ImageError)
    assert (absent.stop_reason, absent.question) == (StopReason.IMAGE_ERROR, "b?")
    assert "missing.jpg" in absent.message
    assert absent.reply == f"No answer (failed): {absent.message}"
    assert isinstance(broken, FocusResult)
    assert (broken.stop_reason, broken.message) == (StopReason.POLICY_ERROR, "ValueError: no idea: break?")
    assert isinstance(empty, FailedQuestion)
    assert (empty.stop_reason, type(empty.error)) == (StopReason.ERROR, QuestionError)
    for result in results:
        assert json.loads(json.dumps(result.to_json())).keys() == results[0].to_json().keys()


async def test_an_item_that_is_no_question_fails_alone() -> None:
    agent, _ = crowd()
    odd: Any = "oops"
    first, wrong, last = await agent.abatch([(photo(), "a?"), odd, (photo(), "c?")])
    assert (first.answer, last.answer) == ("re a?", "re c?")
    assert (wrong.status, wrong.usage, wrong.trajectory) == (Status.FAILED, None, None)
    assert wrong.message == "a question of a batch is a pair of image and text, not 'oops'"


async def test_questions_are_taken_as_places_become_free() -> None:
    agent, model = crowd()
    taken = 0

    def endless_enough() -> Iterator[Question]:
        nonlocal taken
        for number in range(12):
            assert taken - model._served <= 3, "no more are read than can be worked on"
            taken += 1
            yield photo(), f"{number}?"

    assert len(await agent.abatch(endless_enough(), concurrency=2)) == 12


async def test_what_reads_the_questions_may_fail_aloud() -> None:
    agent, _ = crowd()

    def broken() -> Iterator[Question]:
        yield photo(), "a?"
        raise OSError("the list of questions ended early")

    with pytest.raises(OSError, match="ended early"):
        await agent.abatch(broken(), concurrency=2)


async def test_every_run_of_a_batch_is_saved(tmp_path: Path) -> None:
    agent = ChainOfFocus(scripted(answer("42")), save=tmp_path / "saved")
    results = await agent.abatch([(photo(), f"{number}?") for number in range(10)], concurrency=4)
    assert all(isinstance(result, FocusResult) and result.saved for result in results)
    assert sorted(run.question for run in read_trajectories(tmp_path / "saved")) == [f"{n}?" for n in range(10)]


async def test_nothing_to_ask_is_nothing_to_answer() -> None:
    agent, _ = crowd()
    assert await agent.abatch([]) == []


@pytest.mark.parametrize("concurrency", [0, -3])
async def test_concurrency_is_at_least_one(concurrency: int) -> None:
    agent, _ = crowd()
    with pytest.raises(ConfigError, match=f"concurrency must be at least 1, not {concurrency}"):
        await agent.abatch([(photo(), "a?")], concurrency=concurrency)
