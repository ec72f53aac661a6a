"""The thresholds of legibility are where the observer's reading begins to be sure."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from PIL import Image

from cof_agent.images.geometry import Box
from cof_agent.scenes import Split
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.question import scene_question
from cof_agent.scenes.reading import ViewGrid, best, read_character, read_colour, read_shape
from tests.benchmarks.legibility_curve import READ, accuracy, sized

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("attribute", LEGIBLE)
def test_reading_is_sure_at_the_threshold_and_unsure_at_half_of_it(attribute: str) -> None:
    """Over all values of the attribute, in overviews of large sources and in enlarged small ones alike."""
    right, total = accuracy(attribute, LEGIBLE[attribute], range(30))
    assert right >= total - 1
    right, total = accuracy(attribute, LEGIBLE[attribute] / 2, range(30))
    assert right < 0.5 * total


@pytest.mark.parametrize("attribute", LEGIBLE)
def test_reading_stays_sure_when_larger(attribute: str) -> None:
    right, total = accuracy(attribute, 40, range(10))
    assert right == total


def test_nothing_is_read_where_there_is_nothing_and_no_value_is_preferred() -> None:
    sight = ViewGrid(Image.new("RGB", (200, 200), (127, 127, 127)), Box(0, 0, 200, 200), (200, 200))
    for attribute, read in READ.items():
        scores = read(sight, (0.2, 0.2, 0.7, 0.7))
        assert len(set(scores.values())) == 1, attribute
        drawn = {best(scores, Random(number)) for number in range(400)}
        assert drawn == set(scores)


def test_an_enlarged_picture_shows_no_more_than_it_had() -> None:
    """A small picture made large is read as the small one is, not as a large one."""
    for attribute, read in READ.items():
        pixels = LEGIBLE[attribute] / 2
        right = 0
        for number in range(0, 24, 2):
            sight, truth, question = sized(scene_question(Split.VALIDATION, number), pixels, enlarged=False)
            width, height = sight.shown
            blurred = sight.picture.resize((4 * width, 4 * height), Image.Resampling.LANCZOS)
            large = ViewGrid(blurred, Box(0, 0, 4 * width, 4 * height), (4 * width, 4 * height))
            right += best(read(large, question.boxes[0]), Random(number)) == getattr(truth, attribute)
        assert right <= 0.7 * 12, attribute


def test_edges_of_views_do_not_break_reading() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (56, 84, 3), dtype=np.uint8))
    sight = ViewGrid(noise, Box(10, 10, 94, 66), (200, 100))
    for place in ((0.0, 0.0, 0.06, 0.12), (0.44, 0.6, 0.6, 0.8), (0.9, 0.9, 1.0, 1.0), (0.3, 0.3, 0.3001, 0.3001)):
        for read in (read_colour, read_shape, read_character):
            assert all(np.isfinite(score) for score in read(sight, place).values())
