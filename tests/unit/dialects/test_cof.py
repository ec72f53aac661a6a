from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langgraph.checkpoint.memory import InMemorySaver

from cof_agent.agent import ChainOfFocus
from cof_agent.agent.trajectory import Trajectory
from cof_agent.dialects import Call, Turn, get_dialect
from cof_agent.dialects.cof import MAX_CALL_CHARACTERS
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import as_written
from cof_agent.loop.state import Status
from tests.support.conversations import BOTH, answer, call, crop, photo, scripted, zoom
from tests.support.examples import examples

COF = get_dialect("cof")
PROMPTS = Profile().prompts
GOOD = {"bbox_2d": [1, 2, 30, 40], "label": "sign"}


def parse(text: str) -> Turn:
    return COF.parse(AIMessage(text))


def only_call(text: str) -> Call:
    (found,) = parse(text).calls
    return found


def test_a_call_and_an_answer_as_they_should_be() -> None:
    turn = parse(f"<think>small</think>\n{call('image_zoom_in_tool', **GOOD)}")
    assert (turn.thought, turn.answer) == ("small", None)
    assert [(item.name, item.args, item.error) for item in turn.calls] == [("image_zoom_in_tool", GOOD, None)]
    turn = parse("<think>clear</think>\n<answer> 42 </answer>")
    assert turn == Turn("clear", (), "42")


@pytest.mark.parametrize(
    "written",
    [
        '```json\n{"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40], "label": "sign"}}\n```',
        "{'name': 'z', 'arguments': {'bbox_2d': [1, 2, 30, 40], 'label': 'sign'}}",
        "{'name': 'z', 'arguments': {\"bbox_2d\": [1, 2, 30, 40], 'label': \"sign\",},}",
        '{"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40,], "label": "sign",},}',
        'I call it now: {"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40], "label": "sign"}} and wait.',
        'Here [see below] {it is}: {"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40], "label": "sign"}}',
        '[{"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40], "label": "sign"}}]',
        '{"name": "z", "arguments": "{\\"bbox_2d\\": [1, 2, 30, 40], \\"label\\": \\"sign\\"}"}',
        '{"name": "z", "arguments": "{\'bbox_2d\': [1, 2, 30, 40], \'label\': \'sign\'}"}',
        '{"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40], "label": "sign"}}}}',
        '\n\n  {"arguments": {"label": "sign", "bbox_2d": [1, 2, 30, 40]}, "name": "z"}\n',
    ],
)
@pytest.mark.parametrize("end", ["</tool_call>", "", "\n<think>hm</think>"])
def test_sloppy_json_is_read(written: str, end: str) -> None:
    found = only_call(f"<think>t</think><tool_call>{written}{end}")
    assert (found.name, found.args, found.error) == ("z", GOOD, None)


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('{"name": "z", "arguments": {"bbox_2d": ["1", "2", "30", "40"]}}', {"bbox_2d": ["1", "2", "30", "40"]}),
        (
            "{'name': 'z', 'arguments': {'label': None, 'deep': true, 'no': False}}",
            {"label": None, "deep": True, "no": False},
        ),
        ("{'name': 'z', 'arguments': {'label': 'the driver\\'s \"name\"'}}", {"label": 'the driver\'s "name"'}),
        ('{"name": "z", "arguments": {"label": "a, ] \'b\' None",}}', {"label": "a, ] 'b' None"}),
        ('{"name": "z", "arguments": {"label": "two\nlines"}}', {"label": "two\nlines"}),
        ('{"name": "z", "arguments": {}}', {}),
    ],
)
def test_what_the_arguments_hold_is_kept(written: str, arguments: dict[str, Any]) -> None:
    assert only_call(f"<tool_call>{written}</tool_call>").args == arguments


