"""DeepEyes, as Visual-Agent/DeepEyes@2acd417f21fe814a059a6adbca1d7e18952d067b runs it.

`verl/workers/agent/envs/mm_process_engine/visual_toolbox_v2.py` has the tool and the form of its responses,
`prompt.py` beside it the form of calls.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from cof_agent.dialects import default_profile, get_dialect
from tests.support.dialogue import IMAGE, apart, converse, shape
from tests.unit.dialects.test_every_dialect import called

DEEPEYES = get_dialect("deepeyes")
PROFILE = default_profile("deepeyes")
REMINDER = "\n" + PROFILE.prompts.reminder
ANSWER = "<think>It is clear now.</think> <answer>42</answer>"


def look(*box: float) -> str:
    return "<think>I need to look closer.</think> " + called("image_zoom_in_tool", bbox_2d=list(box), label="sign")


def published(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """The release's rule in pixels of a 1008x672 view: clipped; sides of 30 or less are refused before any grows."""
    x1, y1, x2, y2 = max(0, x1), max(0, y1), min(1008, x2), min(672, y2)
    assert min(x2 - x1, y2 - y1) > 30
    return [x1, y1, x2, y2]


@pytest.mark.parametrize(
    ("box", "found", "size"),
    [
        ((100, 120, 400, 330), [99, 119, 397, 328], (308, 196)),
        ((0, 0, 1008, 672), [0, 0, 1000, 667], (1008, 672)),
        ((-20, -20, 400, 330), [0, 0, 397, 328], (392, 336)),
        ((900, 600, 2000, 2000), [892, 595, 1000, 667], (112, 84)),
        ((500, 300, 531, 331), [496, 297, 527, 329], (56, 84)),
        ((100.5, 120.5, 400.5, 330.5), [99, 119, 397, 328], (308, 196)),
    ],
)
def test_regions(box: tuple[float, ...], found: list[int], size: tuple[int, int]) -> None:
    run = converse("deepeyes", look(*box), ANSWER)
    assert (run.boxes, run.sizes) == ([found], [size])
    across, down = 1000 / 1008, 667 / 672
    theirs = [edge * scale for edge, scale in zip(published(*box), (across, down, across, down), strict=True)]
    assert apart(found, theirs) <= 2


def test_a_run_to_the_letter() -> None:
    turns = (look(100, 120, 400, 330), look(5, 5, 5, 90), ANSWER)
    run = converse("deepeyes", *turns)
    assert run.result.answer == "42"
    system, question, first, region, second, refused = run.prompts[-1]
    assert [message.type for message in run.prompts[-1]] == ["system", "human", "ai", "human", "ai", "human"]
    assert '"image_zoom_in_tool"' in system.text
    assert '"required": ["bbox_2d"]' in system.text
    assert shape(question) == [IMAGE, "What is it?", REMINDER]
    assert [shape(first), shape(second)] == [[turns[0]], [turns[1]]]
    assert shape(region) == ["<tool_response>", IMAGE, "</tool_response>" + REMINDER]
    (why,) = shape(refused)
    assert why.startswith("Error: ")
    assert "[5, 5, 5, 90] is empty" in why


def test_thin_regions_are_refused() -> None:
    run = converse("deepeyes", look(0, 0, 1000, 30), look(500, 300, 530, 400), look(980, 0, 2000, 90), ANSWER)
    assert run.boxes == []
    said = [text for message in run.prompts[-1] for text in shape(message) if text.startswith("Error: ")]
    assert ["a side has" in why and "needs over 30" in why for why in said] == [True] * 3
    assert "a side has 28 pixels" in said[2], "counted after the box is cut to the image"
    profile = PROFILE.model_copy(update={"zoom": type(PROFILE.zoom)(margin=1, scale=1, clip=True, max_aspect=100)})
    run = converse("deepeyes", look(0, 301, 1008, 307), look(0, 300, 1008, 305), ANSWER, profile=profile)
    assert run.boxes == []
    assert "too thin: its longer side may be at most 100 times the other" in shape(run.prompts[-1][-1])[0]


def test_the_other_published_name_of_the_box_is_read() -> None:
    (call,) = DEEPEYES.parse(AIMessage(called("image_zoom_in_tool", bbox=[1, 2, 3, 4]))).calls
    assert call.args == {"bbox_2d": [1, 2, 3, 4]}


def test_of_several_calls_in_a_turn_the_first_is_run() -> None:
    run = converse("deepeyes", look(100, 120, 400, 330) + look(1, 2, 300, 400), ANSWER)
    assert run.boxes == [[99, 119, 397, 328]]
    several = PROFILE.model_copy(update={"stop_after_call": False})
    run = converse("deepeyes", look(100, 120, 400, 330) + look(1, 2, 300, 400), ANSWER, profile=several)
    assert len(run.boxes) == 2
    parts = ["<tool_response>", IMAGE, "</tool_response>"]
    assert shape(run.prompts[-1][-1]) == [*parts, "\n" + parts[0], IMAGE, parts[2] + REMINDER]


def test_a_question_that_follows_has_the_reminder_too() -> None:
    again = HumanMessage([{"type": "text", "text": "And its colour?"}])
    rendered = DEEPEYES.render([again], PROFILE, tools=True)
    assert shape(rendered[-1]) == ["And its colour?", REMINDER]
    assert shape(DEEPEYES.render([again], PROFILE, tools=False)[-1]) == ["And its colour?"]
