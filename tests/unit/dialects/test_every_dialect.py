"""What holds for all dialects alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.tool import tool_call

from cof_agent import ConfigError, FocusConfig, Status, StopReason
from cof_agent.dialects import DIALECTS, default_profile, get_dialect, parse_profile
from cof_agent.dialects.tools import CROP, ZOOM
from tests.support.dialogue import PHOTO, QUESTION, Dialogue, converse, plain, shape
from tests.support.examples import examples

TAGGED = [name for name in DIALECTS if name != "native"]
"""Dialects whose calls are text."""

WANTED = [0.25, 0.25, 0.5, 0.5]
"""The box that `LOOK` asks for, in fractions of the photo."""


def called(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def in_xml(name: str, **arguments: Any) -> str:
    """A call as Qwen3.5's templates write it."""
    lines = [f"<parameter={key}>\n{json.dumps(value)}\n</parameter>\n" for key, value in arguments.items()]
    return f"<tool_call>\n<function={name}>\n{''.join(lines)}</function>\n</tool_call>"


def native(text: str, id_: str, box: list[Any]) -> AIMessage:
    return AIMessage(text, tool_calls=[tool_call(name=ZOOM, args={"bbox_2d": box}, id=id_)])


LOOK: dict[str, str | AIMessage] = {
    "cof": "<think>small</think>" + called(ZOOM, bbox_2d=[252, 168, 504, 336]),
    "cof-v1": "<think>small <|box_start|>[252, 168, 504, 336]<|box_end|> closer <|image_zoomin|>",
    "deepeyes": "<think>small</think> " + called(ZOOM, bbox_2d=[252, 168, 504, 336], label="sign"),
    "mini-o3": f'<think>small</think><grounding>{{"bbox_2d": {WANTED}, "source": "original_image"}}</grounding>',
    "pixel-reasoner": "It is small.\n" + called("crop_image_normalized", bbox_2d=WANTED, target_image=1),
    "qwen3": "<think>small</think>\n" + called(ZOOM, bbox_2d=[250, 250, 500, 500], label="sign", img_idx=0),
    "sensenova-mars": "<think>small</think>\n" + called(ZOOM, bbox_2d=[250, 250, 500, 500], label="sign", img_idx=0),
    "qwen3.5": "small\n</think>\n\n" + in_xml(ZOOM, bbox_2d=[250, 250, 500, 500]),
    "native": native("<think>small</think>", "a", [252, 168, 504, 336]),
}
REFUSED: dict[str, str | AIMessage] = {
    "cof": called(ZOOM, bbox_2d=[9000, 1, 9001, 2]),
    "cof-v1": "<think>where? <|image_zoomin|>",
    "deepeyes": called(ZOOM, bbox_2d=[9000, 1, 9001, 2]),
    "mini-o3": '<grounding>{"bbox_2d": [0.5, 0.5, 0.9, 0.9], "source": "observation_7"}</grounding>',
    "pixel-reasoner": called("crop_image_normalized", bbox_2d=WANTED, target_image=0),
    "qwen3": called(ZOOM, bbox_2d=[250, 250, 500, 500], label="sign", img_idx=7),
    "sensenova-mars": called(ZOOM, bbox_2d=[500, 500, 500, 500], label="sign", img_idx=0),
    "qwen3.5": in_xml(ZOOM, bbox_2d=[250, 250, 500, 500], label="sign", img_idx=7),
    "native": native("", "b", [9000, 1, 9001, 2]),
}
UNREADABLE = dict.fromkeys(TAGGED, "<tool_call>closer, please</tool_call>") | {
    "cof-v1": "<|box_start|>here<|box_end|><|image_zoomin|>",
    "mini-o3": "<grounding>closer, please</grounding>",
}


def answered(name: str, text: str) -> str:
    return (
        f"So it is \\boxed{{{text}}}." if name == "pixel-reasoner" else f"<think>I see.</think><answer>{text}</answer>"
    )


def again(name: str) -> str | AIMessage:
    """`LOOK` a second time."""
    return native("", "c", [252, 168, 504, 336]) if name == "native" else LOOK[name]


def looked(name: str) -> Dialogue:
    return converse(
        name, LOOK[name], REFUSED[name], "" if name == "native" else "<think>hm</think>", answered(name, "42")
    )


@pytest.mark.parametrize("name", DIALECTS)
def test_its_profile_names_it_and_survives_json(name: str) -> None:
    profile = default_profile(name)
    assert profile.dialect == name
    assert parse_profile(json.loads(json.dumps(profile.model_dump(mode="json"))), "a test") == profile


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="pixel-reasoner"):
        get_dialect("klingon")


@pytest.mark.parametrize("name", DIALECTS)
def test_a_turn_that_looks_is_one_call_in_our_terms(name: str) -> None:
    said = LOOK[name]
    (call,) = get_dialect(name).parse(said if isinstance(said, AIMessage) else AIMessage(said)).calls
    assert call.error is None
    assert call.name == (CROP if name == "pixel-reasoner" else ZOOM)
    assert set(call.args) <= {"bbox_2d", "label", "view"}
    assert call.args.get("view", 0) == 0


