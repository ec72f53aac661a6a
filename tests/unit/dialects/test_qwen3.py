"""Qwen3-VL with its zoom tool, as QwenLM/Qwen-Agent@d04611b01cb113148462fdc7c3a0d048558b9c50 runs it.

`qwen_agent/tools/image_zoom_in_qwen3vl.py` has the tool, `qwen_agent/llm/fncall_prompts/nous_fncall_prompt.py`@
06a190465090cc15f73d539529e314a9cc1d99da the form of calls and responses.
"""

from __future__ import annotations

import math

import pytest
from langchain_core.messages import AIMessage

from cof_agent.dialects import default_profile, get_dialect
from tests.support.dialogue import IMAGE, apart, converse, shape
from tests.unit.dialects.test_every_dialect import called

QWEN = get_dialect("qwen3")
PROFILE = default_profile("qwen3")
ANSWER = "It is the number 42."


def look(*box: object, index: object = 0, label: str = "sign") -> str:
    return called("image_zoom_in_tool", bbox_2d=list(box), label=label, img_idx=index)


def published(box: tuple[float, ...], frame: list[int]) -> list[float]:
    """The release's rule: thousandths of the image, cut to it; sides under 32 pixels grow about the centre."""
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    x1, y1, x2, y2 = (edge / 1000 * side for edge, side in zip(box, (width, height, width, height), strict=True))
    x1, y1, x2, y2 = max(0, x1), max(0, y1), min(width, x2), min(height, y2)
    if min(x2 - x1, y2 - y1) < 32:
        ratio, cx, cy = 32 / min(x2 - x1, y2 - y1), (x1 + x2) / 2, (y1 + y2) / 2
        half_w, half_h = math.ceil((x2 - x1) * ratio / 2), math.ceil((y2 - y1) * ratio / 2)
        x1, x2 = max(0, math.floor(cx - half_w)), min(width, math.ceil(cx + half_w))
        y1, y2 = max(0, math.floor(cy - half_h)), min(height, math.ceil(cy + half_h))
    return [x1 + frame[0], y1 + frame[1], x2 + frame[0], y2 + frame[1]]


@pytest.mark.parametrize(
    ("box", "found", "size"),
    [
        ((100, 200, 500, 600), [99, 133, 500, 401], (640, 448)),
        ((0, 0, 1000, 1000), [0, 0, 1000, 667], (992, 672)),
        ((-50, 700, 300, 1200), [0, 466, 300, 667], (640, 448)),
        ((500, 500, 505, 508), [485, 319, 519, 352], (544, 512)),
    ],
)
def test_regions(box: tuple[float, ...], found: list[int], size: tuple[int, int]) -> None:
    run = converse("qwen3", look(*box), ANSWER)
    assert (run.boxes, run.sizes) == ([found], [size])
    assert apart(found, published(box, [0, 0, 1000, 667])) <= 3
    assert 256 <= run.result.views[1].tokens <= 1280


def test_a_region_of_a_region() -> None:
    run = converse("qwen3", look(100, 200, 500, 600), look(500, 500, 1000, 1000, index=1), ANSWER)
    assert run.boxes == [[99, 133, 500, 401], [299, 267, 500, 401]]
    assert apart(run.boxes[1], published((500, 500, 1000, 1000), run.boxes[0])) <= 2
    assert [view.label for view in run.result.views] == [None, "sign", "sign"]


def test_numbers_may_count_the_questions_images_alone() -> None:
    """As a maintainer has it (QwenLM/Qwen3-VL issue 1667): deeper looks are in coordinates of the original."""
    profile = PROFILE.model_copy(update={"counted": "images"})
    looks = (look(100, 200, 500, 600), look(500, 500, 1000, 1000, index=1), look(500, 500, 1000, 1000))
    run = converse("qwen3", *looks, ANSWER, profile=profile)
    assert run.boxes == [[99, 133, 500, 401], [500, 333, 1000, 667]]
    assert "1 the second of the question's" in run.prompts[0][0].text
    assert "there is no img_idx 1: the images are img_idx 0 to img_idx 0" in " ".join(shape(run.prompts[2][-1]))


