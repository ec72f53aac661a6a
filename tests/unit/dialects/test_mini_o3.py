"""Mini-o3, as its release runs it, read from forks that keep the release's files.

Prompts: youthHan/Mini-o3@3999f14d4775ed960222af3a505320ca929aef6b, `verl/trainer/constants.py`. Tool:
camphortree17/mini-o3-rotate@d67934615d05572c8d864bd23c7a184e76db4f1f,
`verl/workers/rollout/vllm_rollout/function_tools.py`.
"""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage

from cof_agent.dialects import default_profile, get_dialect
from tests.support.dialogue import IMAGE, apart, converse, shape

MINI = get_dialect("mini-o3")
PROFILE = default_profile("mini-o3")
REMINDER = "\n" + PROFILE.prompts.reminder
ANSWER = "<think>It is clear now.</think><answer>42</answer>"


def look(*box: object, source: object = "original_image") -> str:
    return f"<think>I look.</think><grounding>{json.dumps({'bbox_2d': list(box), 'source': source})}</grounding>"


def published(box: tuple[float, ...], frame: list[int]) -> list[int]:
    """The release's rule on the raw image: fractions truncated to its pixels, clamped inside."""
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    x1, y1, x2, y2 = (int(edge * side) for edge, side in zip(box, (width, height, width, height), strict=True))
    inside = max(x1, 0), max(y1, 0), min(x2, width - 1), min(y2, height - 1)
    return [edge + origin for edge, origin in zip(inside, (frame[0], frame[1]) * 2, strict=True)]


@pytest.mark.parametrize(
    ("box", "found", "size"),
    [
        ((0.1, 0.2, 0.5, 0.6), [99, 133, 500, 401], (392, 280)),
        ((0, 0, 1, 1), [0, 0, 1000, 667], (1008, 672)),
        ((-0.5, 0.25, 0.5, 0.75), [0, 166, 500, 501], (504, 336)),
        ((0.7, 0.7, 1.7, 1.7), [699, 466, 1000, 667], (308, 196)),
        ((0.5, 0.5, 0.55, 0.55), [500, 333, 550, 367], (252, 168)),
    ],
)
def test_regions(box: tuple[float, ...], found: list[int], size: tuple[int, int]) -> None:
    run = converse("mini-o3", look(*box), ANSWER)
    assert (run.boxes, run.sizes) == ([found], [size])
    assert apart(found, published(box, [0, 0, 1000, 667])) <= 2
    assert size[0] * size[1] >= 40_000


def test_a_region_of_a_region() -> None:
    inner = (0.5, 0.5, 1.0, 1.0)
    run = converse(
        "mini-o3", look(0.1, 0.2, 0.5, 0.6), look(*inner, source="observation_1"),
        look(*inner, source="observation_2"), ANSWER,
    )  # fmt: skip
    assert run.boxes == [[99, 133, 500, 401], [299, 267, 500, 401], [399, 334, 500, 401]]
    assert apart(run.boxes[1], published(inner, run.boxes[0])) <= 2
    assert apart(run.boxes[2], published(inner, run.boxes[1])) <= 2
    assert run.sizes[1:] == [(252, 168), (252, 168)], "at least 40,000 pixels"


def test_a_run_to_the_letter() -> None:
    turns = (look(0.1, 0.2, 0.5, 0.6), look(0.5, 0.5, 0.9, 0.9, source="observation_9"), ANSWER)
    run = converse("mini-o3", *turns)
    assert run.result.answer == "42"
    system, question, first, region, second, refused = run.prompts[-1]
    assert [message.type for message in run.prompts[-1]] == ["system", "human", "ai", "human", "ai", "human"]
    assert '<grounding>{"bbox_2d": [x0, y0, x1, y1], "source": "original_image"}</grounding>' in system.text
    assert "tool_call" not in system.text
    assert shape(question) == [IMAGE, "What is it?"]
    assert [shape(first), shape(second)] == [[turns[0]], [turns[1]]]
    assert shape(region) == ["Observation 1, the region you asked for:\n", IMAGE, REMINDER]
    assert shape(refused) == [
        "That call was refused: there is no observation_9: the images are original_image to observation_1." + REMINDER
    ]


@pytest.mark.parametrize(
    ("inside", "args"),
    [
        ('{"bbox_2d": [0, 0, 1, 1], "source": "original_image"}', {"bbox_2d": [0, 0, 1, 1], "view": 0}),
        ('{"bbox_2d": [0, 0, 1, 1], "source": "observation_12"}', {"bbox_2d": [0, 0, 1, 1], "view": 12}),
        ("{'bbox_2d': [0, 0, 1, 1], 'source': 'observation_1',}", {"bbox_2d": [0, 0, 1, 1], "view": 1}),
        ('```json\n{"source": "original_image", "bbox_2d": [0, 0, 1, 1]}\n```', {"bbox_2d": [0, 0, 1, 1], "view": 0}),
        ('{"bbox_2d": [0, 0, 1, 1]}', {"bbox_2d": [0, 0, 1, 1]}),
        (
            '{"bbox_2d": [0, 0, 1, 1], "source": 2, "label": "sign"}',
            {"bbox_2d": [0, 0, 1, 1], "label": "sign", "view": 2},
        ),
        ('{"bbox_2d": [0, 0, 1], "source": "original_image", "why": 1}', {"bbox_2d": [0, 0, 1], "view": 0}),
    ],
)
@pytest.mark.parametrize("end", ["</grounding>", "", "<answer>"])
def test_groundings_are_read(inside: str, args: dict[str, object], end: str) -> None:
    (call,) = MINI.parse(AIMessage(f"<think>t</think><grounding>{inside}{end}")).calls
    assert (call.args, call.error) == (args, None)


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("there", '"bbox_2d" and "source"'),
        ("[0, 0, 1, 1]", '"bbox_2d" and "source"'),
        ('{"bbox_2d": [0, 0, 1, 1], "source": "the image"}', '"original_image" or "observation_i", not \'the image\''),
        ('{"bbox_2d": [0, 0, 1, 1], "source": ["a"]}', '"original_image" or "observation_i"'),
    ],
)
def test_what_cannot_be_read(inside: str, why: str) -> None:
    (call,) = MINI.parse(AIMessage(f"<grounding>{inside}</grounding>")).calls
    assert why in str(call.error)
    assert call.args == {}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (look(0.5, 0.5, 0.5, 0.9), "is empty: it needs 0 <= x1 < x2 <= 1"),
        (look(0.9, 0.5, 0.5, 0.9), "is empty"),
        (look(0.5, 0.5, 0.9), "bbox_2d must be four finite numbers"),
        (look(100, 100, 200, 200), "is empty: it needs 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1"),
        (look(0, 0.5, 1, 0.5005), "thinner than a pixel"),
    ],
)
def test_refused_calls(said: str, why: str) -> None:
    run = converse("mini-o3", said, ANSWER)
    assert run.boxes == []
    assert why in shape(run.prompts[-1][-1])[0]


def test_of_several_calls_in_a_turn_the_first_is_run() -> None:
    assert converse("mini-o3", look(0.1, 0.2, 0.5, 0.6) + look(0, 0, 1, 1), ANSWER).boxes == [[99, 133, 500, 401]]