@pytest.mark.parametrize(
    "written",
    [
        "",
        "zoom in please",
        "{",
        '{"name": "z", "arguments": {"bbox_2d": [1, 2, 30, 40]}',
        '{"name": "z"}',
        '{"name": "z", "arguments": [1, 2, 3, 4]}',
        '{"name": "z", "arguments": "all"}',
        '{"name": 5, "arguments": {}}',
        '{"bbox_2d": [1, 2, 30, 40]}',
        "[1, 2, 30, 40]",
        "null",
        "[" * 9000,
        "{'a'" * 2000,
        '{"name": "z", "arguments": {"bbox_2d": [1, 2, ' + "9" * 5000 + ", 4]}}",
        '{"name": "z", "arguments": {"label": "' + "x" * MAX_CALL_CHARACTERS + '"}}',
    ],
)
def test_what_cannot_be_read_is_a_call_with_an_error(written: str) -> None:
    found = only_call(f"<tool_call>{written}</tool_call>")
    assert found.error is not None
    assert '"name" and "arguments"' in found.error
    assert (found.args, found.text) == ({}, written)


def test_several_calls_are_read_in_order() -> None:
    one, two = ({"name": "z", "arguments": {"bbox_2d": [n, 0, 9, 9]}} for n in (1, 2))
    for text in (
        f"<tool_call>{json.dumps(one)}</tool_call> and <tool_call>{json.dumps(two)}</tool_call>",
        f"<tool_call>{json.dumps(one)}<tool_call>{json.dumps(two)}",
        f"<tool_call>{json.dumps([one, two])}</tool_call>",
        f"<tool_call>{json.dumps(one)}\n{json.dumps(two)}</tool_call>",
    ):
        assert [found.args["bbox_2d"][0] for found in parse(text).calls] == [1, 2], text
    mixed = parse(f"<tool_call>{json.dumps([one, 5, two])}</tool_call>").calls
    assert [found.error is None for found in mixed] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>t</think><answer>42", "t", None),
        ("<answer><answer>42</answer></answer>", "", None),
        ("<answer>42<answer>", "", None),
        ('<answer>{"text": "</answer><answer>"}</answer>', "", '{"text": "</answer><answer>"}'),
        ("<answer>[1, 2] and [3]</answer>", "", "[1, 2] and [3]"),
        ("<think>t<answer>42</answer>", "t", "42"),
        ("t</think><answer>42</answer>", "", "42"),
        ("Well: <answer>42</answer> That is it.", "", "42"),
        ("<answer></answer><answer>42</answer>", "", "42"),
        ("<answer>\n42\n</answer>", "", "42"),
        ("<answer>[A] {x} (y) <b></answer>", "", "[A] {x} (y) <b>"),
        ("<answer>it's a 'sign', 3 < 4</answer>", "", "it's a 'sign', 3 < 4"),
        (
            "<think>I would use <tool_call> or <answer>x</answer> now</think><answer>42</answer>",
            "I would use <tool_call> or <answer>x</answer> now",
            "42",
        ),
        ("<think>a</think><think>b</think><answer>42</answer>", "a\nb", "42"),
        ("<think>a<think>b</think><answer>42</answer>", "a\nb", "42"),
        ("```\n<answer>42</answer>\n```", "", "42"),
        ("<answer> </answer>", "", None),
        ("</answer>", "", None),
        ("42", "", None),
        ("", "", None),
        ("<think>never ends 42", "never ends 42", None),
        ("<think>perhaps <answer>42</answer></think>", "perhaps <answer>42</answer>", None),
    ],
)
def test_thoughts_and_answers(text: str, thought: str, said: str | None) -> None:
    turn = parse(text)
    assert (turn.thought, turn.answer, turn.calls) == (thought, said, ())


def test_a_call_inside_the_thought_counts_when_nothing_else_was_said() -> None:
    inside = f"<think>I zoom {call('z', **GOOD)}</think>"
    assert only_call(inside).args == GOOD
    assert only_call(f"<think>I zoom {call('z', **GOOD)}").args == GOOD
    assert parse(inside + "<answer>42</answer>").calls == ()
    assert parse("<think>first <tool_call></tool_call>, then</think>").calls == ()


