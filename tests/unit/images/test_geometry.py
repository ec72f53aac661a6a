from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Box, CoordinateSpace, RegionRule, SizeRule, smart_resize, to_original, to_view

sides = st.integers(1, 6000)
sizes = st.tuples(sides, sides).filter(lambda size: max(size) / min(size) <= 200)
spaces = st.sampled_from(list(CoordinateSpace))
shares = st.tuples(*[st.floats(0, 1)] * 4)


@st.composite
def asked(draw: st.DrawFn) -> tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]]:
    """A valid box in view pixels, the view's size, and the original's."""
    original = draw(sizes)
    shown = SizeRule().fit(original)
    width, height = shown
    x1 = draw(st.floats(0, width - 1))
    y1 = draw(st.floats(0, height - 1))
    return (x1, y1, draw(st.floats(x1 + 1, width)), draw(st.floats(y1 + 1, height))), shown, original


@given(sizes, st.sampled_from([14, 28, 32]), st.integers(1, 300), st.integers(0, 3000))
def test_sizes_are_multiples_and_obey_the_area_unless_a_side_is_at_its_floor(
    size: tuple[int, int], factor: int, fewest: int, more: int
) -> None:
    low, high = fewest * factor**2, (4 * fewest + more) * factor**2  # both sides may round by up to a factor of two
    width, height = smart_resize(*size, factor=factor, min_pixels=low, max_pixels=high)
    assert width % factor == height % factor == 0
    assert min(width, height) >= factor
    assert width * height >= low
    assert width * height <= high or min(width, height) == factor


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (201, 1), (1, 2010), (-4, 4)])
def test_smart_resize_refuses_what_has_no_shape(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="x"):
        smart_resize(*size)


def released(
    box: tuple[float, float, float, float], view: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """The release's region rule written out step by step from its description."""
    (x1, y1, x2, y2), (width, height) = box, view
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    half_x, half_y = (x2 - x1) * 1.5 / 2, (y2 - y1) * 1.5 / 2
    left, top = max(0, middle_x - half_x), max(0, middle_y - half_y)
    right, bottom = min(width, middle_x + half_x), min(height, middle_y + half_y)
    cut = int(left), int(top), int(right), int(bottom)
    doubled = (cut[2] - cut[0]) * 2, (cut[3] - cut[1]) * 2
    return cut, smart_resize(*doubled, max_pixels=5120 * 28 * 28)


@pytest.mark.slow
@given(st.tuples(st.integers(1, 137), st.integers(1, 137)), st.data())
def test_released_rule_number_for_number(multiples: tuple[int, int], data: st.DataObject) -> None:
    view = multiples[0] * 28, multiples[1] * 28
    x1, y1 = data.draw(st.floats(0, view[0] - 2)), data.draw(st.floats(0, view[1] - 2))
    box = x1, y1, data.draw(st.floats(x1 + 1.5, view[0])), data.draw(st.floats(y1 + 1.5, view[1]))
    try:
        cut, shown = released(box, view)
    except (ConfigError, ZeroDivisionError):
        assume(False)
    rule, sizes_ = RegionRule(sized_by="released"), SizeRule(max_pixels=5120 * 28 * 28)
    # the view is the original itself, so the original box is the cut
    assert rule.region(box, view, Box.whole(view), sizes_) == (Box(*cut), shown)


@given(asked(), st.sampled_from([0.0, 28.0, 100.0]))
def test_a_region_never_leaves_the_image_and_is_never_empty(
    case: tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]], min_side: float
) -> None:
    corners, shown, original = case
    try:
        box, size = RegionRule(min_side=min_side).region(corners, shown, Box.whole(original), SizeRule())
    except ConfigError:
        assume(False)
    assert Box.whole(original).contains(box)
    assert size[0] % 28 == size[1] % 28 == 0


