"""What questions ask for."""

from __future__ import annotations

import pytest

from cof_agent.policies.reader.question.ask import Form
from cof_agent.policies.reader.question.options import split_options
from cof_agent.policies.reader.question.parsing import understand
from cof_agent.policies.reader.values import ValueKind


@pytest.mark.parametrize(
    ("question", "form", "kind"),
    [
        ("What phone number is on the sign?", Form.VALUE, ValueKind.PHONE),
        ("How much is the tax?", Form.VALUE, ValueKind.MONEY),
        ("What does the hot chocolate cost?", Form.VALUE, ValueKind.MONEY),
        ("At what time was it printed?", Form.VALUE, ValueKind.TIME),
        ("When does the shop open on Sunday?", Form.VALUE, ValueKind.TIME),
        ("Can you tell me the e-mail address?", Form.VALUE, ValueKind.EMAIL),
        ("Which platform does the train to Bonn leave from?", Form.VALUE, ValueKind.CODE),
        ("How many kilometres to the airport?", Form.VALUE, ValueKind.QUANTITY),
        ("What is the large number on the bus?", Form.VALUE, ValueKind.NUMBER),
        ("What is written next to Alpha?", Form.NEXT, None),
        ('Which price is below "Latte"?', Form.NEXT, ValueKind.MONEY),
        ("What does the blue sign say?", Form.SAY, None),
        ("What does the screen say about your stay?", Form.ABOUT, None),
        ("What is the name of the shop?", Form.NAME, None),
        ("Which brand is on the tank?", Form.NAME, None),
        ("Who is the author?", Form.LABEL, None),
        ('Does the sign say "no parking"?', Form.YES_NO, None),
        ("Is the word SALE visible?", Form.YES_NO, None),
    ],
)
def test_questions_about_text(question: str, form: Form, kind: ValueKind | None) -> None:
    ask = understand(question)
    assert (ask.form, ask.kind) == (form, kind)


@pytest.mark.parametrize(
    "question",
    [
        "What colour is the car?",
        "What color is the text?",
        "Is it day or night?",
        "Is the fan to the left of the clock?",
        "Who is holding the ball?",
        "What is the woman carrying?",
        "Which hand is he holding the cup with?",
        "What animal is this?",
        "What material is the wall made of?",
        "Where is the exit?",
        "Why is she laughing?",
        "Is the door open?",
        "What is on the table?",
        "What colour is the car? (A) red (B) blue",
        "What is next to the car?",
    ],
)
def test_questions_about_the_picture(question: str) -> None:
    assert understand(question).form is Form.PICTURE


def test_labels_items_and_places_are_told_apart() -> None:
    ask = understand("What is the expiry date of the green ticket on the left wall?")
    assert (ask.labels, ask.items) == (("expiry",), ("ticket",))
    assert (ask.colour, ask.side) == ("green", "left")
    assert understand("How much is the large coffee?").items == ("coffee",)
    assert understand("What does the large text say?").size == "large"


def test_counts_are_marked() -> None:
    assert understand("How many windows are there?").count
    assert not understand("How many percent off?").count


@pytest.mark.parametrize(
    ("question", "letters", "texts"),
    [
        ("Which? (A) red (B) blue", "AB", ["red", "blue"]),
        ("Which?\nA. STOP\nB. GO\nC. YIELD\nAnswer with the letter.", "ABC", ["STOP", "GO", "YIELD"]),
        ("What does platform B. Smith say?", "", []),
    ],
)
def test_options(question: str, letters: str, texts: list[str]) -> None:
    _, options = split_options(question)
    assert "".join(option.letter for option in options) == letters
    assert [option.text for option in options] == texts
