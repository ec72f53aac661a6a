"""How a reply ended, and what of a turn counts then: the words of many servers, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from cof_agent.dialects import DIALECTS, Turn, get_dialect
from cof_agent.dialects.declining import decline_of
from cof_agent.dialects.finish import Finish, finish_of
from cof_agent.dialects.reading import BROKEN, CALL_LIKE, CUT, FILTERED, NO_CALL, REPEATS, as_written, read_turn
from tests.support.dialogue import converse
from tests.unit.dialects.test_every_dialect import LOOK, answered

ZOOM = "image_zoom_in_tool"


def ended(text: str, **metadata: Any) -> AIMessage:
    return AIMessage(text, response_metadata=metadata)


@pytest.mark.parametrize(
    ("metadata", "finish"),
    [
        ({"finish_reason": "stop"}, Finish.WHOLE),
        ({"finish_reason": "tool_calls"}, Finish.WHOLE),
        ({"stop_reason": "end_turn"}, Finish.WHOLE),
        ({"finish_reason": "STOP"}, Finish.WHOLE),
        ({"done_reason": "stop"}, Finish.WHOLE),
        ({"status": "completed"}, Finish.WHOLE),
        ({"finish_reason": "stopstop"}, Finish.WHOLE),
        ({"finish_reason": "length"}, Finish.CUT),
        ({"stop_reason": "max_tokens"}, Finish.CUT),
        ({"stop_reason": "model_context_window_exceeded"}, Finish.CUT),
        ({"finish_reason": "MAX_TOKENS"}, Finish.CUT),
        ({"finish_reason": "model_length"}, Finish.CUT),
        ({"done_reason": "length"}, Finish.CUT),
        ({"stopReason": "max_tokens"}, Finish.CUT),
        ({"finish_reason": "STOPMAX_TOKENS"}, Finish.CUT),
        ({"finish_reason": "abandoned"}, Finish.CUT),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Finish.CUT),
        ({"status": "incomplete"}, Finish.CUT),
        ({"truncated": True}, Finish.CUT),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Finish.FILTERED),
        ({"finish_reason": "content_filter"}, Finish.FILTERED),
        ({"finish_reason": "SAFETY"}, Finish.FILTERED),
        ({"finish_reason": "RECITATION"}, Finish.FILTERED),
        ({"stop_reason": "refusal"}, Finish.FILTERED),
        ({"stopReason": "guardrail_intervened"}, Finish.FILTERED),
        ({"finish_reason": "network_error"}, Finish.BROKEN),
        ({"finish_reason": "error: upstream"}, Finish.BROKEN),
        ({"finish_reason": "timeout"}, Finish.BROKEN),
        ({"finish_reason": "OTHER"}, Finish.BROKEN),
        ({"finish_reason": "MALFORMED_FUNCTION_CALL"}, Finish.BROKEN),
        ({"finish_reason": "repetition"}, Finish.BROKEN),
        ({"status": "in_progress"}, Finish.BROKEN),
        ({"stop_reason": "pause_turn"}, Finish.BROKEN),
        ({}, Finish.UNKNOWN),
        ({"finish_reason": None}, Finish.UNKNOWN),
        ({"finish_reason": 7}, Finish.UNKNOWN),
    ],
)
def test_how_servers_say_that_a_reply_ended(metadata: dict[str, Any], finish: Finish) -> None:
    assert finish_of(AIMessage("", response_metadata=metadata)) is finish


@pytest.mark.parametrize("name", DIALECTS)
def test_a_whole_answer_stands_before_a_cut_and_not_before_a_filter(name: str) -> None:
    dialect, text = get_dialect(name), "<answer>417</answer>"
    assert dialect.parse(ended(f"{text} And so", finish_reason="length")).answer == "417"
    for reason, fault in (("content_filter", FILTERED), ("length", CUT)):
        turn = dialect.parse(ended("<answer>41" if fault == CUT else text, finish_reason=reason))
        assert (turn.answer, turn.calls, turn.fault) == (None, (), fault)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_left_open_counts_where_the_turn_ended_by_itself(name: str) -> None:
    dialect = get_dialect(name)
    assert dialect.parse(ended("<answer>417", finish_reason="stop")).answer == "417"
    assert dialect.parse(ended("<answer>417")).answer is None
    for text in ("<answer><answer>417", "<answer><answer>417</answer></answer>", "<answer>417<answer>" * 90):
        turn = dialect.parse(ended(text, finish_reason="stop"))
        assert (turn.answer, bool(turn.fault)) == (None, True), text


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "native"])
def test_a_whole_call_before_a_cut_is_carried_out_and_a_part_of_one_is_not(name: str) -> None:
    said = LOOK[name]
    assert isinstance(said, str)
    dialect = get_dialect(name)
    whole = dialect.parse(ended(said, finish_reason="length"))
    assert [call.error for call in whole.calls] == [None]
    part = dialect.parse(ended(said[: said.rindex("]") - 2], finish_reason="length"))
    assert (part.calls, part.answer, part.fault) == ((), None, CUT)


def test_the_last_call_of_a_provider_before_a_cut_is_not_read() -> None:
    """LangChain mends the arguments of a stream that broke off: they look whole."""
    calls = [tool_call(name=ZOOM, args={"bbox_2d": [1, 2, 3, n]}, id=str(n)) for n in (4, 5)]
    dialect = get_dialect("native")
    cut: dict[str, Any] = {"response_metadata": {"finish_reason": "length"}}
    assert [call.id for call in dialect.parse(AIMessage("", tool_calls=calls, **cut)).calls] == ["4"]
    assert dialect.parse(AIMessage("", tool_calls=calls[:1], **cut)).fault == CUT
    whole = dialect.parse(AIMessage("", tool_calls=calls, response_metadata={"finish_reason": "tool_calls"}))
    assert len(whole.calls) == 2


def test_arguments_that_were_encoded_twice_are_read() -> None:
    twice = json.dumps(json.dumps({"bbox_2d": [1, 2, 3, 4]}))
    bad = invalid_tool_call(name=ZOOM, args=twice, id="a", error="no object")
    (call,) = get_dialect("native").parse(AIMessage("", invalid_tool_calls=[bad])).calls
    assert (call.args, call.error, call.id) == ({"bbox_2d": [1, 2, 3, 4]}, None, "a")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_call_in_plain_json_is_never_an_answer(name: str) -> None:
    call = json.dumps({"name": ZOOM, "arguments": {"bbox_2d": [1, 2, 3, 4]}})
    for text in (call, f"<answer>{call}</answer>", f"Closer:\n```json\n{call}\n```"):
        turn = get_dialect(name).parse(ended(text, finish_reason="stop"))
        assert (turn.answer, [call.name for call in turn.calls]) == (None, [ZOOM]), text
    for text in (
        call[:-9],
        f"{ZOOM}: [1, 2, 3, 4]",
        f"call:{ZOOM}{{bbox_2d:[1,2,3,4]}}",
        f"name: {ZOOM}\narguments: [1, 2, 3, 4]",
        f"I call {ZOOM} with bbox_2d=[1,2,3,4]",
        "<zoom>[1, 2, 3, 4]</zoom>",
    ):
        broken = get_dialect(name).parse(ended(text, finish_reason="stop"))
        assert (broken.answer, broken.said, broken.fault) == (None, None, CALL_LIKE), text


@pytest.mark.parametrize("name", DIALECTS)
def test_words_and_values_that_are_no_calls_stay_answers(name: str) -> None:
    for text in ("a zoom lens", '{"name": "Zoom", "price": 3}', "image_zoom_in_tool", '{"bbox_2d": [1, 2, 3, 4]}'):
        assert get_dialect(name).parse(ended(f"<answer>{text}</answer>")).answer == text


@pytest.mark.parametrize("name", DIALECTS)
def test_a_refusal_declines(name: str) -> None:
    said = AIMessage("", additional_kwargs={"refusal": "No faces."})
    assert decline_of(get_dialect(name).parse(said).answer or "") == "No faces"


@pytest.mark.parametrize("name", DIALECTS)
def test_a_turn_that_was_cut_is_told_so(name: str) -> None:
    run = converse(name, ended("<answer>4", finish_reason="length"), answered(name, "42"))
    assert (run.result.answer, run.result.usage.refused) == ("42", 1)
    assert "cut off at the limit of its length" in str(run.prompts[-1][-1].content)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("cannot answer", ""),
        ("Cannot answer.", ""),
        ("**cannot answer**: the sign (left) is dark", "the sign (left) is dark"),
        ("> *Cannot  answer* — too dark.", "too dark"),
        ('"cannot answer: too dark"', "too dark"),
        ("# Cannot answer\n\n- too dark", "too dark"),
        ("**Final answer:** cannot answer: too dark", "too dark"),
        ('{"answer": "cannot answer: too dark"}', "too dark"),
        ('{"answer": "cannot answer", "count": 3}', None),
        ("<b>cannot answer</b>: dark", "dark"),
        ("\u200bcannot answer: dark", "dark"),
        ("\ufeffcannot answer\uff1a dark", "dark"),
        ("cannot_answer: dark", "dark"),
        ("\\text{cannot answer}: blurry", "blurry"),
        ("$\\textbf{cannot answer: blurry}$", "blurry"),
        ("cannot answer because it is dark", "because it is dark"),
        ("cannot answer\nIt is dark", "It is dark"),
        ("cannot answer - dark", "dark"),
        ("CANNOT ANSWER CALLS WHILE DRIVING", None),
        ('"Cannot answer" is printed on the button', None),
        ("\u201cCannot answer\u201d is printed on the button", None),
        ("**Cannot answer** is printed on the button", None),
        ("cannot answered", None),
        ("I cannot answer", None),
        ("42", None),
        ("", None),
        ("*" * 100_000, None),
    ],
)
def test_declines(answer: str, reason: str | None) -> None:
    assert decline_of(answer) == reason


def test_a_dialect_of_others_is_held_to_the_same() -> None:
    class Plain:
        binds_tools, call_end = False, None

        def parse(self, message: AIMessage) -> Turn:
            return Turn(answer=message.text)

        def render(self, messages: Any, profile: Any, *, tools: bool) -> Any:
            return messages

    assert read_turn(Plain(), ended("417<|im_end|>", finish_reason="stop")).answer == "417"
    assert read_turn(Plain(), ended("The number is 4", finish_reason="length")).fault == CUT
    call = json.dumps({"name": ZOOM, "arguments": {"bbox_2d": [1, 2, 3, 4]}})
    assert read_turn(Plain(), ended(call)).answer is None


def stopped(name: str, text: str, reason: str = "stop") -> Turn:
    return get_dialect(name).parse(ended(text, finish_reason=reason))


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "<think>The format is <answer>the reason</answer>. Now let me",
        "<think>hm <answer>7</answer> and so on",
        "It says <answer> on the button",
        "<answer>The tag </answer> is closed</answer>",
        "<answer>4<think>hm</think>17</answer>",
        "<answer>417<think>",
        "<answer>417</answer> Wait, no: <answer>418</answer>",
        "<answer>417</answer> Wait, no: <answer>418",
        "<|channel|>analysis<|message|>It is 417",
        "<thinking>It is 417",
        "<thinking>It is <answer>417</answer></thinking>",
        "\u25c1think\u25b7It is 417",
        "[THINK]It is 417",
        "<reasoning>It is 417",
        "<|begin_of_thought|>It is 417",
    ],
)
def test_what_is_not_given_as_the_one_answer_is_none(name: str, text: str) -> None:
    for reason in ("stop", "length"):
        turn = stopped(name, text, reason)
        assert (turn.answer, turn.calls) == (None, ())
        assert turn.fault or not turn.said, "plain text counts in a closing turn"


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "<think>It is clear. <answer>417</answer>",
        "<think>It is clear. <answer>417</answer><|im_end|>\n",
        "<think>as <answer>x</answer> says</think><answer>417</answer> That is it.",
        "<answer><think>hm</think>417</answer>",
        "<answer>417</answer> I say it again: <answer> 417.</answer>",
        "I see: <answer>417",
        "<|channel|>analysis<|message|>7?<|end|><|start|>assistant<|channel|>final<|message|><answer>417</answer>",
        "analysisIs it <answer>7</answer>?assistantfinal<answer>417</answer>",
        "<thinking>Is it <answer>7</answer>?</thinking><answer>417</answer>",
        "Is it 7?</thinking><answer>417</answer>",
        "\u25c1think\u25b7Is it <answer>7</answer>?\u25c1/think\u25b7<answer>417</answer>",
        "[THINK]Is it <answer>7</answer>?[/THINK]<answer>417</answer>",
        "<answer><s>417</s></answer>",
        "<answer>417</s></answer>",
        "<answer>417<|im_end|>\n<|im_start|>user\nAnd next?</answer>",
        "<answer>417<|endoftext|><|endoftext|></answer>",
        "<answer>417<|endoftext|>\nuser\nAnd next?</answer>",
    ],
)
def test_the_one_answer_of_a_turn(name: str, text: str) -> None:
    assert stopped(name, text).answer == "417"


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<s>$20</s> $15", "<s>$20</s> $15"),
        ("It costs <s>$20</s> $15", "It costs <s>$20</s> $15"),
        ("It says <|endoftext|> in green", "It says in green"),
        ("The key <pad> is red", "The key is red"),
        ("It says <thinking> on the wall", "It says <thinking> on the wall"),
        ("analysis of blood", "analysis of blood"),
        ("1, 2, 3, 4, " * 9 + "5", "1, 2, 3, 4, " * 9 + "5"),
        ("." * 200, "." * 200),
        (", ".join(map(str, range(2_000))), ", ".join(map(str, range(2_000)))),
    ],
)
def test_an_honest_answer_stays_whole(name: str, text: str, answer: str) -> None:
    assert stopped(name, f"<answer>{text}</answer>").answer == answer


@pytest.mark.parametrize("name", ["native", "qwen3"])
def test_the_plain_text_beside_thoughts_is_the_answer(name: str) -> None:
    text = "<|channel|>analysis<|message|>Is it 7?<|end|><|start|>assistant<|channel|>final<|message|>It is 418"
    assert stopped(name, text).answer == "It is 418"
    assert stopped(name, text + "<|return|>").thought == "Is it 7?"
    assert stopped(name, "<reasoning>Is it 7?</reasoning>\n418").answer == "418"
    assert stopped(name, "<|begin_of_thought|>7?<|end_of_thought|><|begin_of_solution|>418").answer == "418"
    for plain in ("417<|im_end|>", "<s>417</s>", "417</s>", "417<|im_end|>\n<|im_start|>user\nAnd?"):
        assert stopped(name, plain).answer == "417"


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("reason", ["tool_calls", "tool_use", "function_call", "tool_callstool_calls"])
def test_a_turn_that_ended_for_a_call_and_has_none_is_no_answer(name: str, reason: str) -> None:
    turn = stopped(name, "<answer>417</answer>", reason)
    assert (turn.answer, turn.said, turn.fault) == (None, None, NO_CALL)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_turn_that_broke_off_is_no_answer(name: str) -> None:
    turn = stopped(name, "<answer>417</answer>", "MALFORMED_FUNCTION_CALL")
    assert (turn.answer, turn.said, turn.fault) == (None, None, BROKEN)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "text", ["The sign says 4" + " and 4" * 300, "<answer>" + "12, " * 400 + "</answer>", "!" * 1_500]
)
def test_a_turn_that_repeats_itself_to_its_end_is_no_answer(name: str, text: str) -> None:
    turn = stopped(name, text)
    assert (turn.answer, turn.said, turn.fault) == (None, None, REPEATS)


@pytest.mark.parametrize("name", ["native", "cof"])
@pytest.mark.parametrize(
    ("thought", "reason", "answer"),
    [
        ("I see. <answer>417</answer>", "stop", "417"),
        ("I see. <answer>417</answer>", "length", None),
        ("Perhaps <answer>417</answer>, but let me look", "stop", None),
    ],
)
def test_a_thought_alone_holds_an_answer_where_it_ends_with_it(
    name: str, thought: str, reason: str, answer: str | None
) -> None:
    message = AIMessage(
        "", additional_kwargs={"reasoning_content": thought}, response_metadata={"finish_reason": reason}
    )
    dialect = get_dialect(name)
    assert read_turn(dialect, as_written(dialect, message) if name == "cof" else message).answer == answer
