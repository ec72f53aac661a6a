"""What is within reach of a question: geometry alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Box, CoordinateSpace
from cof_agent.scenes import Split
from cof_agent.scenes.legibility import LEGIBLE, attributes, counting_pixels, needed
from cof_agent.scenes.observer import observer_policy
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import SCENE_PROFILE, Outlook, ideal_zooms
from tests.benchmarks.legibility_curve import RESOLUTIONS, ceilings

pytestmark = pytest.mark.slow

sides = st.integers(60, 3840)
fractions = st.floats(0, 0.95)


def test_pixels_count_up_to_what_the_source_has() -> None:
    place = (0.25, 0.25, 0.5, 0.5)
    whole = Box(0, 0, 400, 400)
    assert counting_pixels(place, (400, 400), whole, (200, 200)) == 50
    assert counting_pixels(place, (400, 400), whole, (400, 400)) == 100
    assert counting_pixels(place, (400, 400), whole, (1600, 1600)) == 100
    assert counting_pixels(place, (400, 400), Box(100, 100, 200, 200), (50, 50)) == 50
    assert counting_pixels((0.0, 0.0, 0.5, 0.1), (400, 400), whole, (400, 400)) == 40


def test_a_question_needs_what_it_names_and_asks() -> None:
    for number in range(200):
        question = scene_question(Split.TEST, number)
        by_mark = question.names[0].character is not None
        if question.kind is Kind.CHARACTER:
            assert attributes(question) == {"colour", "shape", "character"}
        elif question.kind is Kind.RELATION:
            assert attributes(question) == {"colour", "shape"}
        else:
            assert attributes(question) == {"colour", "character" if by_mark else "shape"}
        expected = "character" if by_mark or question.kind is Kind.CHARACTER else "shape"
        assert needed(question) == LEGIBLE[expected]


@given(sides, sides, fractions, fractions, st.floats(0.001, 0.3), st.floats(0.001, 0.3))
def test_a_box_is_whole_lies_in_the_overview_and_holds_its_place(
    width: int, height: int, x: float, y: float, across: float, down: float
) -> None:
    outlook = Outlook((width, height), SCENE_PROFILE)
    place = (x, y, min(1.0, x + across), min(1.0, y + down))
    region = outlook.zoom([place])
    x1, y1, x2, y2 = region.corners
    w, h = outlook.overview
    assert 0 <= x1 < x2 <= w
    assert 0 <= y1 < y2 <= h
    assert x2 - x1 >= min(8, w)
    assert y2 - y1 >= min(8, h)
    assert x2 - x1 <= max(8, across * w + 2)
    assert y2 - y1 <= max(8, down * h + 2)
    box = region.box
    assert box.x1 <= place[0] * width + 1e-3
    assert box.y1 <= place[1] * height + 1e-3
    assert place[2] * width - 1e-3 <= box.x2
    assert place[3] * height - 1e-3 <= box.y2


def two(question: SceneQuestion, *, size: float, apart: float) -> SceneQuestion:
    """Two objects of a size, so far apart along the longer side, in short sides."""
    first, second = (question.scene.objects[index] for index in question.targets)
    objects = (replace(first, x=0.2, y=0.2, size=size), replace(second, x=0.2 + apart, y=0.2, size=size))
    return replace(question, scene=replace(question.scene, width=1.5, height=1.0, objects=objects), targets=(0, 1))


def test_zooms_are_none_one_for_both_one_each_or_out_of_reach() -> None:
    question = scene_question(Split.TEST, 0, Kind.RELATION)
    source = (1536, 1024)
    assert ideal_zooms(two(question, size=0.1, apart=1.0), source) == 0
    assert ideal_zooms(two(question, size=0.012, apart=0.05), source) == 1
    assert ideal_zooms(two(question, size=0.012, apart=1.0), source) == 2
    assert ideal_zooms(two(question, size=0.005, apart=1.0), source) is None
    large = two(question, size=0.012, apart=1.0)
    objects = (replace(large.scene.objects[0], size=0.15), large.scene.objects[1])
    assert ideal_zooms(replace(large, scene=replace(large.scene, objects=objects)), source) == 1


def test_a_larger_source_never_puts_anything_out_of_reach() -> None:
    for number in range(80):
        question = scene_question(Split.TEST, number)
        reached = [ideal_zooms(question, question.scene.size(side)) is not None for side in (224, 448, 896, 1792, 3584)]
        assert reached == sorted(reached)


def test_zooming_brings_thirty_points_or_more_within_reach() -> None:
    gaps = [adaptive - direct for direct, adaptive, _ in (ceilings(side, 150) for side in RESOLUTIONS)]
    assert sum(gaps) / len(gaps) >= 0.30
    assert gaps[-1] > 0.6


def test_zooms_are_planned_in_view_pixels() -> None:
    profile = Profile(coordinates=CoordinateSpace.UNIT)
    with pytest.raises(ConfigError, match="view pixels"):
        Outlook((100, 100), profile)


@pytest.mark.parametrize(("source", "said"), [((0, 0), "no area"), ((1, 3000), "too thin")])
def test_a_source_that_cannot_be_shown_is_refused_at_once(source: tuple[int, int], said: str) -> None:
    question = scene_question(Split.TEST, 0)
    with pytest.raises(ConfigError, match=said):
        ideal_zooms(question, source)
    with pytest.raises(ConfigError, match=said):
        observer_policy(question, source)
