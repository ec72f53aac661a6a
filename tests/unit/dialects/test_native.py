"""Provider-native tool calls: parsing, rendering, and a whole run with a bare chat model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from cof_agent import ChainOfFocus, ConfigError, Status
from cof_agent.dialects.native import DIALECT
from cof_agent.dialects.profile import Profile
from cof_agent.policies import Policy
from tests.support.conversations import WatchedModel, photo

PROFILE = Profile(dialect="native")


def zooming(text: str = "", **ids: list[float]) -> AIMessage:
    calls = [tool_call(name="image_zoom_in_tool", args={"bbox_2d": box}, id=id_) for id_, box in ids.items()]
    return AIMessage(text, tool_calls=calls)


@pytest.mark.parametrize(
    ("message", "thought", "calls", "answer"),
    [
        (AIMessage("It is 42."), "", 0, "It is 42."),
        (AIMessage("<think>large text</think>It is 42."), "large text", 0, "It is 42."),
        (AIMessage("<think>large text</think><answer>42</answer>"), "large text", 0, "42"),
        (zooming("<think>small</think>", a=[1, 2, 3, 4]), "small", 1, None),
        (zooming("I look closer.", a=[1, 2, 3, 4], b=[1, 2, 3, 4]), "", 2, None),
        (AIMessage(""), "", 0, None),
        (AIMessage("<think>hm"), "hm", 0, None),
    ],
)
def test_turns_are_read(message: AIMessage, thought: str, calls: int, answer: str | None) -> None:
    turn = DIALECT.parse(message)
    assert (turn.thought, len(turn.calls), turn.answer) == (thought, calls, answer)


def test_a_call_that_the_provider_could_not_read_is_a_refused_call() -> None:
    broken = invalid_tool_call(name="image_zoom_in_tool", args='{"bbox_2d": [1, 2', id="a", error=None)
    (call,) = DIALECT.parse(AIMessage("", invalid_tool_calls=[broken])).calls
    assert call.error
    assert call.id == "a"


def kinds(prompt: list[BaseMessage]) -> list[tuple[type, list[str]]]:
    return [
        (type(message), [block["type"] for block in message.content] if isinstance(message.content, list) else [])  # type: ignore[index]
        for message in prompt
    ]


def test_a_bare_chat_model_runs_with_regions_in_user_messages() -> None:
    model = WatchedModel(
        turns=[
            zooming("<think>two places</think>", a=[10, 10, 100, 100], b=[0, 0, 9000, 10]),
            zooming(c=[200, 200, 300, 300]),
            AIMessage("It says 42."),
        ],
        prompts=[],
    )
    result = ChainOfFocus(model).ask(photo(), "What does it say?")
    assert (result.status, result.answer, result.trajectory.dialect) == (Status.ANSWERED, "It says 42.", "native")
    assert (result.usage.zooms, result.usage.refused) == (2, 1)
    last = model.prompts[-1]
    assert kinds(last) == [
        (SystemMessage, []),
        (HumanMessage, ["image", "text"]),
        (AIMessage, []),
        (ToolMessage, []),
        (ToolMessage, []),
        (HumanMessage, ["image"]),
        (AIMessage, []),
        (ToolMessage, []),
        (HumanMessage, ["image"]),
    ]
    observations = [message for message in last if isinstance(message, ToolMessage)]
    assert [message.tool_call_id for message in observations] == ["a", "b", "c"]
    assert [message.status for message in observations] == ["success", "error", "success"]
    for shorter, longer in zip(model.prompts, model.prompts[1:], strict=False):
        assert longer[: len(shorter)] == shorter  # what was sent stays as it was


class BoundModel(WatchedModel):
    """Keeps the names of the tools that were bound to it."""

    bound_tools: list[str]

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        self.bound_tools.extend(tool.name for tool in tools)
        return super().bind_tools(tools, **kwargs)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("tools", None)
        return super()._generate(messages, *args, **kwargs)


def test_the_tools_of_the_profile_are_bound() -> None:
    model = BoundModel(turns=[AIMessage("yes")], prompts=[], bound_tools=[])
    ChainOfFocus(model).ask(photo(), "Is it red?")
    assert model.bound_tools == ["image_zoom_in_tool"]


async def test_async_equals_sync() -> None:
    turns: list[str | AIMessage] = [zooming(a=[10, 10, 100, 100]), AIMessage("42")]
    results = [
        ChainOfFocus(WatchedModel(turns=turns, prompts=[])).ask(photo(), "What?"),
        await ChainOfFocus(WatchedModel(turns=turns, prompts=[])).aask(photo(), "What?"),
    ]
    assert results[0].views == results[1].views
    assert [result.answer for result in results] == ["42", "42"]


def test_a_model_that_cannot_bind_tools_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match='dialect="cof"'):
        ChainOfFocus(FakeListChatModel(responses=["x"]))


def test_a_call_written_as_text_is_a_call() -> None:
    text = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 2, 3, 4]}}</tool_call>'
    turn = DIALECT.parse(AIMessage(text))
    assert (len(turn.calls), turn.answer) == (1, None)


def test_regions_stand_in_tool_messages_where_the_endpoint_takes_them() -> None:
    profile = PROFILE.model_copy(update={"tool_images": True})
    turns: list[str | AIMessage] = [zooming("two", a=[10, 10, 100, 100], b=[0, 0, 9000, 10]), AIMessage("It says 42.")]
    model = WatchedModel(turns=turns, prompts=[])
    result = ChainOfFocus(Policy(model, profile, "native")).ask(photo(), "What does it say?")
    assert (result.answer, result.usage.zooms, result.usage.refused) == ("It says 42.", 1, 1)
    system, question, turn, shown, refused = model.prompts[-1]
    assert kinds([system, question, turn, shown, refused]) == [
        (SystemMessage, []),
        (HumanMessage, ["image", "text"]),
        (AIMessage, []),
        (ToolMessage, ["image", "text"]),
        (ToolMessage, []),
    ]
    assert shown.content[1] == {"type": "text", "text": "View 1"}


def replayed(turn: AIMessage) -> AIMessage:
    model = WatchedModel(turns=[turn, AIMessage("42")], prompts=[])
    ChainOfFocus(model).ask(photo(), "What?")
    (back,) = (message for message in model.prompts[-1] if isinstance(message, AIMessage))
    return back


def test_a_thought_in_the_text_goes_back_as_it_was() -> None:
    back = replayed(zooming("<think>small</think>", a=[10, 10, 100, 100]))
    assert back.content == "<think>small</think>"
    assert [call["id"] for call in back.tool_calls] == ["a"]


def test_a_thought_that_came_apart_is_read_and_goes_back_once() -> None:
    turn = zooming("I look closer.", a=[10, 10, 100, 100])
    turn.additional_kwargs = {"reasoning_content": "\nsmall\n", "signatures": {"a": "x"}, "tool_calls": []}
    assert DIALECT.parse(turn).thought == "small"
    back = replayed(turn)
    assert back.content == "<think>\nsmall\n</think>\n\nI look closer."
    assert back.additional_kwargs == {"signatures": {"a": "x"}}


def test_content_in_blocks_goes_back_as_it_came() -> None:
    blocks: list[Any] = [
        {"type": "thinking", "thinking": "small", "signature": "signed"},
        {"type": "text", "text": "I look closer."},
    ]
    turn = zooming("", a=[10, 10, 100, 100]).model_copy(update={"content": blocks})
    assert DIALECT.parse(turn).thought == "small"
    assert replayed(turn).content == blocks


@pytest.mark.parametrize(
    ("content", "thought"),
    [
        ([{"type": "reasoning", "reasoning": "small"}, {"type": "text", "text": "42"}], "small"),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "small"}, 5]}, "42"], "small"),
        ([{"type": "reasoning"}, {"type": "thinking", "thinking": 5}, {"text": "42", "type": "text"}], ""),
    ],
)
def test_thoughts_in_blocks_are_read(content: list[Any], thought: str) -> None:
    turn = DIALECT.parse(AIMessage(content))
    assert (turn.thought, turn.answer) == (thought, "42")


def test_a_thought_that_the_template_opened_is_no_answer() -> None:
    turn = DIALECT.parse(AIMessage("large text\n</think>\n\nIt is 42."))
    assert (turn.thought, turn.answer) == ("large text", "It is 42.")
