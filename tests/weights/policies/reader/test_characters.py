"""Single characters on coloured things: what questions ask for them, and how the policy `reader` finds them."""

from __future__ import annotations

import math

import pytest
from PIL import Image, ImageDraw, ImageFont

from cof_agent import Box, ChainOfFocus, FocusConfig, FocusResult, Status
from cof_agent.images.geometry import SizeRule
from cof_agent.policies import load_policy
from cof_agent.policies.policy import Policy
from cof_agent.policies.reader.marks.patch import find_patches
from cof_agent.policies.reader.question.parsing import single_character

Point = tuple[float, float]
RED, GREEN, CYAN, YELLOW = (205, 30, 40), (40, 150, 60), (40, 200, 215), (245, 220, 40)
CORNERS: dict[str, list[Point]] = {
    "circle": [(math.cos(a / 20 * math.pi), math.sin(a / 20 * math.pi)) for a in range(40)],
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": [(0, -1), (0.9, 0.8), (-0.9, 0.8)],
    "diamond": [(0, -1), (0.8, 0), (0, 1), (-0.8, 0)],
    "star": [
        (r * math.sin(a * math.pi / 5), -r * math.cos(a * math.pi / 5)) for a in range(10) for r in [1 - a % 2 / 2]
    ],
    "cross": [
        (-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4), (1, 0.4), (0.4, 0.4),
        (0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4), (-1, -0.4), (-0.4, -0.4),
    ],
}  # fmt: skip


def stamp(
    picture: Image.Image, shape: str, colour: tuple[int, int, int], middle: Point, radius: int, mark: str
) -> None:
    """Draw a filled shape with a mark in its middle; radius in pixels."""
    x, y = middle
    pen = ImageDraw.Draw(picture)
    pen.polygon([(x + radius * dx, y + radius * dy) for dx, dy in CORNERS[shape]], fill=colour)
    dark = sum(colour) > 330
    font = ImageFont.load_default(size=max(8, round(0.85 * radius)))
    pen.text((x, y + 0.1 * radius), mark, fill="black" if dark else "white", font=font, anchor="mm")


def table(size: tuple[int, int] = (900, 700)) -> Image.Image:
    return Image.new("RGB", size, (148, 144, 138))


@pytest.fixture(scope="module")
def agent() -> ChainOfFocus:
    return ChainOfFocus("reader")


SHAPES = table()
stamp(SHAPES, "star", RED, (150, 200), 90, "K")
stamp(SHAPES, "circle", RED, (450, 200), 70, "7")
stamp(SHAPES, "square", GREEN, (740, 200), 80, "E")
stamp(SHAPES, "diamond", CYAN, (200, 500), 100, "R")
stamp(SHAPES, "triangle", YELLOW, (480, 500), 100, "4")
stamp(SHAPES, "cross", CYAN, (740, 500), 90, "T")


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ("Which character is on the red star?", "K"),
        ("Which digit is on the red circle?", "7"),
        ("What is printed on the cyan diamond?", "R"),
        ("What character does the green square carry?", "E"),
        ("One character stands on the turquoise cross. Which one is it?", "T"),
        ("What is the digit on the yellow triangle in the picture?", "4"),
        ("Which letter is on the green thing?", "E"),
        ("What is printed on the red circle? (A) 4 (B) 7 (C) K", "(B) 7"),
        ("Which letter is on the cyan diamond?\n(A) B\n(B) R\nGive only the letter of the right option.", "(B) R"),
    ],
)
def test_large_marks_are_read_at_first_look(agent: ChainOfFocus, question: str, truth: str) -> None:
    for limits in (FocusConfig(), FocusConfig(max_zooms=0)):
        result = agent.ask(SHAPES, question, config=limits)
        assert (result.answer, result.usage.zooms) == (truth, 0)
        assert [item.source for item in result.evidence] == ["reader"]


@pytest.mark.parametrize(
    "question",
    [
        "Which character is on the blue star?",
        "Which character is on the red heart?",
        "Which digit is on the green square?",
        "Which character is on the red circle? (A) 1 (B) 2",
    ],
)
def test_what_is_not_there_is_declined(agent: ChainOfFocus, question: str) -> None:
    result = agent.ask(SHAPES, question)
    assert (result.status, result.answer) == (Status.DECLINED, None)
    assert "policy" in (result.message or "")


