from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof_agent.evaluation.scoring import overlap
from cof_agent.images.geometry import Box

SOURCE = (200, 100)
TRUTH = (0.25, 0.2, 0.5, 0.6)  # 50, 20, 100, 60 in pixels


def test_nothing_is_said_where_no_truth_is_known() -> None:
    assert overlap([Box(0, 0, 10, 10)], [], SOURCE) == (None, None)


def test_nothing_is_said_of_an_answer_without_evidence() -> None:
    assert overlap([], [TRUTH], SOURCE) == (None, None)


def test_the_truth_itself_holds_it_and_has_an_iou_of_one() -> None:
    assert overlap([Box(50, 20, 100, 60)], [TRUTH], SOURCE) == (True, 1.0)


def test_a_larger_box_holds_it_and_its_iou_is_the_share_of_the_area() -> None:
    contains, iou = overlap([(0, 0, 200, 100)], [TRUTH], SOURCE)
    assert contains is True
    assert iou == pytest.approx(50 * 40 / (200 * 100))


def test_a_part_of_it_is_not_all_of_it() -> None:
    contains, iou = overlap([(50, 20, 90, 60)], [TRUTH], SOURCE)
    assert contains is False
    assert iou == pytest.approx(0.8)


def test_boxes_that_only_touch_share_nothing() -> None:
    assert overlap([(100, 20, 150, 60)], [TRUTH], SOURCE) == (False, 0.0)


def test_the_best_pair_counts_and_two_boxes_do_not_hold_it_together() -> None:
    contains, iou = overlap([(50, 20, 75, 60), (75, 20, 100, 60), (0, 0, 1, 1)], [TRUTH, (0, 0, 0.005, 0.01)], SOURCE)
    assert contains is True  # the small one
    assert iou == pytest.approx(1.0)
    assert overlap([(50, 20, 75, 60), (75, 20, 100, 60)], [TRUTH], SOURCE)[0] is False


def test_whole_pixels_hold_a_truth_that_sticks_out_by_less_than_half_of_one() -> None:
    assert overlap([(50, 20, 100, 60)], [(0.2485, 0.2, 0.5015, 0.6)], SOURCE)[0] is True
    assert overlap([(50, 20, 100, 60)], [(0.246, 0.2, 0.5, 0.6)], SOURCE)[0] is False


corner = st.integers(0, 199)


@given(st.tuples(corner, corner, corner, corner), st.tuples(corner, corner, corner, corner))
def test_iou_is_that_of_boxes_in_whole_pixels(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    size = (200, 200)
    a, b = (Box(min(x), min(y), max(x) + 1, max(y) + 1) for x, y in ((one[::2], one[1::2]), (other[::2], other[1::2])))
    fractions = (b.x1 / 200, b.y1 / 200, b.x2 / 200, b.y2 / 200)
    contains, iou = overlap([a], [fractions], size)
    assert iou == pytest.approx(a.iou(b))
    assert contains == a.contains(b)
