"""The reader's option `page_text`: the page's own text in place of OCR, where a view shows it."""

from __future__ import annotations

import pytest

from cof_agent import Box, ChainOfFocus, FocusConfig, load_policy
from cof_agent.images import open_image
from tests.support import pdfs
from tests.support.patience import PATIENCE
from tests.weights.policies.reader.test_runs import RECEIPT

pytest.importorskip("pypdfium2")

PAGE = pdfs.pdf(
    (
        pdfs.LETTER,
        pdfs.text("Invoice 2231", 24, 72, 700)
        + pdfs.text("Total due: $1,284.50", 14, 72, 600)
        + pdfs.text("Date: 03/14/2024", 2, 72, 500)
        + b"1 g "
        + pdfs.text("Phone: 555-0147", 14, 72, 400),
    )
)
"""One line is too small to be seen in the overview, and one is white on white."""


@pytest.fixture(scope="module")
def plain() -> ChainOfFocus:
    return ChainOfFocus("reader", config=FocusConfig(max_zooms=0, max_seconds=PATIENCE))


@pytest.fixture(scope="module")
def told() -> ChainOfFocus:
    return ChainOfFocus(load_policy("reader", page_text=True), config=FocusConfig(max_zooms=0, max_seconds=PATIENCE))


def test_the_pages_own_text_says_exactly_where_the_answer_stands(plain: ChainOfFocus, told: ChainOfFocus) -> None:
    source = open_image(PAGE)
    places = dict(source.words(Box.whole(source.ref.size)))
    read, taken = (agent.ask(PAGE, "What is the total?") for agent in (plain, told))
    assert read.answer == taken.answer == "$1,284.50"
    assert [item.source for item in read.evidence] == ["reader"]
    (item,) = taken.evidence
    assert (item.source, item.view, item.box) == ("page_text", 0, tuple(places["$1,284.50"].as_list()))


@pytest.mark.parametrize("question", ["What is the date?", "What is the phone number?"])
def test_what_the_view_does_not_show_is_not_taken(told: ChainOfFocus, question: str) -> None:
    assert told.ask(PAGE, question).answer is None


def test_a_picture_is_read_as_before(plain: ChainOfFocus, told: ChainOfFocus) -> None:
    read, taken = (agent.ask(RECEIPT, "What is the total?") for agent in (plain, told))
    assert (taken.answer, taken.evidence) == (read.answer, read.evidence)
    assert read.answer == "$7.88"
