"""Answers that must fit a Pydantic model: validated, asked for once more, or failed with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel, Field, field_validator

from cof_agent import ChainOfFocus, ConfigError, FocusConfig, Status, StopReason, read_trajectories
from cof_agent.dialects import default_profile
from tests.support.conversations import answer, photo, scripted, texts, watched, zoom

pytestmark = pytest.mark.slow


class Plate(BaseModel):
    """A number plate."""

    number: str
    country: Literal["NL", "BE"] = "NL"
    letters: int = Field(ge=0, description="how many letters it has")

    @field_validator("number")
    @classmethod
    def _tidy(cls, value: str) -> str:
        if not value.isupper():
            raise ValueError("the number must be in capitals")
        return value


GOOD = '{"number": "AB-12", "letters": 2}'
BAD = '{"number": "ab-12", "letters": -1}'


def test_an_answer_that_fits_is_a_value_and_the_policy_was_told_the_schema() -> None:
    policy, prompts = watched(zoom(10, 10, 100, 100), answer(GOOD))
    result = ChainOfFocus(policy).ask(photo(), "Which plate?", schema=Plate)
    assert (result.status, result.answer) == (Status.ANSWERED, GOOD)
    assert result.parsed == Plate(number="AB-12", letters=2)
    question = next(text for text in texts(prompts[0]) if text.startswith("Which plate?"))
    assert "how many letters it has" in question
    assert result.usage.policy_calls == 2


@pytest.mark.parametrize("written", [f"```json\n{GOOD}\n```", f"\n{GOOD}\n", f"```\n{GOOD}```"])
def test_a_code_fence_is_no_error(written: str) -> None:
    result = ChainOfFocus(scripted(answer(written))).ask(photo(), "Which plate?", schema=Plate)
    assert result.parsed == Plate(number="AB-12", letters=2)


def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_is_wrong() -> None:
    policy, prompts = watched(answer(BAD), answer(GOOD))
    result = ChainOfFocus(policy).ask(photo(), "Which plate?", schema=Plate)
    assert (result.status, result.usage.policy_calls) == (Status.ANSWERED, 2)
    assert result.parsed == Plate(number="AB-12", letters=2)
    told = texts(prompts[1])[-1]
    assert "number: Value error, the number must be in capitals" in told
    assert "letters: Input should be greater than or equal to 0" in told
    assert any(isinstance(message, AIMessage) and BAD in message.text for message in prompts[1])


def test_a_second_misfit_fails_the_run_with_both_errors_and_the_answer() -> None:
    result = ChainOfFocus(scripted(answer("seven"), answer(BAD))).ask(photo(), "Which plate?", schema=Plate)
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.ANSWER_MISFIT)
    assert (result.answer, result.parsed) == (None, None)
    assert result.message is not None
    for part in ("Plate", "Invalid JSON", "in capitals", BAD):
        assert part in result.message
    assert [turn.text for turn in result.trajectory.turns if turn.role == "policy"] == [answer("seven"), answer(BAD)]


def test_the_policy_may_look_again_before_it_mends_its_answer() -> None:
    turns = (answer(BAD), zoom(10, 10, 100, 100), answer(GOOD))
    result = ChainOfFocus(scripted(*turns)).ask(photo(), "Which plate?", schema=Plate)
    assert (result.status, result.usage.zooms, result.usage.policy_calls) == (Status.ANSWERED, 1, 3)


def test_a_closing_answer_that_does_not_fit_is_asked_for_once_more_too() -> None:
    policy, prompts = watched(zoom(1, 1, 99, 99), zoom(1, 1, 99, 99), BAD, GOOD)
    limits = FocusConfig(max_zooms=1)
    result = ChainOfFocus(policy, config=limits).ask(photo(), "Which plate?", schema=Plate)
    assert (result.status, result.stop_reason) == (Status.ANSWERED, StopReason.ZOOM_LIMIT)
    assert result.parsed == Plate(number="AB-12", letters=2)
    closing = policy.profile.prompts.closing
    assert [sum(closing in text for text in texts(prompt)) for prompt in prompts] == [0, 0, 1, 1]


def test_a_turn_limit_does_not_forbid_to_mend_the_answer() -> None:
    limits = FocusConfig(max_turns=1)
    result = ChainOfFocus(scripted(answer(BAD), answer(GOOD)), config=limits).ask(photo(), "What?", schema=Plate)
    assert (result.status, result.stop_reason) == (Status.ANSWERED, StopReason.TURN_LIMIT)


def test_a_decline_needs_no_schema() -> None:
    result = ChainOfFocus(scripted(answer("cannot answer: it is hidden"))).ask(photo(), "What?", schema=Plate)
    assert (result.status, result.message, result.parsed) == (Status.DECLINED, "it is hidden", None)


def test_each_question_of_a_conversation_has_its_own_schema(tmp_path: Path) -> None:
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver

    class Colour(BaseModel):
        name: str

    with sqlite3.connect(tmp_path / "runs.sqlite", check_same_thread=False) as connection:
        policy = scripted(answer(BAD), answer(GOOD), answer("red"), answer('{"name": "red"}'), answer("plain"))
        agent = ChainOfFocus(policy, checkpointer=SqliteSaver(connection), save=tmp_path / "saved")
        first = agent.ask(photo(), "Which plate?", thread_id="a", schema=Plate)
        second = agent.ask(None, "Which colour?", thread_id="a", schema=Colour)
        third = agent.ask(None, "And in words?", thread_id="a")
    connection.close()
    assert (first.parsed, second.parsed) == (Plate(number="AB-12", letters=2), Colour(name="red"))
    assert (third.answer, third.parsed) == ("plain", None)
    assert [run.answer for run in read_trajectories(tmp_path / "saved")] == [GOOD, '{"name": "red"}', "plain"]


@pytest.mark.parametrize("schema", [dict, "Plate", Plate(number="X", letters=0), 7])
def test_a_schema_is_a_pydantic_model(schema: Any) -> None:
    with pytest.raises(ConfigError, match=r"a schema is a class derived from pydantic\.BaseModel"):
        ChainOfFocus(scripted(answer(GOOD))).ask(photo(), "Which plate?", schema=schema)


async def test_streams_and_asyncio_take_a_schema() -> None:
    agent = ChainOfFocus(scripted(answer(GOOD)))
    assert (await agent.aask(photo(), "Which plate?", schema=Plate)).parsed == Plate(number="AB-12", letters=2)
    *_, last = agent.stream(photo(), "Which plate?", schema=Plate)
    assert getattr(last, "parsed", None) == Plate(number="AB-12", letters=2)


class Node(BaseModel):
    """Breaks in the hands of its own validator."""

    value: int

    @field_validator("value", mode="before")
    @classmethod
    def _inverse(cls, value: Any) -> Any:
        return 1 / value


def test_what_a_validator_raises_is_a_misfit() -> None:
    result = ChainOfFocus(scripted(answer('{"value": 0}'), answer('{"value": 1}'))).ask(photo(), "n?", schema=Node)
    assert (result.status, result.usage.policy_calls, result.parsed) == (Status.ANSWERED, 2, Node(value=1))
    result = ChainOfFocus(scripted(answer('{"value": 0}'), answer('{"value": "a"}'))).ask(photo(), "n?", schema=Node)
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.ANSWER_MISFIT)
    assert result.message is not None
    assert "ZeroDivisionError: division by zero" in result.message


class Uncallable(BaseModel):
    call: Callable[[], int]


@pytest.mark.parametrize(
    ("schema", "why"), [(Uncallable, "cannot be told to a policy as JSON"), (BaseModel, "derived")]
)
def test_a_model_that_json_cannot_describe_costs_no_policy_call(schema: type[BaseModel], why: str) -> None:
    policy, prompts = watched(answer("1"))
    with pytest.raises(ConfigError, match=why):
        ChainOfFocus(policy).ask(photo(), "n?", schema=schema)
    assert prompts == []


def test_the_value_is_made_once_and_the_question_is_kept_as_asked() -> None:
    class Numbered(BaseModel):
        id: UUID = Field(default_factory=uuid4)

    result = ChainOfFocus(scripted(answer("{}"))).ask(photo(), " Which one? ", schema=Numbered)
    assert result.parsed == result.parsed
    assert result.trajectory.question == "Which one?"
    assert "JSON schema" in result.trajectory.turns[0].text


class Note(BaseModel):
    text: str


@pytest.mark.parametrize("text", ["a}b", "<answer>", "</answer>", 'say "hi"', "{"])
@pytest.mark.parametrize("dialect", ["cof", "mini-o3", "qwen3", "native"])
def test_an_answer_may_hold_our_own_marks(dialect: str, text: str) -> None:
    policy = scripted(f"<answer>{Note(text=text).model_dump_json()}</answer>", profile=default_profile(dialect))
    assert ChainOfFocus(policy).ask(photo(), "What does it say?", schema=Note).parsed == Note(text=text)


@pytest.mark.parametrize("text", ["a}b", 'say "hi"', "{"])
def test_a_boxed_answer_may_hold_braces(text: str) -> None:
    said = "\\boxed{" + Note(text=text).model_dump_json() + "}"
    policy = scripted(said, profile=default_profile("pixel-reasoner"))
    assert ChainOfFocus(policy).ask(photo(), "What does it say?", schema=Note).parsed == Note(text=text)
