"""Boxes in running text, as xtong-zhang/Chain-of-Focus@b0668ceaf0199a475cad0652b9c6fe488911a403 asks for them.

The form is that of `verl/recipe/zoomin/data_progress/customized_dataset_nips.py` (prompt) and of the format reward in
`verl/recipe/zoomin/` there: thoughts in `<think>`, a box, `<|image_zoomin|>`, the thought going on, `<answer>`.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from cof_agent import FocusConfig
from cof_agent.dialects import default_profile, get_dialect
from cof_agent.images.geometry import enlarge, to_original
from tests.support.dialogue import IMAGE, converse, shape

V1 = get_dialect("cof-v1")
PROMPTS = default_profile("cof-v1").prompts
FIRST = "<think>The number is small: <|box_start|>[100, 120, 200, 180]<|box_end|>, so I look closer <|image_zoomin|>"
LAST = "which shows it clearly.</think>\n<answer> 42 </answer>"


def test_a_run_to_the_letter() -> None:
    run = converse("cof-v1", FIRST, LAST)
    assert run.result.answer == "42"
    corners = enlarge([100, 120, 200, 180], (1008, 672), 1.5)
    assert corners == (75, 105, 225, 195)
    assert run.boxes == [[74, 104, 224, 194]]
    assert run.boxes == [to_original(corners, (1008, 672), run.result.views[0].box).as_list()]
    assert run.sizes == [(308, 168)], "twice the region's 150x90 original pixels, in multiples of 28"
    question, first, region = run.prompts[-1]
    assert [question.type, first.type, region.type] == ["human", "ai", "human"]
    image, task, asked = shape(question)
    assert (image, asked) == (IMAGE, "Question: What is it?")
    assert task.startswith(PROMPTS.task)
    assert "<|box_start|>[x1, y1, x2, y2]<|box_end|>" in task
    assert shape(first) == [FIRST]
    assert shape(region) == [IMAGE, "\n" + PROMPTS.reminder]


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (FIRST, [100, 120, 200, 180]),
        ("<|box_start|>[1,2,30,40]<|box_end|><|image_zoomin|>", [1, 2, 30, 40]),
        ("<|box_start|> [1.5, 2, 30, 40] <|box_end|> <|image_zoomin|>", [1.5, 2, 30, 40]),
        ("<|box_start|>(1,2),(30,40)<|box_end|><|image_zoomin|>", [1, 2, 30, 40]),
        (
            "<|box_start|>[9, 9, 9, 9]<|box_end|> or <|box_start|>[1, 2, 30, 40]<|box_end|><|image_zoomin|>",
            [1, 2, 30, 40],
        ),
        ("a server hid the tokens: [1, 2, 30, 40] <|image_zoomin|>", [1, 2, 30, 40]),
        ("<|box_start|>[-1, 2, 30, 40]<|box_end|><|image_zoomin|>", [-1, 2, 30, 40]),
    ],
)
def test_the_last_box_before_the_token_is_the_call(text: str, box: list[float]) -> None:
    (call,) = V1.parse(AIMessage(text)).calls
    assert (call.args, call.error) == ({"bbox_2d": box}, None)
    assert call.text in text
    assert str(box[0]) in call.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("closer <|image_zoomin|>", "no box between"),
        ("<|box_start|>[1, 2, 30, 40] <|image_zoomin|>", None),
        ("<|box_start|>[1, 2, 30]<|box_end|><|image_zoomin|>", "not four numbers"),
        ("<|box_start|>[1, 2, 30, 40, 5]<|box_end|><|image_zoomin|>", "not four numbers"),
        ("<|box_start|>there<|box_end|><|image_zoomin|>", "not four numbers"),
    ],
)
def test_calls_without_a_box(text: str, why: str | None) -> None:
    (call,) = V1.parse(AIMessage(text)).calls
    assert (call.error is None) == (why is None)
    assert why is None or why in str(call.error)


def test_a_box_without_the_token_is_no_call() -> None:
    assert V1.parse(AIMessage("<think>at <|box_start|>[1, 2, 30, 40]<|box_end|></think><answer>x</answer>")).calls == ()


def test_tokens_are_no_part_of_a_plain_last_answer() -> None:
    run = converse("cof-v1", FIRST, "</think>It is 42 <|box_start|>there<|box_end|>", config=FocusConfig(max_turns=1))
    assert run.result.answer == "It is 42 there"


def test_thoughts_go_on_after_a_region() -> None:
    assert V1.parse(AIMessage(FIRST)).thought == "The number is small: [100, 120, 200, 180], so I look closer"
    assert V1.parse(AIMessage(LAST)).thought == "which shows it clearly."


def test_of_several_calls_in_a_turn_the_first_is_run() -> None:
    run = converse("cof-v1", FIRST + " and <|box_start|>[1, 2, 300, 400]<|box_end|><|image_zoomin|>", LAST)
    assert run.boxes == [[74, 104, 224, 194]]


def test_a_box_outside_is_refused_in_a_user_turn() -> None:
    run = converse("cof-v1", "<|box_start|>[900, 10, 1100, 90]<|box_end|><|image_zoomin|>", LAST)
    assert run.boxes == []
    why, reminder = shape(run.prompts[-1][-1])
    assert "[900, 10, 1100, 90] reaches outside the image: it needs 0 <= x1 < x2 <= 1008" in why
    assert reminder == "\n" + PROMPTS.reminder