def test_a_region_has_as_many_pixels_as_the_tool_gives_it() -> None:
    """256 · 32² to 12,845,056: `smart_resize` there, with the `min_pixels` that its call names."""
    rule = PROFILE.regions
    assert (rule.factor, rule.min_pixels, rule.max_pixels) == (32, 262_144, 12_845_056)
    assert rule.fit((3000, 2000)) == (3008, 1984)
    assert rule.fit((8000, 6000)) == (4128, 3072)


def test_a_run_to_the_letter() -> None:
    both = look(100, 200, 500, 600) + "\n" + look(0, 0, 1000, 1000, index=5) + "\n" + look(0, 0, 500, 500)
    run = converse("qwen3", f"<think>two places</think>\n\n{both}", ANSWER)
    assert run.result.answer == ANSWER
    system, question, first, responses = run.prompts[-1]
    assert [message.type for message in run.prompts[-1]] == ["system", "human", "ai", "human"]
    assert '"required": ["bbox_2d", "label", "img_idx"]' in system.text
    assert shape(question) == [IMAGE, "What is it?"]
    assert shape(first) == [f"<think>two places</think>\n\n{both}"]
    assert "".join(shape(responses)) == (
        "<tool_response>\n(image)\n</tool_response>\n"
        "<tool_response>\nThat call was refused: there is no img_idx 5: the images are img_idx 0 to img_idx 1."
        "\n</tool_response>\n"
        "<tool_response>\n(image)\n</tool_response>"
    )


def test_a_reminder_follows_where_the_profile_has_one() -> None:
    profile = PROFILE.model_copy(update={"prompts": PROFILE.prompts.model_copy(update={"reminder": "Go on."})})
    run = converse("qwen3", look(100, 200, 500, 600), ANSWER, profile=profile)
    assert shape(run.prompts[-1][-1])[-1] == "\n</tool_response>\nGo on."


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("It is 42.", "", "It is 42."),
        ("<think>small</think>\n\nIt is 42.", "small", "It is 42."),
        ("small\n</think>\n\nIt is 42.", "small", "It is 42."),
        ("small</think><answer>42</answer>", "small", "42"),
        ("<think>small</think>", "small", None),
        ("<think>never ends", "never ends", None),
        ("", "", None),
    ],
)
def test_plain_text_is_the_answer(text: str, thought: str, answer: str | None) -> None:
    turn = QWEN.parse(AIMessage(text))
    assert (turn.thought, turn.answer, turn.calls) == (thought, answer, ())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            look(100, 200, 500, 600, index="first"),
            "img_idx must be a whole number, not 'first'; the images are img_idx 0",
        ),
        (look(100, 200, 500, 600, index=-1), "there is no img_idx -1"),
        (look(500, 500, 500, 600), "is empty: it needs 0 <= x1 < x2 <= 1000"),
        (look(1100, 200, 1500, 600), "is empty"),
        (look("a", "b", "c", "d"), "bbox_2d must be four finite numbers"),
        (called("image_search", query="x"), "there is no tool named 'image_search': use image_zoom_in_tool"),
    ],
)
def test_refused_calls(said: str, why: str) -> None:
    run = converse("qwen3", said, ANSWER)
    assert run.boxes == []
    (text,) = shape(run.prompts[-1][-1])
    assert text.startswith("<tool_response>\n")
    assert text.endswith("\n</tool_response>")
    assert why in text


@pytest.mark.parametrize("index", [1, 1.0, "1"])
def test_numbers_of_images_are_read_however_they_are_written(index: object) -> None:
    assert len(converse("qwen3", look(100, 200, 500, 600), look(0, 0, 500, 500, index=index), ANSWER).boxes) == 2
