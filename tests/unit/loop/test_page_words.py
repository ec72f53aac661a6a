"""The words of a page's own text beside the views of a policy that asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image

from cof_agent import Box, ChainOfFocus, Policy, Profile
from cof_agent.evaluation.tampering import Tampering
from cof_agent.images.geometry import Size
from cof_agent.loop.page_text import places_of
from tests.support.conversations import WatchedModel, answer, zoom

WORDS = [("ONE", Box(100, 100, 300, 200)), ("TWO", Box(1900, 1500, 2100, 1600))]


class Page:
    """A page of 4000x3000 pixels with two words."""

    size = (4000, 3000)
    identity = "a page of two words"

    def overview(self, size: Size) -> Image.Image:
        return Image.new("RGB", size, "white")

    def region(self, box: Box, size: Size) -> Image.Image:
        return Image.new("RGB", size, "grey")

    def words(self, box: Box) -> list[tuple[str, Box]]:
        return [word for word in WORDS if box.contains(word[1])]


class ModelWithWords(WatchedModel):
    page_text: bool = True


def asked(model: WatchedModel, **settings: Any) -> tuple[list[Any], ChainOfFocus, Any]:
    """What stood beside the images of the last prompt, the agent, and the result."""
    agent = ChainOfFocus(Policy(model, Profile(), "script"), checkpointer=InMemorySaver(), **settings)
    result = agent.ask(Page(), "What?")
    blocks = [b for message in model.prompts[-1] for b in message.content if isinstance(b, dict)]
    return [b.get("extras", {}).get("words", []) for b in blocks if b["type"] == "image"], agent, result


TURNS = [zoom(0, 0, 350, 260), answer("ONE")]


def test_each_view_comes_with_its_words_in_its_pixels_and_nothing_is_kept() -> None:
    beside, agent, result = asked(ModelWithWords(turns=TURNS, prompts=[]))
    for words, view in zip(beside, result.views, strict=True):
        across, down = view.shown[0] / view.box.width, view.shown[1] / view.box.height
        assert words == [
            [text, pytest.approx([box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down])]
            for text, box in WORDS
            if box.intersection(view.box)
        ]
    assert [len(words) for words in beside] == [2, 1]
    state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
    assert "TWO" not in str(state)


def test_whoever_does_not_ask_gets_none() -> None:
    beside, *_ = asked(WatchedModel(turns=TURNS, prompts=[]))
    assert beside == [[], []]


def test_a_region_that_shows_something_else_has_no_words() -> None:
    beside, *_ = asked(ModelWithWords(turns=TURNS, prompts=[]), region_pixels=Tampering.BLANK.pixels)
    assert [len(words) for words in beside] == [2, 0]


@pytest.mark.parametrize(
    ("answer", "word", "is_there"),
    [("12.50", "12.50", True), ("1250", "12.50", False), ("1.250", "12.50", False), ("5 °C", "-5 °C", False),
     ("15", "-15", False), ("-15", "\N{MINUS SIGN}15", True), ("21:40", "21:40.", True), ("KX-7741", "kx7741", True)],
)  # fmt: skip
def test_an_answer_stands_where_its_own_number_does(answer: str, word: str, is_there: bool) -> None:
    place = Box(10, 10, 60, 20)
    assert places_of(answer, [("Total", Box(0, 0, 9, 9)), (word, place)]) == [place] * is_there
