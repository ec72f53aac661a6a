"""Rows, blocks and the best of several readings: pure geometry."""

from __future__ import annotations

import math
from dataclasses import replace

from PIL import Image

from cof_agent.policies.reader.page.colour import ground_share
from cof_agent.policies.reader.page.layout import below, blocks, right_of, row_of, words_of
from cof_agent.policies.reader.page.ocr import Line, Quad
from cof_agent.policies.reader.page.text import Text
from cof_agent.policies.reader.words import phrase_match, word_match


def text(words: str, x: float, y: float, *, height: float = 20, tilt: float = 0.0) -> Text:
    """A line of text turned about the origin by `tilt` degrees; half its height per letter wide."""
    width = height * 0.5 * len(words)
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    a, b, c, d = [(u * cos - v * sin, u * sin + v * cos) for u, v in corners]
    quad: Quad = (a, b, c, d)
    return Text(words, 0.99, quad, Line(words, 0.99, quad), 0, 1.0, 1e6)


def test_rows_hold_on_tilted_paper() -> None:
    for tilt in (-6.0, 0.0, 6.0):
        label = text("Carrot cake", 50, 300, tilt=tilt)
        value = text("$4.20", 600, 300, tilt=tilt)
        others = [text("Green tea", 50, 340, tilt=tilt), text("$2.80", 600, 340, tilt=tilt)]
        assert right_of(label, [label, value, *others]) == [value]
        assert row_of(value, [label, value, *others]) == [label, value]


def test_what_is_below_is_near_and_under() -> None:
    head, under, aside = text("GATE", 100, 100), text("B12", 105, 130), text("09:45", 400, 130)
    assert below(head, [head, under, aside]) == [under]


def test_lines_of_one_sign_form_a_block() -> None:
    sign = [text("DOUBLE", 100, 100), text("PARKING", 95, 126), text("PROHIBITED", 90, 152)]
    far = text("CAFE", 500, 140)
    groups = sorted(words_of(block) for block in blocks([*sign, far]))
    assert groups == ["CAFE", "DOUBLE PARKING PROHIBITED"]


def test_certainty_needs_size_and_confidence() -> None:
    line = text("Exit", 0, 0)
    assert line.sure
    assert not text("Exit", 0, 0, height=10).sure
    assert not replace(line, confidence=0.85).sure
    assert not replace(line, cut=True).sure
    assert not replace(line, disputed=True).fair


def test_words_match_as_forgivingly_as_recognition_needs() -> None:
    assert word_match("dumplin", "PORK DUMPLIN T1") == 1.0
    assert word_match("tax", "TAX1") == 1.0
    assert word_match("total", "SUBTOTAL") < 1.0
    assert word_match("autotrader", "AntoTrader") >= 0.8
    assert word_match("cat", "cot") == 0.0
    assert phrase_match("no parking", "NOPARKING") == 1.0
    assert phrase_match("stop", "STOPPED") == 0.0


def test_the_ground_tells_the_colour() -> None:
    picture = Image.new("RGB", (200, 100), (200, 30, 30))
    picture.paste((30, 60, 190), (100, 0, 200, 100))
    assert ground_share(picture, (20, 40, 80, 60), "red") > 0.9
    assert ground_share(picture, (120, 40, 180, 60), "blue") > 0.9
    assert ground_share(picture, (120, 40, 180, 60), "red") < 0.1
