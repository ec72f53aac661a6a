r"""Pixel Reasoner, as TIGER-AI-Lab/Pixel-Reasoner@3f5cf786bf3e078e4512d514b57225a5547e976e runs it.

`curiosity_driven_rl/openrlhf/trainer/ppo_utils/experience_maker.py` has the tool, the form of its responses and the
sizes; answers stand in `\boxed{}`.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from cof_agent import ConfigError
from cof_agent.dialects import default_profile, get_dialect
from cof_agent.dialects.pixel_reasoner import boxed
from cof_agent.images.geometry import RegionRule
from tests.support.dialogue import IMAGE, apart, converse, shape
from tests.unit.dialects.test_every_dialect import called

PIXEL = get_dialect("pixel-reasoner")
PROFILE = default_profile("pixel-reasoner")
ANSWER = "The number is clear, so the answer is \\boxed{42}."


def look(*box: object, target: object = 1) -> str:
    return "I look closer.\n" + called("crop_image_normalized", bbox_2d=list(box), target_image=target)


def published(box: tuple[float, ...], frame: list[int]) -> list[float]:
    """The release's rule: a tenth of the image is added on each side, then cut to the image; not all below 1: pixels.

    A box that ends at 1.0 stands for the whole width or height here.
    """
    if max(box) > 1:
        box = tuple(edge / side for edge, side in zip(box, (1008, 672, 1008, 672), strict=True))
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    signs, sides, origins = (-1, -1, 1, 1), (width, height, width, height), (frame[0], frame[1]) * 2
    parts = zip(box, signs, sides, origins, strict=True)
    return [origin + min(max(0, edge + sign * 0.1), 1) * side for edge, sign, side, origin in parts]


@pytest.mark.parametrize(
    ("box", "found", "size"),
    [
        ((0.4, 0.4, 0.5, 0.5), [299, 199, 600, 401], (560, 392)),
        ((0.0, 0.0, 0.5, 0.5), [0, 0, 600, 401], (588, 392)),
        ((0.0, 0.0, 1.0, 1.0), [0, 0, 1000, 667], (1008, 672)),
        ((403.2, 268.8, 504, 336), [299, 199, 600, 401], (560, 392)),
        ((900, 600, 2000, 2000), [792, 528, 1000, 667], (560, 392)),
    ],
)
def test_regions(box: tuple[float, ...], found: list[int], size: tuple[int, int]) -> None:
    run = converse("pixel-reasoner", look(*box), ANSWER)
    assert (run.boxes, run.sizes) == ([found], [size])
    assert apart(found, published(box, [0, 0, 1000, 667])) <= 2
    assert run.result.views[1].tokens >= 256


def test_a_region_of_a_region() -> None:
    run = converse("pixel-reasoner", look(0.0, 0.0, 0.5, 0.5), look(0.5, 0.5, 0.8, 0.8, target=2), ANSWER)
    assert run.boxes == [[0, 0, 600, 401], [239, 159, 540, 361]]
    assert apart(run.boxes[1], published((0.5, 0.5, 0.8, 0.8), run.boxes[0])) <= 2


def test_a_run_to_the_letter() -> None:
    turns = (look(0.4, 0.4, 0.5, 0.5), look(0.4, 0.4, 0.5, 0.5, target=7), ANSWER)
    run = converse("pixel-reasoner", *turns)
    assert run.result.answer == "42"
    assert [view.kind for view in run.result.views] == ["overview", "crop"]
    system, question, first, region, second, refused = run.prompts[-1]
    assert [message.type for message in run.prompts[-1]] == ["system", "human", "ai", "human", "ai", "human"]
    assert '"crop_image_normalized"' in system.text
    assert '"required": ["bbox_2d", "target_image"]' in system.text
    assert "image_crop_tool" not in system.text
    assert shape(question) == [IMAGE, "What is it?", "\n\n" + PROFILE.prompts.reminder]
    assert [shape(first), shape(second)] == [[turns[0]], [turns[1]]]
    assert shape(region) == ["\nImage 2, the part you asked for (560x392):", IMAGE]
    assert shape(refused) == [
        "\nExecution error:\nThat call was refused: there is no target_image 7: "
        "the images are target_image 1 to target_image 2.\n"
    ]


@pytest.mark.parametrize(
    ("target", "view"),
    [(1, 0), (3, 2), (2.0, 1), ("2", 1), (0, -1), (1.5, None), ("first", None), (None, None), ([], None)],
)
def test_images_are_counted_from_one(target: object, view: int | None) -> None:
    (call,) = PIXEL.parse(AIMessage(look(0, 0, 1, 1, target=target))).calls
    assert call.args == ({} if view is None else {"bbox_2d": [0, 0, 1, 1], "view": view})
    assert (call.error is None) == (view is not None)
    assert view is not None or "1 for the first image" in str(call.error)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (look(0.4, 0.4, 0.5, 0.5, target=0), "there is no target_image 0"),
        (look(0.5, 0.5, 0.4, 0.6), "is empty: it needs 0 <= x1 < x2 <= 1"),
        (look(1400, 300, 1500, 400), "is empty"),
        (look("a"), "bbox_2d must be four finite numbers"),
        (
            called("crop_image_normalized", target_image=1),
            "bbox_2d must be four finite numbers [x1, y1, x2, y2], and it is missing",
        ),
        (
            called("select_frames", target_frames=[1]),
            "there is no tool named 'select_frames': use crop_image_normalized",
        ),
    ],
)
def test_refused_calls(said: str, why: str) -> None:
    run = converse("pixel-reasoner", said, ANSWER)
    assert run.boxes == []
    (text,) = shape(run.prompts[-1][-1])
    assert text.startswith("\nExecution error:\n")
    assert why in text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{42}", "42"),
        ("first \\boxed{1}, no, \\boxed{42}.", "42"),
        ("$\\boxed{\\text{a red sign}}$", "a red sign"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ('\\boxed{{"bbox_2d": [0, 0, 1, 1]}}', '{"bbox_2d": [0, 0, 1, 1]}'),
        ("\\boxed{}", None),
        ("42", None),
    ],
)
def test_answers_in_boxes(text: str, answer: str | None) -> None:
    assert boxed(text)[0] == answer
    assert PIXEL.parse(AIMessage(f"<think>maybe \\boxed{{7}}</think>{text}")).answer == answer


def test_a_box_that_is_left_open_counts_only_where_the_turn_ended_by_itself() -> None:
    assert boxed("\\boxed{42") == ("42", False)
    assert PIXEL.parse(AIMessage("\\boxed{42")).answer is None
    assert PIXEL.parse(AIMessage("\\boxed{42", response_metadata={"finish_reason": "stop"})).answer == "42"
    assert PIXEL.parse(AIMessage("\\boxed{42", response_metadata={"finish_reason": "length"})).answer is None


def test_an_answer_in_tags_counts_where_there_is_no_box() -> None:
    assert PIXEL.parse(AIMessage("<answer>42</answer>")).answer == "42"
    assert PIXEL.parse(AIMessage("<answer>7</answer> or rather \\boxed{42}")).answer == "42"


def test_prose_is_the_thought() -> None:
    assert PIXEL.parse(AIMessage(look(0, 0, 1, 1))).thought == "I look closer."
    assert PIXEL.parse(AIMessage(ANSWER)).thought == ANSWER


def test_of_several_calls_in_a_turn_the_first_is_run() -> None:
    run = converse("pixel-reasoner", look(0.4, 0.4, 0.5, 0.5) + look(0, 0, 0.1, 0.1), ANSWER)
    assert run.boxes == [[299, 199, 600, 401]]


def test_padding_is_a_share_of_the_view() -> None:
    for share in (-0.1, 1.0):
        with pytest.raises(ConfigError, match="padding"):
            RegionRule(padding=share)
