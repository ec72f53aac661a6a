"""SenseNova-MARS, as OpenSenseNova/SenseNova-MARS@ce052d7efe599bf3af0e2db2dcfdbda7d0183704 runs it.

`inference/eval.py` has the tool (`crop_image`), the form of its responses (`run_tool_mode`'s messages) and the sizes.
"""

from __future__ import annotations

import pytest

from cof_agent.dialects import default_profile
from tests.support.dialogue import IMAGE, apart, converse, shape
from tests.unit.dialects.test_every_dialect import called

PROFILE = default_profile("sensenova-mars")
ANSWER = "<think>It can be read now.</think>\n<answer>42</answer>"


def look(*box: object, index: object = 0, key: str = "bbox_2d") -> str:
    arguments = {key: list(box), "label": "sign", "img_idx": index}
    return "<think>Too small.</think>\n" + called("image_zoom_in_tool", **arguments)


def published(box: tuple[float, ...]) -> list[int]:
    """The release's rule for an image of 1000x667 pixels: clamped, in whole pixels of the original."""
    x1, y1, x2, y2 = (edge / 1000 for edge in box)
    return [int(max(0, x1) * 1000), int(max(0, y1) * 667), int(min(1, x2) * 1000), int(min(1, y2) * 667)]


@pytest.mark.parametrize(
    ("box", "found", "size"),
    [
        ((100, 200, 500, 600), [99, 133, 500, 401], (416, 256)),
        ((0, 0, 1000, 1000), [0, 0, 1000, 667], (992, 672)),
        ((-50, 700, 300, 1200), [0, 466, 300, 667], (320, 224)),
    ],
)
def test_regions(box: tuple[float, ...], found: list[int], size: tuple[int, int]) -> None:
    run = converse("sensenova-mars", look(*box), ANSWER)
    assert (run.result.answer, run.boxes, run.sizes) == ("42", [found], [size])
    assert apart(found, published(box)) <= 2


@pytest.mark.parametrize("index", [1, 0, 7, "first", None])
def test_whatever_image_it_names_the_original_is_cut(index: object) -> None:
    run = converse("sensenova-mars", look(100, 200, 500, 600), look(500, 500, 1000, 1000, index=index), ANSWER)
    assert run.boxes == [[99, 133, 500, 401], [500, 333, 1000, 667]]


def test_a_run_to_the_letter() -> None:
    search = "<think>Who is it?</think>" + called("text_search_tool", query="who")
    run = converse("sensenova-mars", look(100, 200, 500, 600) + look(0, 0, 500, 500), search, ANSWER)
    assert (run.result.answer, run.result.usage.zooms, run.result.usage.refused) == ("42", 1, 1)
    system, question, _, region, _, refused = run.prompts[-1]
    assert '"required": ["bbox_2d", "label", "img_idx"]' in system.text
    assert "text_search_tool" not in system.text, "no tool is promised that is not there"
    assert shape(question) == [IMAGE, "What is it?"]
    assert "".join(shape(region)) == "<tool_response>\nHere is the zoomed image:(image)\n</tool_response>"
    (why,) = shape(refused)
    assert why == (
        "<tool_response>\nError: That call was refused: there is no tool named 'text_search_tool': "
        "use image_zoom_in_tool.\n</tool_response>"
    )


def test_its_sizes_are_the_releases() -> None:
    for rule in (PROFILE.overview, PROFILE.regions):
        assert (rule.factor, rule.min_pixels, rule.max_pixels) == (32, 65_536, 8_294_400)
