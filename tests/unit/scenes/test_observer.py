"""The ideal observer: right where it can be, for the reason that it saw it."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.agent.result import FocusResult
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, PolicyError
from cof_agent.images import SourceImage, ViewEncoding, encode_view
from cof_agent.images.geometry import Box, Corners, Size
from cof_agent.images.views import View
from cof_agent.loop.state import Status, StopReason
from cof_agent.scenes import Split
from cof_agent.scenes.legibility import needed
from cof_agent.scenes.observer import SCENE_PROFILE, ObserverModel, SceneTask, observer_policy
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import Outlook, ideal_zooms
from cof_agent.scenes.render import render

pytestmark = pytest.mark.slow

SIDE = 560
"""Long side of the sources here, in pixels."""


@cache
def asked(number: int) -> SceneQuestion:
    return scene_question(Split.TEST, number)


@cache
def picture(question: SceneQuestion, side: int = SIDE, png: bool = True) -> bytes:
    encoding = ViewEncoding(png_pixels=4096**2 if png else 0)
    return encode_view(render(question.scene, question.scene.size(side)), encoding)[0]


def run(
    question: SceneQuestion,
    *,
    data: bytes | None = None,
    side: int = SIDE,
    guess: bool = True,
    pixels: Callable[[SourceImage, Box, Size, View], Image.Image] | None = None,
    config: FocusConfig | None = None,
) -> FocusResult:
    policy = observer_policy(question, question.scene.size(side), guess=guess)
    agent = ChainOfFocus(policy, config=config, region_pixels=pixels)
    return agent.ask(data or picture(question, side), question.text)


@cache
def zooming(count: int) -> list[SceneQuestion]:
    """Questions that need a zoom."""
    found: list[SceneQuestion] = []
    number = 0
    while len(found) < count:
        if ideal_zooms(asked(number), asked(number).scene.size(SIDE)):
            found.append(asked(number))
        number += 1
    return found


def share_right(questions: Sequence[SceneQuestion], results: Sequence[FocusResult]) -> float:
    pairs = zip(questions, results, strict=True)
    return sum(result.answer == question.answer for question, result in pairs) / len(questions)


def chance(questions: Sequence[SceneQuestion]) -> tuple[float, float]:
    """Mean accuracy of guesses, and its standard deviation."""
    shares = [question.chance for question in questions]
    return sum(shares) / len(shares), math.sqrt(sum(p * (1 - p) for p in shares)) / len(shares)


def blank(source: SourceImage, box: Box, shown: Size, overview: View) -> Image.Image:
    return Image.new("RGB", shown, (127, 127, 127))


def elsewhere(source: SourceImage, box: Box, shown: Size, overview: View) -> Image.Image:
    width, height = source.ref.size
    x = 0 if box.x1 + box.x2 > width else width - box.width
    y = 0 if box.y1 + box.y2 > height else height - box.height
    return source.region(Box(x, y, x + box.width, y + box.height), shown)


def from_overview(source: SourceImage, box: Box, shown: Size, overview: View) -> Image.Image:
    across, down = overview.shown[0] / overview.box.width, overview.shown[1] / overview.box.height
    part = (box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down)
    return source.overview(overview.shown).resize(shown, Image.Resampling.LANCZOS, box=part)


@pytest.mark.parametrize("png", [True, False], ids=["png", "jpeg"])
def test_it_zooms_as_planned_and_is_right_within_reach(png: bool) -> None:
    reached = []
    for number in range(0 if png else 30, 30 if png else 50):
        question = asked(number)
        source = question.scene.size(SIDE)
        result = run(question, data=picture(question, png=png))
        plan = Outlook(source, SCENE_PROFILE).plan(sorted(question.boxes), needed(question))
        assert [(view.box, view.shown) for view in result.views[1:]] == [(zoom.box, zoom.shown) for zoom in plan.zooms]
        assert result.status is Status.ANSWERED
        ideal = ideal_zooms(question, source)
        if ideal is not None:
            assert result.usage.zooms == ideal
            reached.append(result.answer == question.answer)
    assert len(reached) > 5
    assert sum(reached) >= len(reached) - 1


@pytest.mark.parametrize("side", [224, 1536])
def test_geometry_is_the_loop_s_at_other_resolutions(side: int) -> None:
    for number in range(4):
        question = asked(number)
        plan = Outlook(question.scene.size(side), SCENE_PROFILE).plan(sorted(question.boxes), needed(question))
        result = run(question, side=side)
        assert [(view.box, view.shown) for view in result.views[1:]] == [(zoom.box, zoom.shown) for zoom in plan.zooms]


def test_it_is_told_nothing_of_what_it_is_to_read() -> None:
    """A question and its counterfactual are one and the same task."""
    for number in range(100):
        question = asked(number)
        source = question.scene.size(SIDE)
        assert SceneTask.of(question, source) == SceneTask.of(question.counterfactual(), source)


def test_its_answer_follows_the_picture() -> None:
    questions = zooming(20)
    changed = [question.counterfactual() for question in questions]
    results = [run(question, data=picture(other)) for question, other in zip(questions, changed, strict=True)]
    assert share_right(changed, results) == 1
    assert share_right(questions, results) == 0


@pytest.mark.parametrize("pixels", [blank, elsewhere])
def test_it_is_at_chance_when_regions_do_not_show_what_they_should(
    pixels: Callable[[SourceImage, Box, Size, View], Image.Image],
) -> None:
    questions = zooming(32)
    results = [run(question, pixels=pixels) for question in questions]
    expected, spread = chance(questions)
    assert abs(share_right(questions, results) - expected) < 2.6 * spread
    assert all(result.usage.zooms for result in results)


def test_it_is_at_chance_on_a_grey_picture() -> None:
    questions = [asked(number) for number in range(50)]
    results = []
    for question in questions:
        grey = encode_view(Image.new("RGB", question.scene.size(224), (127, 127, 127)))[0]
        results.append(run(question, data=grey, side=224))
    expected, spread = chance(questions)
    assert abs(share_right(questions, results) - expected) < 2.6 * spread


def test_the_overview_s_own_pixels_enlarged_tell_it_as_much_as_the_overview() -> None:
    questions = zooming(32)
    enlarged = share_right(questions, [run(question, pixels=from_overview) for question in questions])
    direct = share_right(questions, [run(question, config=FocusConfig(max_zooms=0)) for question in questions])
    assert abs(enlarged - direct) <= 0.12
    assert direct < 0.85


def test_told_to_look_first_it_looks_at_what_is_asked_about() -> None:
    for number in range(20):
        question = asked(number)
        result = run(question, config=FocusConfig(min_zooms=1))
        assert result.status is Status.ANSWERED
        ideal = ideal_zooms(question, question.scene.size(SIDE))
        if ideal is not None:
            assert result.usage.zooms == max(1, ideal)
            assert result.answer == question.answer
            seen = (holding(place, result, question.scene.size(SIDE)) for place in question.boxes)
            assert any(seen) if ideal == 0 else all(seen) or question.kind is Kind.RELATION


def holding(place: Corners, result: FocusResult, source: Size) -> bool:
    """Whether a region shows `place` (fractions of the source's sides) whole."""
    left, top, right, bottom = (place[0] * source[0], place[1] * source[1], place[2] * source[0], place[3] * source[1])
    boxes = [view.box for view in result.views[1:]]
    return any(b.x1 <= left + 1 and b.y1 <= top + 1 and right - 1 <= b.x2 and bottom - 1 <= b.y2 for b in boxes)


def test_without_guessing_it_declines_what_it_cannot_tell() -> None:
    for number in range(25):
        question = asked(number)
        result = run(question, guess=False)
        if ideal_zooms(question, question.scene.size(SIDE)) is None:
            assert result.status is Status.DECLINED, question.text
        else:
            assert result.answer == question.answer
    grey = encode_view(Image.new("RGB", asked(0).scene.size(224), (127, 127, 127)))[0]
    assert run(asked(0), data=grey, side=224, guess=False).status is Status.DECLINED


def test_its_thoughts_say_what_it_does() -> None:
    seen = set()
    for number in range(1000):
        question = asked(number)
        source = question.scene.size(SIDE)
        ideal = ideal_zooms(question, source)
        relation = question.kind is Kind.RELATION
        if not ideal or (relation, ideal) in seen:
            continue
        seen.add((relation, ideal))
        turns = [turn.text for turn in run(question).trajectory.turns if turn.role == "policy"]
        assert len(turns) == ideal + 1
        assert all("<tool_call>" in turn and "<answer>" not in turn for turn in turns[:-1])
        assert str(question.names[0]) in turns[0]
        assert question.value in turns[-1].split("</think>")[0]
        assert f"<answer>{question.answer}</answer>" in turns[-1]
    assert seen == {(False, 1), (True, 1), (True, 2)}


def test_at_the_limit_of_zooms_it_still_answers() -> None:
    question = next(
        question for number in range(1000) if ideal_zooms(question := asked(number), question.scene.size(SIDE)) == 2
    )
    result = run(question, config=FocusConfig(max_zooms=1))
    assert result.stop_reason is StopReason.ZOOM_LIMIT
    assert result.answer in (*question.choices, *"AB")
    assert result.usage.zooms == 1


def test_the_same_messages_get_the_same_turn_and_boxes_are_tight() -> None:
    question = zooming(1)[0]
    source = question.scene.size(SIDE)
    model = observer_policy(question, source).model
    width, height = SCENE_PROFILE.overview.fit(source)
    shown = render(question.scene, source).resize((width, height), Image.Resampling.LANCZOS)
    messages = conversation(shown, question.text)
    first, again = model.invoke(messages), model.invoke(messages)
    assert first.text == again.text
    assert "<tool_call>" in first.text
    (zoom, *_) = Outlook(source, SCENE_PROFILE).plan(sorted(question.boxes), needed(question)).zooms
    assert f'"bbox_2d": {list(zoom.corners)}' in first.text
    closing = [*messages, first, HumanMessage(SCENE_PROFILE.prompts.closing)]
    assert "<answer>" in model.invoke(closing).text
    refused = [*messages, first, HumanMessage("That call was refused: no.")]
    assert "<answer>" in model.invoke(refused).text
    unoffered = [SystemMessage("none"), *messages[1:]]
    assert "<answer>" in model.invoke(unoffered).text


def conversation(image: Image.Image, text: str) -> list[SystemMessage | HumanMessage | AIMessage]:
    data = base64.b64encode(encode_view(image)[0]).decode()
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    return [SystemMessage("<tools></tools>"), HumanMessage([block, {"type": "text", "text": text}])]


def test_a_source_or_profile_that_does_not_fit_is_named() -> None:
    question = asked(0)
    model = ObserverModel(task=SceneTask.of(question, (1000, 500)), shown_by=SCENE_PROFILE)
    with pytest.raises(PolicyError, match="made for a source of 1000x500"):
        model.invoke(conversation(Image.new("RGB", (100, 100)), question.text))
    with pytest.raises(PolicyError, match="without an image"):
        model.invoke([HumanMessage("What?")])
    with pytest.raises(ConfigError, match="dialect cof"):
        observer_policy(question, (100, 100), profile=Profile(dialect="native"))
