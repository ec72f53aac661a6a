"""Runs that must look before they answer, and runs whose regions show something else."""

from __future__ import annotations

from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig


def test_reader_looks_at_what_it_has_read() -> None:
    image = Image.open("examples/images/motorcycle.jpg").convert("RGB")
    bare = ChainOfFocus("reader").ask(image, "Does it say YAMAHA?")
    urged = ChainOfFocus("reader", config=FocusConfig(min_zooms=bare.usage.zooms + 1)).ask(image, "Does it say YAMAHA?")
    assert bare.answer == urged.answer == "yes"
    assert (urged.usage.zooms, urged.usage.refused) == (bare.usage.zooms + 1, 1)