@given(asked(), spaces)
def test_a_mapped_box_comes_back_within_one_quantum(
    case: tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]], space: CoordinateSpace
) -> None:
    """The quantum is what one whole original pixel spans in the space: the box is mapped outward to whole pixels."""
    corners, shown, original = case
    written = space.from_view(corners, shown)
    box = to_original(space.to_view(written, shown), shown, Box.whole(original))
    back = space.from_view(to_view(box, shown, Box.whole(original)), shown)
    extent = space.extent(shown)
    sides = original[::-1] if space is CoordinateSpace.THOUSANDTHS_YX else original
    for position, (before, after) in enumerate(zip(written, back, strict=True)):
        quantum = extent[position % 2] / sides[position % 2]
        assert abs(before - after) <= quantum * 1.001
    assert Box.whole(original).contains(box)


@given(sizes, sizes, spaces, st.data())
def test_a_whole_box_of_the_space_survives_the_round_trip_when_the_original_is_finer(
    original: tuple[int, int], factor: tuple[int, int], space: CoordinateSpace, data: st.DataObject
) -> None:
    """One quantum of the space itself (a view pixel, a thousandth) where the original has at least that many pixels."""
    original = (max(original[0], 1000), max(original[1], 1000))
    shown = SizeRule(max_pixels=700 * 28 * 28).fit(original)
    quantum = 0.001 if space is CoordinateSpace.UNIT else 1.0
    steps = [round(side / quantum) for side in space.extent(shown)]
    x1, y1 = data.draw(st.integers(0, steps[0] - 1)), data.draw(st.integers(0, steps[1] - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, steps[0])), data.draw(st.integers(y1 + 1, steps[1]))
    written = tuple(step * quantum for step in (x1, y1, x2, y2))
    box = to_original(space.to_view(written, shown), shown, Box.whole(original))
    back = space.from_view(to_view(box, shown, Box.whole(original)), shown)
    if all(extent <= side * quantum * 1.001 for extent, side in zip(space.extent(shown), original, strict=True)):
        assert all(abs(a - b) <= quantum * 1.001 for a, b in zip(written, back, strict=True))


@given(asked())
def test_regions_are_shown_at_twice_their_original_size_within_the_budget(
    case: tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]],
) -> None:
    corners, shown, original = case
    rule = SizeRule()
    try:
        box, size = RegionRule().region(corners, shown, Box.whole(original), rule)
    except ConfigError:
        return
    assert size == smart_resize(box.width * 2, box.height * 2, max_pixels=rule.max_pixels)
    assert rule.tokens(size) == math.prod(size) // 28**2


def test_min_side_grows_about_the_centre_and_stays_inside() -> None:
    rule, whole = RegionRule(margin=1.0, min_side=28), Box(0, 0, 280, 280)
    assert rule.region((100, 100, 104, 200), (280, 280), whole, SizeRule())[0] == Box(88, 100, 116, 200)
    assert rule.region((0, 0, 4, 4), (280, 280), whole, SizeRule())[0] == Box(0, 0, 28, 28)


def test_a_region_thinner_than_the_rule_allows_is_refused() -> None:
    with pytest.raises(ConfigError, match="too thin"):
        RegionRule(max_aspect=10).region((0, 0, 280, 10), (280, 280), Box(0, 0, 280, 280), SizeRule())
    with pytest.raises(ConfigError, match="thinner than a pixel"):
        RegionRule().region((0.1, 0.1, 0.2, 0.2), (280, 280), Box(0, 0, 280, 280), SizeRule())


def test_box_arithmetic() -> None:
    box, other = Box(0, 0, 10, 10), Box(5, 5, 15, 15)
    assert box.intersection(other) == Box(5, 5, 10, 10)
    assert box.iou(other) == 25 / 175
    assert box.intersection(Box(10, 0, 20, 10)) is None
    assert box.iou(Box(10, 0, 20, 10)) == 0
    assert box.contains(Box(0, 0, 10, 10))
    assert not box.contains(other)


@pytest.mark.parametrize("corners", [(0, 0, 0, 1), (1, 0, 0, 1), (-1, 0, 1, 1)])
def test_an_empty_box_cannot_be_made(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match="not a rectangle"):
        Box(*corners)
