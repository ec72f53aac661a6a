"""Profiles of vendors' own models: their views are not resized once more, and their boxes are read right."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call

from cof_agent.dialects import parse_profile
from cof_agent.dialects.tools import image_tools
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import CoordinateSpace, SizeRule
from cof_agent.policies.profiles import profile_for
from cof_agent.policies.vendors import VENDORS, vendor_profile
from tests.support.dialogue import converse, shape
from tests.support.examples import examples

SIDES = st.integers(28, 9000)


@pytest.mark.parametrize(
    ("provider", "base_url", "vendor"),
    [
        ("anthropic", None, "anthropic"),
        ("openai", None, "openai"),
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", "http://127.0.0.1:8000/v1", None),
        ("anthropic", "http://127.0.0.1:8000", None),
        ("google_genai", None, "google"),
        ("google-vertexai", None, "google"),
        ("ollama", None, None),
        ("groq", None, None),
    ],
)
def test_who_has_which(provider: str, base_url: str | None, vendor: str | None) -> None:
    assert vendor_profile(provider, base_url) == (VENDORS[vendor] if vendor else None)


def test_a_checkpoint_that_is_known_keeps_its_form_and_any_other_model_gets_its_vendors() -> None:
    google = VENDORS["google"]
    assert profile_for("gemini-3-flash", vendors=google) == (google, "its vendor")
    assert profile_for("qwen3-vl-8b", vendors=google)[0].dialect == "qwen3"
    assert profile_for("gemini-3-flash")[1] == "nothing"


@pytest.mark.parametrize("name", VENDORS)
def test_profiles_survive_json(name: str) -> None:
    assert parse_profile(VENDORS[name].model_dump(mode="json"), "a test") == VENDORS[name]


@given(width=SIDES, height=SIDES)
@examples(300)
def test_anthropic_resizes_no_view(width: int, height: int) -> None:
    """A long edge of 1,568 pixels, 1.15 megapixels, and sides that need no padding to multiples of 28."""
    if max(width, height) / min(width, height) > 200:
        return
    for rule in (VENDORS["anthropic"].overview, VENDORS["anthropic"].regions):
        w, h = rule.fit((width, height))
        assert max(w, h) <= 1568
        assert w * h <= 1_150_000 or min(w, h) == 28
        assert (w % 28, h % 28) == (0, 0)


@given(width=SIDES, height=SIDES)
@examples(300)
def test_openai_resizes_no_view(width: int, height: int) -> None:
    """768 by 2,000 pixels, and 1,536 patches of 32 by 32."""
    if max(width, height) / min(width, height) > 60:  # thinner ones have no size that is small enough
        return
    w, h = VENDORS["openai"].overview.fit((width, height))
    assert min(w, h) <= 768
    assert max(w, h) <= 2000
    assert math.ceil(w / 32) * math.ceil(h / 32) <= 1536


@pytest.mark.parametrize(
    ("size", "shown"),
    [((4000, 3000), (1232, 924)), ((6000, 1000), (1568, 252)), ((1000, 6000), (252, 1568)), ((560, 280), (560, 280))],
)
def test_sides_have_limits_of_their_own(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert VENDORS["anthropic"].overview.fit(size) == shown


def test_a_rule_with_limits_that_nothing_fits_is_none() -> None:
    for sides in ((20, 100), (200, 100)):
        with pytest.raises(ConfigError, match="max_sides"):
            SizeRule(28, max_sides=sides)


def test_gemini_writes_y_first() -> None:
    """[y_min, x_min, y_max, x_max] in thousandths, in calls and in answers."""
    asked = AIMessage(
        "", tool_calls=[tool_call(name="image_zoom_in_tool", args={"bbox_2d": [200, 100, 600, 500]}, id="1")]
    )
    answer = '<answer>there: {"bbox_2d": [200, 100, 600, 500]}</answer>'
    profile = VENDORS["google"].model_copy(update={"zoom": VENDORS["google"].zoom.__class__(margin=1.0)})
    run = converse("native", asked, answer, profile=profile)
    assert run.boxes == [[99, 133, 500, 401]]
    assert run.result.evidence[0].box == (100, 133, 500, 401)
    wrong = AIMessage("", tool_calls=[tool_call(name="image_zoom_in_tool", args={"bbox_2d": [1, 2]}, id="1")])
    run = converse("native", wrong, "42", profile=profile)
    assert "four finite numbers [y1, x1, y2, x2]" in " ".join(text for m in run.prompts[-1] for text in shape(m))
    (tool,) = image_tools(profile)
    schema = tool.args_schema.model_json_schema()  # type: ignore[union-attr]
    assert "[y1, x1, y2, x2]" in schema["properties"]["bbox_2d"]["description"]
    assert "y before x" in tool.description


def test_y_first_there_and_back() -> None:
    space = CoordinateSpace.THOUSANDTHS_YX
    assert space.to_view((200, 100, 600, 500), (1000, 500)) == (100, 100, 500, 300)
    assert space.from_view((100, 100, 500, 300), (1000, 500)) == (200, 100, 600, 500)
