from __future__ import annotations

import io

import pytest
from PIL import Image

from cof_agent.cli.drawing import in_characters


@pytest.mark.parametrize(
    ("size", "drawn"), [((400, 200), (72, 18)), ((200, 400), (20, 20)), ((4000, 20), (72, 1)), ((20, 4000), (1, 20))]
)
def test_a_drawing_keeps_the_shape_and_fits(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", size, (255, 0, 16)).save(buffer, "PNG")
    text = in_characters(buffer.getvalue(), columns=72, rows=20)
    lines = text.plain.splitlines()
    assert (len(lines[0]), len(lines)) == drawn
    assert {str(span.style) for span in text.spans} == {"#ff0010 on #ff0010"}
