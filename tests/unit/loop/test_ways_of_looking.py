"""Runs that must look before they answer, and runs whose regions show something else."""

from __future__ import annotations

import pytest
from PIL import Image

from cof_agent import Box, ChainOfFocus, ConfigError, FocusConfig, Profile, View
from cof_agent.images import SourceImage
from cof_agent.images.geometry import Size
from cof_agent.loop.state import Status, StopReason
from tests.support.conversations import answer, photo, scripted, texts, watched, zoom

PROMPTS = Profile().prompts
LOOK = zoom(10, 20, 60, 70)


def test_an_answer_before_the_first_look_is_refused_and_the_policy_is_told_why() -> None:
    policy, prompts = watched(answer("42"), LOOK, answer("43"))
    result = ChainOfFocus(policy, config=FocusConfig(min_zooms=1)).ask(photo(), "What is it?")
    assert (result.answer, result.usage.zooms, result.usage.refused) == ("43", 1, 1)
    assert PROMPTS.look_first in texts(prompts[1])


def test_a_refusal_to_answer_is_one_too() -> None:
    agent = ChainOfFocus(scripted(answer("cannot answer: small"), LOOK, answer("43")), config=FocusConfig(min_zooms=1))
    assert agent.ask(photo(), "What is it?").answer == "43"


def test_one_that_will_not_look_still_ends() -> None:
    agent = ChainOfFocus(scripted(*[answer("42")] * 4), config=FocusConfig(min_zooms=1))
    result = agent.ask(photo(), "What is it?")
    assert (result.status, result.stop_reason, result.answer) == (Status.ANSWERED, StopReason.REFUSED_LIMIT, "42")
    assert result.usage.refused == 3


def test_two_looks_can_be_asked_for() -> None:
    agent = ChainOfFocus(scripted(LOOK, answer("42"), LOOK, answer("43")), config=FocusConfig(min_zooms=2))
    assert agent.ask(photo(), "What is it?").answer == "43"


def test_more_looks_than_are_allowed_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"min_zooms may be at most max_zooms \(0\), not 1"):
        FocusConfig.parse({"min_zooms": 1, "max_zooms": 0})


def test_other_pixels_in_place_of_a_regions_own() -> None:
    asked: list[tuple[Box, Size, int]] = []

    def grey(source: SourceImage, box: Box, shown: Size, overview: View) -> Image.Image:
        asked.append((box, shown, overview.index))
        return Image.new("RGB", shown, (128, 128, 128))

    turns = (LOOK, answer("42"))
    plain = ChainOfFocus(scripted(*turns)).ask(photo(), "What is it?")
    tampered = ChainOfFocus(scripted(*turns), region_pixels=grey).ask(photo(), "What is it?")
    [region] = tampered.trajectory.zooms
    assert asked == [(region.box, region.shown, 0)]
    assert set(tampered.view_image(1).get_flattened_data()) == {(128, 128, 128)}
    assert tampered.view_image(0).tobytes() == plain.view_image(0).tobytes()
    [original] = plain.trajectory.zooms
    assert (region.box, region.shown, region.tokens) == (original.box, original.shown, original.tokens)
