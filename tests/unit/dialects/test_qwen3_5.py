"""Qwen3.5, Qwen3.6 and Qwen3.8 as their chat templates write them.

Transcripts follow the forms in `trl/chat_templates/qwen3_5_think.jinja`, `qwen3_6.jinja` and `qwen3_8.jinja` of TRL
1.16.0, and what vLLM's parsers (`vllm/parser/qwen3.py`) make of such text. The rendered conversation is compared with
the templates themselves in `tests/weights/policies/qwen/test_qwen3_5.py`.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call

from cof_agent.dialects import default_profile, get_dialect
from cof_agent.dialects.reading import as_written
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.xml_calls import xml_call
from tests.support.dialogue import IMAGE, converse, shape
from tests.unit.dialects.test_every_dialect import called

QWEN = get_dialect("qwen3.5")
PROFILE = default_profile("qwen3.5")
ANSWER = "It can be read now.\n</think>\n\n<answer>42</answer>"


def look(box: str = "[100, 200, 500, 600]", **more: str) -> str:
    values = {"bbox_2d": box, **more}
    lines = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    return f"<tool_call>\n<function=image_zoom_in_tool>\n{lines}</function>\n</tool_call>"


@pytest.mark.parametrize(
    ("text", "thought", "arguments"),
    [
        ("Too small.\n</think>\n\n" + look(), "Too small.", {"bbox_2d": [100, 200, 500, 600]}),
        ("<think>\nToo small.\n</think>\n\n" + look(), "Too small.", {"bbox_2d": [100, 200, 500, 600]}),
        ("Too small, so I look.\n" + look(), "", {"bbox_2d": [100, 200, 500, 600]}),
        ("<think>\nToo small.\n" + look(), "Too small.", {"bbox_2d": [100, 200, 500, 600]}),
        (look(label="the sign", img_idx="0"), "", {"bbox_2d": [100, 200, 500, 600], "label": "the sign", "view": 0}),
        (look(label="42"), "", {"bbox_2d": [100, 200, 500, 600], "label": "42"}),
        (look(label="true"), "", {"bbox_2d": [100, 200, 500, 600], "label": "true"}),
        (look(label="two\nlines"), "", {"bbox_2d": [100, 200, 500, 600], "label": "two\nlines"}),
        (look("[0.5, 1e2, 500, 600]"), "", {"bbox_2d": [0.5, 100.0, 500, 600]}),
        ("a\n</think>\n\n" + called(ZOOM, bbox_2d=[1, 2, 3, 4]), "a", {"bbox_2d": [1, 2, 3, 4]}),
        ("<tool_call><function=image_zoom_in_tool><parameter=bbox_2d>[1,2,3,4]</parameter></function></tool_call>", "",
         {"bbox_2d": [1, 2, 3, 4]}),
    ],
)  # fmt: skip
def test_calls(text: str, thought: str, arguments: dict[str, object]) -> None:
    turn = QWEN.parse(AIMessage(text, response_metadata={"finish_reason": "stop"}))
    assert (turn.thought, turn.answer, turn.fault) == (thought, None, None)
    (call,) = turn.calls
    assert (call.name, call.args, call.error) == (ZOOM, arguments, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<tool_call>\n<function=image_zoom_in_tool>\n<parameter=bbox_2d>\n[1, 2", "not closed"),
        ("<tool_call>\nlook closer\n</tool_call>", "not written as <function=NAME>"),
    ],
)
def test_calls_that_cannot_be_read(text: str, error: str) -> None:
    (call,) = QWEN.parse(AIMessage(text)).calls
    assert error in str(call.error)


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("small\n</think>\n\nIt is 42.", "small", "It is 42."),
        ("\n\n</think>\n\n<answer>42</answer>", "", "42"),
        ("It is 42.", "", "It is 42."),
        ("small\n</think>\n\n", "small", None),
    ],
)
def test_answers(text: str, thought: str, answer: str | None) -> None:
    turn = QWEN.parse(AIMessage(text))
    assert (turn.thought, turn.answer, turn.calls) == (thought, answer, ())


def test_a_run_to_the_letter() -> None:
    first = f"Two places.\n</think>\n\n{look()}\n{look('[0, 0, 500, 500]', label='door', img_idx='5')}"
    run = converse("qwen3.5", first, ANSWER)
    assert (run.result.answer, run.boxes, run.sizes) == ("42", [[99, 133, 500, 401]], [(640, 448)])
    system, question, turn, responses = run.prompts[-1]
    assert [message.type for message in run.prompts[-1]] == ["system", "human", "ai", "human"]
    assert system.text.startswith("# Tools\n\n")
    assert "<tools>\n{" in system.text
    assert '"required": ["bbox_2d"]' in system.text
    assert system.text.endswith(f"</tool_call>\n\n{PROFILE.prompts.task}")
    assert shape(question) == [IMAGE, "What is it?"]
    assert turn.text == first
    assert turn.additional_kwargs == {"reasoning_content": "Two places."}
    assert "".join(shape(responses)) == (
        "<tool_response>\n(image)\n</tool_response>\n"
        "<tool_response>\nThat call was refused: there is no img_idx 5: the images are img_idx 0 to img_idx 1."
        "\n</tool_response>"
    )


def test_what_a_servers_parsers_took_out_is_written_as_the_checkpoint_writes_it() -> None:
    taken = AIMessage(
        "",
        tool_calls=[tool_call(name=ZOOM, args={"bbox_2d": [1, 2, 3, 4], "label": "a “b”"}, id="1")],
        additional_kwargs={"reasoning_content": "Too small."},
    )
    said = as_written(QWEN, taken)
    call = xml_call(ZOOM, {"bbox_2d": [1, 2, 3, 4], "label": "a “b”"})
    assert said.text == f"<think>Too small.</think>\n{call}"
    assert call == (
        "<tool_call>\n<function=image_zoom_in_tool>\n<parameter=bbox_2d>\n[1, 2, 3, 4]\n</parameter>\n"
        "<parameter=label>\na “b”\n</parameter>\n</function>\n</tool_call>"
    )
    turn = QWEN.parse(said)
    assert (turn.thought, [found.args for found in turn.calls]) == (
        "Too small.",
        [{"bbox_2d": [1, 2, 3, 4], "label": "a “b”"}],
    )


def test_its_prompts_do_not_ask_for_a_thought_that_the_template_opens() -> None:
    assert "<think>" not in str(PROFILE.prompts.model_dump())