@pytest.mark.parametrize("name", TAGGED)
def test_calls_end_with_the_text_that_ends_them(name: str) -> None:
    end, said = get_dialect(name).call_end, LOOK[name]
    assert isinstance(said, str)
    assert end
    assert said.endswith(end)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_whole_run(name: str) -> None:
    run = looked(name)
    assert (run.result.status, run.result.answer, run.result.message) == (Status.ANSWERED, "42", None)
    assert (run.result.usage.zooms, run.result.usage.refused) == (1, 2)
    (box,) = run.boxes
    x1, y1, x2, y2 = (edge * side for edge, side in zip(WANTED, (1000, 667, 1000, 667), strict=True))
    assert box[0] <= x1 < x2 <= box[2]
    assert box[1] <= y1 < y2 <= box[3]
    factor = default_profile(name).regions.factor
    assert all(side % factor == 0 for size in run.sizes for side in size)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_policys_words_stay_as_they_were(name: str) -> None:
    run = looked(name)
    turns = [message for message in run.messages if isinstance(message, AIMessage)]
    rendered = get_dialect(name).render(run.messages, default_profile(name), tools=True)
    assert [message.text for message in rendered if isinstance(message, AIMessage)] == [turn.text for turn in turns]
    assert [turn.text for turn in turns][:1] == [said.text if isinstance(said := LOOK[name], AIMessage) else said]


@pytest.mark.parametrize("name", DIALECTS)
def test_what_the_policy_saw_stays_as_it_was(name: str) -> None:
    run, dialect, profile = looked(name), get_dialect(name), default_profile(name)
    for shorter, longer in zip(run.prompts, run.prompts[1:], strict=False):
        assert longer[: len(shorter)] == shorter
    whole = plain(dialect.render(run.messages, profile, tools=True))
    for position, message in enumerate(run.messages):
        if isinstance(message, AIMessage):
            seen = plain(dialect.render(run.messages[:position], profile, tools=True))
            assert whole[: len(seen)] == seen
            assert whole[len(seen)][0] == "ai"


@pytest.mark.parametrize("name", DIALECTS)
def test_roles_take_turns(name: str) -> None:
    roles = [role for role, _ in plain(looked(name).prompts[-1]) if role != "system"]
    if name == "native":
        roles = [role for role in roles if role != "tool"]
        assert roles == ["human", "ai", "human", "ai", "ai", "human"]
    else:
        assert roles == ["human", "ai"] * 3 + ["human"]


@pytest.mark.parametrize("name", DIALECTS)
def test_the_question_follows_its_image(name: str) -> None:
    run = converse(name, answered(name, "42"))
    (question,) = (message for message in run.prompts[0] if isinstance(message, HumanMessage))
    first, *texts = shape(question)
    assert first == "(image)"
    assert any(QUESTION in text for text in texts)


@pytest.mark.parametrize("name", DIALECTS)
def test_without_tools_none_is_spoken_of(name: str) -> None:
    run = converse(name, answered(name, "42"), config=FocusConfig(max_zooms=0))
    (prompt,) = run.prompts
    said = " ".join(text for message in prompt for text in shape(message))
    assert default_profile(name).prompts.direct in said
    assert not [word for word in ("tool", "grounding", "zoomin") if word in said]
    assert run.result.answer == "42"


@pytest.mark.parametrize("name", [name for name in TAGGED if name != "cof-v1"])
def test_the_system_turn_tells_how_to_call(name: str) -> None:
    (prompt,) = converse(name, answered(name, "42")).prompts
    tag = {"mini-o3": "<grounding>", "qwen3.5": "<tool_call>\n<function="}.get(name, '<tool_call>\n{"name": ')
    task = default_profile(name).prompts.task
    assert prompt[0].text.endswith(task) if name == "qwen3.5" else prompt[0].text.startswith(task)
    assert tag in prompt[0].text


@pytest.mark.parametrize("name", TAGGED)
def test_a_task_that_tells_it_itself_stands_alone(name: str) -> None:
    task = {"mini-o3": "Write <grounding> to zoom.", "cof-v1": "Write <|image_zoomin|> to zoom."}.get(
        name, "<tools></tools>"
    )
    profile = default_profile(name)
    profile = profile.model_copy(update={"prompts": profile.prompts.model_copy(update={"task": task})})
    (prompt,) = converse(name, answered(name, "42"), profile=profile).prompts
    assert task in [text.strip() for text in shape(prompt[0])]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_policy_may_decline(name: str) -> None:
    result = converse(name, answered(name, "cannot answer: too dark")).result
    assert (result.status, result.message) == (Status.DECLINED, "too dark")


