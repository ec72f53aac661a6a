"""Which of several images a question names, and what cannot be settled."""

from __future__ import annotations

import pytest

from cof_agent.dialects.declining import decline_of
from cof_agent.policies.reader.question.several import (
    NO_IMAGE,
    asks_for_any,
    images_named,
    option_for,
    ordinal,
    unresolved,
)


@pytest.mark.parametrize(
    "who",
    [
        "both",
        "all of them",
        "each",
        "they all",
        "every image",
        "neither",
        "the second sign",
        "the second shop",
        "sign 2",
        "the other one",
        "the latter",
        "closed.jpg",
        "the sign on the right",
        "the third sign",
        "the left image",
    ],
)
def test_what_is_said_of_all_or_of_one_not_told_is_unresolved(who: str) -> None:
    assert unresolved(f"Does {who} say OPEN?")


@pytest.mark.parametrize(
    "question", ['Does it say "all day"?', "What is the price of the tea?", "Is there an OPEN sign?"]
)
def test_other_questions_are_not(question: str) -> None:
    assert unresolved(question) is None


def test_one_yes_is_enough_only_for_existence() -> None:
    assert asks_for_any("Is there a sign that says OPEN?")
    assert asks_for_any("Does any sign say OPEN?")
    assert not asks_for_any("Does the butcher say OPEN?")


@pytest.mark.parametrize(("number", "image"), [("0", NO_IMAGE), ("2", 1), ("33", 32), ("50", 49), ("100", 99)])
def test_an_image_is_named_by_any_number(number: str, image: int) -> None:
    assert [one.image for one in images_named(f"What does image {number} say?")] == [image]
    assert ordinal(max(image, 0))


def test_an_option_is_chosen_by_what_its_image_alone_says() -> None:
    question = "Which shop is open? (A) Bakery (B) Butcher"
    assert str(option_for(0, question, [["BAKERY", "OPEN"], ["BUTCHER", "CLOSED"]])).startswith("(A)")
    assert option_for(0, question, [["OPEN"], ["CLOSED"]]) is None


def test_a_reason_keeps_its_quotes() -> None:
    assert decline_of("cannot answer: “OPEN” stands in both") == "“OPEN” stands in both"