def test_boxes_in_the_answer_are_pointed_at() -> None:
    assert parse('<answer>{"bbox_2d": [1, 2.5, 3, 4], "label": "x"}</answer>').pointed == ((1, 2.5, 3, 4),)
    assert parse('<answer>{"bbox_2d": [1 2 3 4]} "bbox_2d":[5,6,7,8]</answer>').pointed == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert parse('<answer>{"bbox_2d": [1, 2, 3]} {"bbox_2d": [1.2.3, 2, 3, 4]}</answer>').pointed == ()


@pytest.mark.parametrize(
    "text",
    [
        '<answer>"bbox_2d": [' + " " * 50_000,
        '<answer>"bbox_2d": [' + "1," * 50_000,
        "<think>" * 20_000,
        "<tool_call>" * 5_000,
        "<answer>" * 20_000,
        "<tool_call>" + "'\\" * 4_900,
        "<tool_call>" + "{'" * 4_900,
        "<tool_call>" + "[" * 9_900,
        "<tool_call>" + "," + " " * 9_900,
        "<tool_call>" + '"' * 9_901,
    ],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    began = time.thread_time()  # a thread that stands still takes none of it
    parse(text)
    assert time.thread_time() - began < 20  # on a slow machine; a step that is squared takes minutes


def run(*turns: str, profile: Profile | None = None) -> list[AnyMessage]:
    """The messages in graph state after a run."""
    agent = ChainOfFocus(scripted(*turns, profile=profile), checkpointer=InMemorySaver())
    thread = agent.ask(photo(), "What is it?").thread_id
    messages: list[AnyMessage] = agent.graph.get_state({"configurable": {"thread_id": thread}}).values["messages"]
    return messages


def plain(rendered: list[BaseMessage]) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in rendered]


def test_rendering_to_the_letter() -> None:
    turns = (zoom(1, 2, 30, 40, label="sign"), zoom(1, 2, 900, 40), answer("42"))
    messages = run(*turns)
    system, question, first, region, second, refused, last = COF.render(messages, Profile(), tools=True)
    assert isinstance(system, SystemMessage)
    assert system.text.startswith(PROMPTS.task)
    (schema,) = (line for line in system.text.split("<tools>\n")[1].split("\n</tools>")[0].splitlines())
    function = json.loads(schema)["function"]
    assert function["name"] == "image_zoom_in_tool"
    assert list(function["parameters"]["properties"]) == ["bbox_2d", "label"]
    assert function["parameters"]["required"] == ["bbox_2d"]
    assert isinstance(question, HumanMessage)
    assert [block["type"] for block in question.content] == ["image", "text"]
    assert question.content[1]["text"] == "What is it?"
    assert plain([first, second, last]) == [("ai", turn) for turn in turns], "verbatim"
    assert isinstance(region, HumanMessage)
    assert [block["type"] for block in region.content] == ["image", "text"]
    assert region.content[1]["text"] == PROMPTS.reminder
    assert isinstance(refused, HumanMessage)
    assert [block["type"] for block in refused.content] == ["text", "text"]
    assert "[1, 2, 900, 40] reaches outside" in refused.content[0]["text"]
    assert refused.content[1]["text"] == "\n" + PROMPTS.reminder


def test_two_calls_of_a_turn_come_back_in_one_user_turn() -> None:
    rendered = COF.render(run(zoom(1, 2, 30, 40) + zoom(5, 6, 70, 80), answer("42")), Profile(), tools=True)
    assert [message.type for message in rendered] == ["system", "human", "ai", "human", "ai"]
    assert [block["type"] for block in rendered[3].content] == ["image", "image", "text"]


def test_views_are_numbered_where_a_tool_takes_their_number() -> None:
    rendered = COF.render(run(crop(1, 2, 30, 40), answer("42"), profile=BOTH), BOTH, tools=True)
    assert rendered[3].content[1]["text"] == "View 1"
    assert "image_crop_tool" in rendered[0].text


