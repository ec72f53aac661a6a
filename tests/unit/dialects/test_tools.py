from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.tools import BaseTool

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.tools import CROP, ZOOM, image_tools
from cof_agent.errors import ConfigError, ImageError
from cof_agent.images import open_image
from cof_agent.images.geometry import Box, CoordinateSpace, RegionRule, SizeRule
from cof_agent.images.store import MemoryStore
from cof_agent.images.views import View, keep_original, show_overview
from cof_agent.loop.looking import LookContext, TokensSpentError, looking_tools, run_call
from tests.support.conversations import BOTH, photo

RANGE = "0 <= x1 < x2 <= 644 and 0 <= y1 < y2 <= 476"


def sight(profile: Profile = BOTH, *, size: tuple[int, int] = (640, 480), tokens: int = 100_000) -> LookContext:
    source, store = open_image(photo(*size)), MemoryStore()
    keep_original(source, store)
    shown = profile.overview.fit(source.ref.size)
    overview = show_overview(source, shown, profile.overview.tokens(shown), store)
    return LookContext(lambda _: source, [overview], store, profile, tokens)


def look(seen: LookContext, name: str = ZOOM, **arguments: Any) -> ToolMessage:
    return run_call(tool_call(name=name, args=arguments, id="1"), seen)


def looked(seen: LookContext, name: str = ZOOM, **arguments: Any) -> View:
    message = look(seen, name, **arguments)
    assert message.status == "success", message.text
    return View.from_json(message.artifact)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"bbox_2d": [1, 2, 3]}, f"four finite numbers [x1, y1, x2, y2], not [1, 2, 3]; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, 3, 4, 5]}, f"four finite numbers [x1, y1, x2, y2], not [1, 2, 3, 4, 5]; it needs {RANGE}"),
        ({"bbox_2d": []}, f"four finite numbers [x1, y1, x2, y2], not []; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, float("nan"), 4]}, f"four finite numbers [x1, y1, x2, y2], not nan; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, float("inf"), 4]}, f"four finite numbers [x1, y1, x2, y2], not inf; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, "nan", 4]}, f"four finite numbers [x1, y1, x2, y2], not 'nan'; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, "-inf", 4]}, f"four finite numbers [x1, y1, x2, y2], not '-inf'; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, "9" * 400, 4]}, "four finite numbers [x1, y1, x2, y2], not '999"),
        ({"bbox_2d": [1, 2, 10**400, 4]}, "four finite numbers [x1, y1, x2, y2], not 1000"),
        ({"bbox_2d": ["a", 2, 3, 4]}, f"four finite numbers [x1, y1, x2, y2], not 'a'; it needs {RANGE}"),
        ({"bbox_2d": [[1, 2, 3, 4]]}, f"four finite numbers [x1, y1, x2, y2], not [1, 2, 3, 4]; it needs {RANGE}"),
        ({"bbox_2d": [[1, 2], [3, 4], 5, 6]}, f"four finite numbers [x1, y1, x2, y2], not [1, 2]; it needs {RANGE}"),
        ({"bbox_2d": [1, 2, None, 4]}, f"four finite numbers [x1, y1, x2, y2], not None; it needs {RANGE}"),
        ({"bbox_2d": None}, f"four finite numbers [x1, y1, x2, y2], not None; it needs {RANGE}"),
        ({"bbox_2d": {"x1": 1}}, f"four finite numbers [x1, y1, x2, y2], not {{'x1': 1}}; it needs {RANGE}"),
        ({"bbox_2d": "here"}, f"four finite numbers [x1, y1, x2, y2], not 'here'; it needs {RANGE}"),
        ({"bbox_2d": "[" * 5000}, "four finite numbers [x1, y1, x2, y2], not '[[["),
        ({}, f"four finite numbers [x1, y1, x2, y2], and it is missing; it needs {RANGE}"),
        ({"bbox_2d": [0, 0, 645, 100]}, f"[0, 0, 645, 100] reaches outside the image: it needs {RANGE}"),
        ({"bbox_2d": [-1, 0, 50, 50]}, f"[-1, 0, 50, 50] reaches outside the image: it needs {RANGE}"),
        ({"bbox_2d": [650, 10, 700, 20]}, f"[650, 10, 700, 20] reaches outside the image: it needs {RANGE}"),
        ({"bbox_2d": [1e300, 0, 2e300, 9]}, "reaches outside the image"),
        ({"bbox_2d": [50, 50, 50, 90]}, f"[50, 50, 50, 90] is empty: it needs {RANGE}"),
        ({"bbox_2d": [0, 0, 0, 0]}, f"[0, 0, 0, 0] is empty: it needs {RANGE}"),
        ({"bbox_2d": [90, 50, 50, 90]}, f"[90, 50, 50, 90] is empty: it needs {RANGE}"),
        ({"bbox_2d": [50, 90, 90, 50]}, f"[50, 90, 90, 50] is empty: it needs {RANGE}"),
        ({"bbox_2d": [50.4, 50, 50.6, 60]}, f"the box is thinner than a pixel; it needs {RANGE}, and not that thin"),
        ({"bbox_2d": [1, 2, 30, 40], "label": ["a"]}, "label must be text, not ['a']"),
        ({"bbox_2d": [1, 2, 30, 40], "zoom": 2}, "image_zoom_in_tool has no argument 'zoom': use bbox_2d and label"),
    ],
)
def test_a_bad_box_is_refused_with_what_was_wrong_and_the_valid_range(arguments: dict[str, Any], why: str) -> None:
    seen = sight()
    message = look(seen, **arguments)
    assert message.status == "error"
    assert why in message.text
    assert message.artifact is None
    assert message.tool_call_id == "1"


