"""The policy `reader` through the whole loop, on pictures drawn here, with the real RapidOCR."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image, ImageDraw, ImageFont

from cof_agent import Box, ChainOfFocus, FocusConfig, FocusResult, Status


def drawn(size: tuple[int, int], *texts: tuple[str, tuple[int, int], int], ground: str = "#e8e4da") -> Image.Image:
    """A picture with lines of text: words, place in pixels, size in pixels."""
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    for words, place, height in texts:
        pen.text(place, words, fill="#202020", font=ImageFont.load_default(size=height))
    return picture


@pytest.fixture(scope="module")
def agent() -> ChainOfFocus:
    return ChainOfFocus("reader", checkpointer=InMemorySaver())


RECEIPT = drawn(
    (700, 700),
    ("CORNER BAKERY", (180, 40), 44),
    ("Phone (312) 555-0147", (140, 110), 34),
    ("03/14/2024   09:26", (160, 170), 34),
    ("Bread", (80, 270), 36),
    ("$4.20", (500, 270), 36),
    ("Coffee", (80, 330), 36),
    ("$3.10", (500, 330), 36),
    ("Tax", (80, 420), 36),
    ("$0.58", (500, 420), 36),
    ("TOTAL", (80, 500), 40),
    ("$7.88", (500, 500), 40),
)


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ("What is the phone number?", "555-0147"),
        ("What is the total?", "7.88"),
        ("How much is the tax?", "0.58"),
        ("What is the price of the coffee?", "3.10"),
        ("What is the date on the receipt?", "03/14/2024"),
        ("At what time was it printed?", "09:26"),
        ("Which word is on the receipt? (A) Tea (B) Coffee (C) Milk", "B"),
        ('Does the receipt say "Bread"?', "yes"),
    ],
)
def test_large_text_is_answered_at_first_look(agent: ChainOfFocus, question: str, truth: str) -> None:
    result = agent.ask(RECEIPT, question)
    assert result.status is Status.ANSWERED
    assert truth.lower() in (result.answer or "").lower()
    assert result.usage.zooms == 0
    assert {item.source for item in result.evidence} <= {"reader"}


@pytest.mark.parametrize(
    "question",
    [
        "What colour is the paper?",
        "How many people are in the picture?",
        "Is the bread to the left of the coffee?",
        "Who is eating?",
        "What material is the table made of?",
    ],
)
def test_what_text_cannot_answer_is_declined_at_once(agent: ChainOfFocus, question: str) -> None:
    result = agent.ask(RECEIPT, question)
    assert (result.status, result.answer, result.usage.zooms) == (Status.DECLINED, None, 0)
    assert "--policy" in (result.message or "") or "policy" in (result.message or "")


def test_a_small_sign_is_found_and_proven_by_zooming(agent: ChainOfFocus) -> None:
    place, words = (3100, 2200), "www.harbour-ferries.org"
    picture = drawn((4000, 3000), (words, place, 34))
    found = agent.ask(picture, "What website address is shown?")
    assert found.status is Status.ANSWERED
    assert "harbour-ferries.org" in (found.answer or "")
    (item,) = found.evidence
    view = found.views[item.view]
    assert view.kind == "zoom"
    assert view.magnification >= 1.5 * found.views[0].magnification
    assert Box(*item.box).iou(Box(3100, 2200, 3480, 2240)) > 0.4
    assert "<think>" in found.trajectory.turns[1].text


def test_the_same_question_needs_the_zoom(agent: ChainOfFocus) -> None:
    picture = drawn((4000, 3000), ("www.harbour-ferries.org", (3100, 2200), 34))
    result = agent.ask(picture, "What website address is shown?", config=FocusConfig(max_zooms=0))
    assert "harbour-ferries.org" not in (result.answer or "")
    assert result.usage.zooms == 0


def test_what_is_nowhere_is_declined_within_the_budget(agent: ChainOfFocus) -> None:
    result = agent.ask(RECEIPT, "What is the e-mail address?")
    assert (result.status, result.answer) == (Status.DECLINED, None)
    assert result.usage.zooms <= FocusConfig().max_zooms


def test_a_follow_up_question_uses_what_was_seen(agent: ChainOfFocus) -> None:
    first = agent.ask(RECEIPT, "What is the total?", thread_id="receipt")
    second = agent.ask(None, "How much is the tax?", thread_id="receipt")
    assert "7.88" in (first.answer or "")
    assert "0.58" in (second.answer or "")
    assert len(second.views) == 1, "the overview was enough for both"


def test_the_same_question_gets_the_same_run(agent: ChainOfFocus) -> None:
    def words(result: FocusResult) -> list[str]:
        return [turn.text for turn in result.trajectory.turns]

    question = "What is the phone number?"
    assert words(agent.ask(RECEIPT, question)) == words(agent.ask(RECEIPT, question))


SIGNS = drawn((1000, 700), ("NO PARKING", (60, 80), 110), ("OPEN UNTIL NINE", (380, 520), 60))


def test_what_a_thing_says_that_reading_cannot_find_is_declined(agent: ChainOfFocus) -> None:
    assert agent.ask(SIGNS, "What does the dog's collar say?").status is Status.DECLINED
    assert agent.ask(SIGNS, "What does the largest sign say?").answer == "NO PARKING"


def test_what_a_thing_says_is_the_only_text_there_is(agent: ChainOfFocus) -> None:
    cup = drawn((900, 700), ("GOOD MORNING", (150, 300), 80))
    assert agent.ask(cup, "What does the mug say?").answer == "GOOD MORNING"


CLOSED = drawn((900, 600), ("CORNER BAKERY", (150, 60), 60), ("CLOSED", (250, 300), 90))
OPEN = drawn((1200, 900), ("HARBOUR CAFE", (150, 60), 70), ("OPEN", (250, 400), 110), ("Tea  $3.10", (200, 700), 50))


@pytest.mark.parametrize(
    ("question", "truth", "image"),
    [
        ("Which one is open?", "the second image", 1),
        ("Which one is closed? (A) the first (B) the second", "(A) the first", 0),
        ("What is the price on the second?", "$3.10", 1),
        ("What is the price of the tea?", "$3.10", 1),
        ("What is written on the first image?", "CLOSED", 0),
        ('Is there a sign that says "OPEN"?', "yes", 1),
        ("What does the sign say?", None, None),
        ("What is the price on the third image?", None, None),
        ("Which one says TEAPOT?", None, None),
        ("Is the first image older than the second?", None, None),
    ],
)
def test_of_two_pictures_the_right_one_answers(
    agent: ChainOfFocus, question: str, truth: str | None, image: int | None
) -> None:
    result = agent.ask([CLOSED, OPEN], question)
    assert result.answer == truth, result.message
    assert {item.image_index for item in result.evidence} == ({image} if truth else set())
    assert {item.source for item in result.evidence} <= {"reader"}


@pytest.mark.parametrize("order", [1, -1])
def test_it_zooms_into_the_picture_that_holds_the_answer(agent: ChainOfFocus, order: int) -> None:
    wide = drawn((4000, 3000), ("www.harbour-ferries.org", (3100, 2200), 34))
    result = agent.ask([CLOSED, wide][::order], "What website address is shown?")
    assert "harbour-ferries.org" in (result.answer or "")
    (item,) = result.evidence
    assert (item.image_index, result.views[item.view].kind) == ([1, 0][order < 0], "zoom")
    assert Box(*item.box).iou(Box(3100, 2200, 3480, 2240)) > 0.4
    again = agent.ask(None, "Which one is closed?", thread_id=result.thread_id)
    assert (again.answer, len(again.images)) == (f"the {'second' if order < 0 else 'first'} image", 2)