def test_without_tools_none_is_described() -> None:
    system, _ = COF.render([HumanMessage("What is it?")], Profile(), tools=False)
    assert system.text == PROMPTS.direct
    assert "tool" not in system.text


def test_what_the_policy_saw_stays_as_it_was() -> None:
    turns = (zoom(1, 2, 30, 40), "hm", zoom(1) + zoom(5, 6, 70, 80), zoom(1, 2, 900, 40), answer("42"))
    messages = run(*turns)
    whole = plain(COF.render(messages, Profile(), tools=True))
    for position, message in enumerate(messages):
        if isinstance(message, AIMessage):
            seen = plain(COF.render(messages[:position], Profile(), tools=True))
            assert whole[: len(seen)] == seen
            assert seen[-1][0] == "human"
            assert whole[len(seen)] == ("ai", message.content)


FRAGMENTS = [
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", '{"name": ', '"arguments": ', "[",
    "]", "{", "}", "'", '"', ",", "\\", "```json", "NaN", "-Infinity", "1e999", "9" * 25, "null", '"bbox_2d": ',
    "\ud800", "\x00", '"image_zoom_in_tool"', "[" * 60, "é", "\n", "cannot answer: ",
]  # fmt: skip
BASES = [
    zoom(1, 2, 30, 40, label="sign"),
    zoom(1, 2, 30, 40) + zoom(5, 6, 70, 80),
    answer('42 {"bbox_2d": [1, 2, 3, 4]}'),
    answer("cannot answer: it is too dark"),
    "<tool_call>{'name': 'image_zoom_in_tool', 'arguments': {'bbox_2d': [[[[9]]]], 'view': 1e999,}}</tool_call>",
]
EDITS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 40), st.sampled_from(FRAGMENTS) | st.text(max_size=5)), max_size=5
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(BASES))
    for at, length, new in draw(EDITS):
        at %= len(text) + 1
        text = text[:at] + new + text[at + length :]
    return text


@given(mutated() | st.text(alphabet=st.characters(), max_size=200))
@examples(200)
def test_parsing_never_raises(text: str) -> None:
    turn = parse(text)
    assert turn.answer is None or turn.answer.strip()
    assert all(isinstance(found.args, dict) and (not found.error or not found.args) for found in turn.calls)


SMALL = photo(120, 90)


@given(st.lists(mutated(), min_size=1, max_size=4))
@examples(60)
def test_a_run_never_crashes(turns: list[str]) -> None:
    agent = ChainOfFocus(scripted(*turns, *[answer("42")] * 12), checkpointer=InMemorySaver())
    result = agent.ask(SMALL, "What is it?")
    assert result.status in (Status.ANSWERED, Status.DECLINED, Status.BUDGET), result.message
    state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
    assert Trajectory.from_state(state) == result.trajectory
    assert Trajectory.from_json(json.loads(json.dumps(result.trajectory.to_json()))) == result.trajectory


def test_what_a_server_took_out_of_the_text_is_put_back() -> None:
    taken = AIMessage(
        "",
        additional_kwargs={"reasoning_content": "It is small.\n"},
        tool_calls=[tool_call(name="image_zoom_in_tool", args={"bbox_2d": [1, 2, 30, 40]}, id="a")],
        invalid_tool_calls=[invalid_tool_call(name="z", args='{"bbox_2d": [1', id="b", error="no JSON")],
    )
    turn = COF.parse(as_written(COF, taken))
    assert (turn.thought, [bool(found.error) for found in turn.calls]) == ("It is small.", [False, True])
    assert turn.calls[0].args == {"bbox_2d": [1, 2, 30, 40]}
    whole = AIMessage(zoom(1, 2, 30, 40), tool_calls=taken.tool_calls)
    assert as_written(COF, whole) is whole, "nothing is written twice"
