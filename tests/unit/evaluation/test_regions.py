"""Regions that show something else: only their pixels change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from cof_agent import ChainOfFocus
from cof_agent.evaluation.tampering import Tampering, other_place
from cof_agent.images import SourceImage, open_image
from cof_agent.images.geometry import Box
from cof_agent.images.store import MemoryStore
from cof_agent.images.views import View, show_overview
from tests.support.conversations import answer, photo, watched, zoom


def first_look(source: SourceImage, shown: tuple[int, int]) -> View:
    return show_overview(source, shown, 1, MemoryStore())


def difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def checked_board(side: int = 560) -> Image.Image:
    """Single pixels, black and white in turn: grey from afar."""
    board = Image.frombytes("L", (2, 2), bytes([0, 255, 255, 0]))
    whole = Image.new("L", (side, side))
    for x in range(0, side, 2):
        for y in range(0, side, 2):
            whole.paste(board, (x, y))
    return whole.convert("RGB")


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(0, 59), st.integers(0, 59)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_elsewhere_is_another_place_of_the_same_size(size, corner, extent) -> None:
    x1, y1 = min(corner[0], size[0] - 1), min(corner[1], size[1] - 1)
    box = Box(x1, y1, min(size[0], x1 + extent[0]), min(size[1], y1 + extent[1]))
    source = open_image(Image.new("RGB", size))
    other = other_place(source, box)
    assert other.size == box.size
    assert Box.whole(size).contains(other)
    assert other == other_place(source, box)
    beside = max(box.x1, size[0] - box.x2) >= box.width or max(box.y1, size[1] - box.y2) >= box.height
    if beside:
        assert other.intersection(box) is None
    else:  # one of the corners, and none that shares less
        across, down = size[0] - box.width, size[1] - box.height
        corners = [Box(x, y, x + box.width, y + box.height) for x in (0, across) for y in (0, down)]
        assert other.iou(box) == min(corner.iou(box) for corner in corners)


def test_other_places_are_spread_over_the_image() -> None:
    source = open_image(photo(400, 300))
    places = [other_place(source, Box(x, 140, x + 20, 160)) for x in range(0, 380, 2)]
    assert {(place.x1 > 200, place.y1 > 150) for place in places} == {
        (False, False), (False, True), (True, False), (True, True)
    }  # fmt: skip


def test_blank_is_grey() -> None:
    source = open_image(photo())
    shown = Tampering.BLANK.pixels(source, Box(10, 10, 50, 50), (84, 56), first_look(source, (308, 224)))
    assert (shown.size, shown.mode, shown.getcolors()) == ((84, 56), "RGB", [(84 * 56, (128, 128, 128))])


def test_elsewhere_shows_the_pixels_of_that_place() -> None:
    source, box = open_image(photo()), Box(10, 10, 110, 60)
    shown = Tampering.ELSEWHERE.pixels(source, box, (200, 100), first_look(source, (308, 224)))
    assert shown.tobytes() == source.region(other_place(source, box), (200, 100)).tobytes()
    assert difference(shown, source.region(box, (200, 100))) > 5


def test_the_overviews_own_pixels_have_no_detail_that_it_did_not_show() -> None:
    source, box = open_image(checked_board()), Box(100, 100, 200, 200)
    first = first_look(source, (112, 112))
    shown = Tampering.OVERVIEW.pixels(source, box, (200, 200), first)
    contrast = max(ImageStat.Stat(shown).stddev)
    assert max(ImageStat.Stat(source.region(box, (200, 200))).stddev) > 50
    assert contrast < 5


def test_the_overviews_own_pixels_show_the_place_that_was_asked_for() -> None:
    source, box = open_image(photo()), Box(120, 80, 400, 300)
    shown = Tampering.OVERVIEW.pixels(source, box, (280, 224), first_look(source, (308, 224)))
    assert difference(shown, source.region(box, (280, 224))) < 2


@pytest.mark.parametrize("region", list(Tampering))
def test_only_the_pixels_of_a_region_change(region: Tampering) -> None:
    turns = zoom(20, 20, 120, 90), answer("42")
    policy, plain_prompts = watched(*turns)
    plain = ChainOfFocus(policy).ask(photo(), "What?")
    policy, prompts = watched(*turns)
    changed = ChainOfFocus(policy, region_pixels=region.pixels).ask(photo(), "What?")
    hidden = {"view", "image", "started", "finished", "seconds", "views"}
    assert changed.trajectory.model_dump(exclude=hidden | {"usage"}) == plain.trajectory.model_dump(
        exclude=hidden | {"usage"}
    )
    for was, now in zip(plain.views, changed.views, strict=True):
        assert (was.box, was.shown, was.tokens, was.kind) == (now.box, now.shown, now.tokens, now.kind)
    assert plain.views[0].image == changed.views[0].image
    assert plain.views[1].image != changed.views[1].image
    assert [len(prompt) for prompt in prompts] == [len(prompt) for prompt in plain_prompts]