def test_a_region_that_is_too_thin_is_refused() -> None:
    message = look(sight(size=(1200, 90)), CROP, bbox_2d=[0, 10, 1204, 12])
    assert message.status == "error"
    assert "too thin" in message.text
    assert "x2 <= 1204" in message.text


@pytest.mark.parametrize("view", [1, 7, -1])
def test_an_unknown_view_is_refused_with_the_numbers_there_are(view: int) -> None:
    message = look(sight(), CROP, bbox_2d=[1, 2, 30, 40], view=view)
    assert message.status == "error"
    assert f"there is no view {view}: the views are numbered 0 to 0" in message.text


def test_a_view_that_is_no_number_is_refused() -> None:
    message = look(sight(), CROP, bbox_2d=[1, 2, 30, 40], view="second")
    assert "view must be a whole number, not 'second'; the views are numbered 0 to 0" in message.text


def test_an_unknown_tool_and_one_that_is_not_offered_are_refused() -> None:
    assert "no tool named 'rotate': use image_zoom_in_tool or image_crop_tool" in look(sight(), "rotate").text
    message = look(sight(Profile()), CROP, bbox_2d=[1, 2, 30, 40])
    assert message.status == "error"
    assert "no tool named 'image_crop_tool': use image_zoom_in_tool" in message.text
    assert "no tool can be called" in look(sight(Profile(tools=())), ZOOM, bbox_2d=[1, 2, 30, 40]).text
    assert len(look(sight(), "x" * 5000).text) < 300


@pytest.mark.parametrize(
    "box", [["10", "20", "30.5", " 40 "], "[10, 20, 30.5, 40]", '["10", "20", "30.5", "40"]', (10, 20, 30.5, 40)]
)
def test_numbers_may_be_text_and_the_box_its_json(box: object) -> None:
    assert looked(sight(), bbox_2d=box).box == looked(sight(), bbox_2d=[10, 20, 30.5, 40]).box


def test_a_zoom_has_a_margin_is_enlarged_and_shows_the_right_place() -> None:
    seen = sight()
    view = looked(seen, bbox_2d=[200, 100, 400, 200], label="sign")
    # [150, 75, 450, 225] of 644x476, mapped outward to 640x480
    assert (view.index, view.kind, view.label, view.box) == (1, "zoom", "sign", Box(149, 75, 448, 227))
    assert view.shown == SizeRule().fit((2 * 299, 2 * 152))
    assert view.tokens == view.shown[0] * view.shown[1] // 28**2
    assert view.image in seen.store


