"""The reader on a drawing of 36x48 inches with text of 4 points."""

from __future__ import annotations

import pytest

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.images import open_image
from cof_agent.images.geometry import Box
from tests.support import pdfs
from tests.support.patience import PATIENCE

pytest.importorskip("pypdfium2")


def test_small_print_of_a_drawing_is_read_with_zooms_and_not_without() -> None:
    plan, question = pdfs.drawing(), "What is the serial number?"
    agent = ChainOfFocus("reader", config=FocusConfig(max_seconds=PATIENCE))
    assert agent.ask(plan, question, config=FocusConfig(max_zooms=0)).answer is None
    result = agent.ask(plan, question)
    assert result.answer == "4711-K"
    (evidence,) = result.evidence
    source = open_image(plan)
    (place,) = [box for word, box in source.words(Box.whole(source.ref.size)) if word == "4711-K"]
    assert evidence.source == "reader"
    x1, y1, x2, y2 = evidence.box
    assert x2 - x1 < 300
    assert y2 - y1 < 60
    assert x1 - 60 <= place.x1 < place.x2 <= x2 + 60
    assert y1 - 20 <= place.y1 < place.y2 <= y2 + 20