@pytest.mark.parametrize("name", DIALECTS)
def test_when_closing_the_prompt_says_so_and_plain_text_counts(name: str) -> None:
    run = converse(name, LOOK[name], again(name), "<think>well</think>It is 42.", config=FocusConfig(max_zooms=1))
    assert (run.result.answer, run.result.stop_reason) == ("It is 42.", StopReason.ZOOM_LIMIT)
    assert shape(run.prompts[-1][-1])[-1].strip() == default_profile(name).prompts.closing


@pytest.mark.parametrize("name", TAGGED)
def test_an_unreadable_call_is_refused_in_the_policys_terms(name: str) -> None:
    run = converse(name, UNREADABLE[name], answered(name, "42"))
    assert run.result.usage.refused == 1
    said = " ".join(shape(run.prompts[-1][-1]))
    word = {
        "cof-v1": "the box is not four numbers",
        "mini-o3": '"bbox_2d" and "source"',
        "qwen3.5": "<function=NAME>",
    }.get(name, '"name" and "arguments"')
    assert "refused" in said
    assert word in said


@pytest.mark.parametrize("name", DIALECTS)
def test_boxes_in_the_answer_are_evidence_in_original_pixels(name: str) -> None:
    written = {
        "mini-o3": WANTED,
        "pixel-reasoner": WANTED,
        "qwen3": [250, 250, 500, 500],
        "qwen3.5": [250, 250, 500, 500],
        "sensenova-mars": [250, 250, 500, 500],
    }.get(name, [252, 168, 504, 336])
    box = f"<|box_start|>{written}<|box_end|>" if name == "cof-v1" else json.dumps({"bbox_2d": written})
    (evidence,) = converse(name, answered(name, f"there: {box}")).result.evidence
    assert (evidence.view, evidence.source) == (0, "policy")
    assert list(evidence.box) == [250, 166, 500, 334]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_region_that_is_no_longer_shown_is_named_as_the_policy_names_it(name: str) -> None:
    run = converse(name, LOOK[name], again(name), answered(name, "42"), config=FocusConfig(max_conversation_tokens=1))
    said = " ".join(text for message in run.prompts[-1] for text in shape(message))
    image = {
        "mini-o3": "observation_1",
        "pixel-reasoner": "target_image 2",
        "qwen3": "img_idx 1",
        "qwen3.5": "img_idx 1",
    }.get(name, "view 1")
    assert f"[{image} is no longer shown]" in said


FRAGMENTS = [
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "<grounding>", "</grounding>",
    "<function=image_zoom_in_tool>", "</function>", "<parameter=bbox_2d>", "</parameter>",
    "<|box_start|>", "<|box_end|>", "<|image_zoomin|>", "\\boxed{", "\\text{", '{"name": ', '"arguments": ', "[", "]",
    "{", "}", "'", '"', ",", "\\", "```json", "NaN", "-Infinity", "1e999", "9" * 25, "null", "true", '"bbox_2d": ',
    '"source": ', '"img_idx": ', '"target_image": ', "observation_", "\ud800", "\x00", '"image_zoom_in_tool"',
    '"crop_image_normalized"', "[" * 60, "é", "\n", "cannot answer: ",
]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 40), st.sampled_from(FRAGMENTS) | st.text(max_size=5)), max_size=5
)


@st.composite
def spoken(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(TAGGED))
    base = draw(st.sampled_from([LOOK[name], REFUSED[name], answered(name, '42 {"bbox_2d": [1, 2, 3, 4]}')]))
    assert isinstance(base, str)
    for at, length, new in draw(EDITS):
        at %= len(base) + 1
        base = base[:at] + new + base[at + length :]
    return base


@pytest.mark.parametrize("name", DIALECTS)
@given(said=spoken() | st.text(alphabet=st.characters(), max_size=200))
@examples(60)
def test_parsing_never_raises(name: str, said: str) -> None:
    turn = get_dialect(name).parse(AIMessage(said))
    assert turn.answer is None or turn.answer.strip()
    assert all(isinstance(call.args, dict) and not (call.error and call.args) for call in turn.calls)
    assert all(len(box) == 4 for box in turn.pointed)


@pytest.mark.parametrize("name", DIALECTS)
@given(turns=st.lists(spoken(), min_size=1, max_size=3))
@examples(12)
def test_a_run_always_ends(name: str, turns: list[str]) -> None:
    result = converse(name, *turns, *[answered(name, "42")] * 12).result
    assert result.status in (Status.ANSWERED, Status.DECLINED, Status.BUDGET), result.message


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "piece", [*FRAGMENTS[:13], "{", "[", "<|box_start|>[", '<grounding>{"bbox_2d": [', "\\boxed{}"]
)
def test_long_repetitions_are_read(name: str, piece: str) -> None:
    turn = get_dialect(name).parse(AIMessage(piece * 10_000))
    assert turn.answer is None or isinstance(turn.answer, str)


def test_the_photo_has_the_size_that_the_tables_expect() -> None:
    assert PHOTO.size == (1000, 667)