def small_overview() -> Policy:
    policy = load_policy("reader")
    sizes = SizeRule(min_pixels=56**2, max_pixels=224**2)
    return Policy(policy.model, policy.profile.model_copy(update={"overview": sizes}), policy.name)


FAR = table((2400, 1800))
stamp(FAR, "square", GREEN, (1900, 1300), 26, "H")
stamp(FAR, "circle", GREEN, (500, 400), 120, "W")
stamp(FAR, "circle", RED, (1500, 300), 24, "P")


def look(question: str, **limits: int) -> FocusResult:
    return ChainOfFocus(small_overview()).ask(FAR, question, config=FocusConfig(**limits))


def test_a_small_thing_is_zoomed_on_and_its_character_is_the_evidence() -> None:
    result = look("Which character is on the green square?")
    assert result.answer == "H"
    assert 1 <= result.usage.zooms <= 2
    (item,) = result.evidence
    assert result.views[item.view].kind == "zoom"
    assert Box(1874, 1274, 1926, 1326).contains(Box(*item.box))


def test_without_zooms_what_is_too_small_is_declined_and_no_other_thing_is_taken_for_it() -> None:
    assert look("Which character is on the green square?", max_zooms=0).status is Status.DECLINED
    assert look("Which character is on the green circle?", max_zooms=0).answer == "W"


def test_it_looks_before_it_answers_when_it_must() -> None:
    result = look("Which character is on the green circle?", min_zooms=1)
    assert result.answer == "W"
    assert result.usage.zooms == 1
    region = result.views[1].box
    assert region.contains(Box(420, 320, 580, 480))


def test_more_than_a_character_on_a_shape_is_read_as_text(agent: ChainOfFocus) -> None:
    picture = table()
    ImageDraw.Draw(picture).rectangle((200, 200, 700, 480), fill=RED)
    ImageDraw.Draw(picture).text((290, 280), "CLOSED", fill="white", font=ImageFont.load_default(size=90))
    assert agent.ask(picture, "What is printed on the red rectangle?").answer == "CLOSED"


def test_what_holds_more_than_a_character_is_not_zoomed_on(agent: ChainOfFocus) -> None:
    picture = table()
    ImageDraw.Draw(picture).rectangle((200, 200, 700, 480), fill=RED)
    ImageDraw.Draw(picture).text((290, 220), "ROOM\n    5", fill="white", font=ImageFont.load_default(size=90))
    result = agent.ask(picture, "Which digit is on the red poster?")
    assert (result.answer, result.usage.zooms) == ("5", 0)


def test_two_things_of_the_colour_with_different_characters_are_not_told_apart(agent: ChainOfFocus) -> None:
    assert agent.ask(SHAPES, "Which character is on the cyan label?").status is Status.DECLINED
    assert agent.ask(SHAPES, "Which character is on the cyan label on the left?").answer == "R"


@pytest.mark.parametrize(
    "question",
    [
        "What is printed on the red sign?",
        "What does the red circle say?",
        "What is the number on the red car?",
        "Which letter is missing on the red sign?",
        "What is the first letter on the red sign?",
        "Which letter is on the red circle next to the blue one?",
        "What phone number is on the red sign?",
        "What percentage is on the red poster?",
        "Which letter is on the sign?",
        "What is written on the red square? (A) STOP (B) GO",
    ],
)
def test_other_questions_are_none_of_these(question: str) -> None:
    assert single_character(question) is None


def test_questions_are_taken_apart() -> None:
    ask = single_character("Which single letter or digit can be read on the large violet disc?")
    assert ask is not None
    assert (ask.colour, ask.shape, ask.sort, ask.loose) == ("violet", "circle", "", False)
    ask = single_character("Which digit is on the upper red star?")
    assert ask is not None
    assert (ask.shape, ask.side, ask.sort) == ("star", "top", "digit")


@pytest.mark.parametrize("shape", CORNERS)
@pytest.mark.parametrize("radius", [14, 60])
def test_outlines_tell_shapes(shape: str, radius: int) -> None:
    picture = table((400, 400))
    large = picture.resize((1600, 1600))
    stamp(large, shape, GREEN, (800, 800), 4 * radius, "H")
    (patch, *_) = find_patches(large.resize((400, 400), Image.Resampling.LANCZOS), "green")
    assert max(patch.likeness, key=patch.likeness.__getitem__) == shape
    x1, y1, x2, y2 = patch.box
    assert x1 < 200 < x2
    assert y1 < 200 < y2