def test_a_crop_is_exactly_the_box_of_any_view() -> None:
    seen = sight()
    zoomed = looked(seen, bbox_2d=[200, 100, 400, 200])
    within = LookContext(seen.source, [*seen.views, zoomed], seen.store, seen.profile, seen.tokens_left)
    width, height = zoomed.shown
    view = looked(within, CROP, bbox_2d=[width / 2, 0, width, height / 2], view=1)
    box = zoomed.box
    assert view.box == Box(box.x1 + box.width // 2, box.y1, box.x2, box.y1 + box.height // 2)
    assert (view.index, view.kind) == (2, "crop")
    whole = looked(within, CROP, bbox_2d=[0, 0, width, height], view=1)
    assert whole.box == box
    middle = open_image(within.store.get(view.image)).overview((1, 1)).getpixel((0, 0))
    want = photo().crop(tuple(view.box.as_list())).resize((1, 1)).getpixel((0, 0))
    assert all(abs(a - b) <= 2 for a, b in zip(middle, want, strict=True))
    assert f"0 <= x1 < x2 <= {width}" in look(within, CROP, bbox_2d=[1], view=1).text, "the range is that of the view"


def test_the_three_coordinate_spaces_name_the_same_region() -> None:
    boxes = {
        CoordinateSpace.VIEW_PIXELS: [161, 119, 322, 238],
        CoordinateSpace.UNIT: [0.25, 0.25, 0.5, 0.5],
        CoordinateSpace.THOUSANDTHS: [250, 250, 500, 500],
    }
    views = {
        looked(sight(BOTH.model_copy(update={"coordinates": space})), CROP, bbox_2d=box).box
        for space, box in boxes.items()
    }
    assert views == {Box(160, 120, 320, 240)}
    unit = BOTH.model_copy(update={"coordinates": CoordinateSpace.UNIT})
    assert "x2 <= 1 and" in look(sight(unit), bbox_2d=[100, 100, 200, 200]).text
    thousandths = BOTH.model_copy(update={"coordinates": CoordinateSpace.THOUSANDTHS})
    assert "x2 <= 1000 and" in look(sight(thousandths), bbox_2d=[100, 100, 1200, 200]).text


@pytest.mark.parametrize("space", CoordinateSpace)
def test_the_largest_coordinates_are_the_edge_at_every_size(space: CoordinateSpace) -> None:
    for side in {*range(28, 8000, 28), *range(32, 8000, 32)}:
        width, height = space.extent((side, side))
        assert space.to_view((0, 0, width, height), (side, side)) == (0, 0, side, side)


def test_a_rule_that_clips_accepts_what_reaches_outside() -> None:
    clipping = BOTH.model_copy(update={"zoom": RegionRule(clip=True, margin=1.0)})
    assert looked(sight(clipping), bbox_2d=[600, 400, 1e300, 900]).box.x2 == 640
    assert "is empty" in look(sight(clipping), bbox_2d=[700, 500, 800, 900]).text


def test_a_region_that_costs_too_much_is_not_shown() -> None:
    with pytest.raises(TokensSpentError, match=r"would cost \d+ visual tokens and 10 are left"):
        look(sight(tokens=10), bbox_2d=[0, 0, 300, 300])


def test_what_is_not_the_policys_fault_surfaces() -> None:
    seen = sight()
    blind = LookContext(seen.source, seen.views, MemoryStore(max_bytes=10), seen.profile, seen.tokens_left)
    with pytest.raises(ImageError, match="max_bytes"):
        look(blind, bbox_2d=[0, 0, 30, 30])


def test_they_are_typed_langchain_tools() -> None:
    seen = sight()
    zoom, crop = looking_tools(seen)
    assert all(isinstance(tool, BaseTool) and tool.response_format == "content_and_artifact" for tool in (zoom, crop))
    assert [zoom.name, crop.name] == [ZOOM, CROP]
    assert "pixels of that image as shown" in zoom.description
    assert set(zoom.args) == {"bbox_2d", "label"}
    assert set(crop.args) == {"bbox_2d", "view"}
    schema = zoom.tool_call_schema.model_json_schema()
    assert schema["required"] == ["bbox_2d"]
    assert schema["properties"]["bbox_2d"]["minItems"] == schema["properties"]["bbox_2d"]["maxItems"] == 4
    message = zoom.invoke(tool_call(name=ZOOM, args={"bbox_2d": [1, 2, 30, 40]}, id="7"))
    assert isinstance(message, ToolMessage)
    image, text = message.content
    assert image["url"] == View.from_json(message.artifact).image.url
    assert set(image) == {"type", "url", "mime_type"}, "a reference, no pixels"
    assert text["text"] == "View 1"


def test_described_tools_do_not_run() -> None:
    with pytest.raises(ConfigError, match="looking_tools of a LookContext"):
        image_tools(Profile())[0].invoke({"bbox_2d": [1, 2, 30, 40]})
