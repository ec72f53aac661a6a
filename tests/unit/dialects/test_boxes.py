r"""Answers in `\boxed{…}`: the whole box, without LaTeX's fonts, and nothing where it is empty."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from cof_agent import FocusConfig, Status
from cof_agent.dialects import get_dialect
from cof_agent.dialects.pixel_reasoner import boxed
from tests.support.dialogue import converse
from tests.unit.dialects.test_every_dialect import LOOK

PIXEL = get_dialect("pixel-reasoner")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed{[1] Yamaha}", "[1] Yamaha"),
        ("\\boxed{[1,2] and more}", "[1,2] and more"),
        ('\\boxed{{"a":1} and {"b":2}}', '{"a":1} and {"b":2}'),
        ('\\boxed{{"a": "}"} }', '{"a": "}"}'),
        ("\\boxed{[1, 2]}", "[1, 2]"),
        ("\\boxed {417}", "417"),
        ("\\boxed{\\text{417}}", "417"),
        ("\\boxed{\\text{A} and \\text{B}}", "A and B"),
        ("\\boxed{\\textbf{A}}", "A"),
        ("\\boxed{\\mathrm{A} \\mathbf{B}}", "A B"),
        ("\\boxed{\\textbf{\\text{A}}}", "A"),
        ("\\boxed{3\\text{ cm}}", "3 cm"),
        ("\\boxed{\\text{a {b} c}}", "a {b} c"),
        ("\\boxed{\\frac{1}{2}\\text{ m}}", "\\frac{1}{2} m"),
        ("\\boxed{417}. I used \\boxed{} as asked.", "417"),
        ("\\boxed{417} \\boxed{ \\text{ } }", "417"),
        ("\\boxed{\\boxed{417}}", "417"),
        ("\\boxed{C:\\Users}", "C:\\Users"),
        ("\\boxed{   }", None),
        ("\\boxed{\\text{}}", None),
        ("\\boxed{<eos>}", None),
        ("\\boxed{<pad>}", None),
        ("<answer>\\boxed{}</answer>", None),
    ],
)
def test_the_whole_box_is_the_answer(text: str, answer: str | None) -> None:
    turn = PIXEL.parse(AIMessage(text, response_metadata={"finish_reason": "stop"}))
    assert turn.answer == answer
    assert answer is not None or turn.said is None


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{\\text{cannot answer}: blurry}",
        "\\boxed{\\textbf{cannot answer}: \\text{blurry}}",
        "\\boxed{\\text{cannot answer: blurry}}",
    ],
)
def test_a_decline_in_a_font_declines(text: str) -> None:
    result = converse("pixel-reasoner", text).result
    assert (result.status, result.message) == (Status.DECLINED, "blurry")


@pytest.mark.parametrize("text", ["\\boxed{}", "\\boxed{   }", "\\boxed{<eos>}", "So it is \\boxed{}."])
def test_an_empty_box_is_no_answer_when_closing(text: str) -> None:
    look = LOOK["pixel-reasoner"]
    result = converse("pixel-reasoner", look, look, *[text] * 6, config=FocusConfig(max_zooms=1)).result
    assert result.answer is None
    assert result.status is not Status.ANSWERED


def test_boxes_are_looked_at_once() -> None:
    assert boxed('\\boxed{["' * 10_000)[0] == '["'
    assert boxed("\\boxed{" * 10_000)[0] is None
    assert boxed("\\boxed{" + "\\text{" * 10_000 + "A") == ("A", False)
