"""Questions that no scene answers: what they name is not there, and the observer says so."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.agent.result import FocusResult
from cof_agent.dialects.profile import DECLINE
from cof_agent.errors import ConfigError
from cof_agent.images import encode_view
from cof_agent.loop.state import Status, StopReason
from cof_agent.scenes import COLOURS, SHAPES, Scene, Split
from cof_agent.scenes.absent import ask_absent, legible
from cof_agent.scenes.foreign import HELD_OUT, WORDINGS
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.observer import SCENE_PROFILE, observer_policy
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import Outlook, ideal_zooms
from cof_agent.scenes.render import render
from cof_agent.scenes.vstar_layout import write_vstar
from cof_agent.scenes.wording import SIDES

pytestmark = pytest.mark.slow

UNANSWERABLE = [kind for kind in Kind if not kind.answerable]
LOOK = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})\b")


@cache
def asked(kind: Kind, split: Split = Split.TRAIN, count: int = 400) -> tuple[SceneQuestion, ...]:
    return tuple(scene_question(split, number, kind) for number in range(count))


def stem(question: SceneQuestion) -> str:
    return question.text.split("\n")[0]


def form(question: SceneQuestion) -> str:
    if len(LOOK.findall(stem(question))) == 2:
        return "relation"
    return "character" if LOOK.search(stem(question)) else "colour"


def run(question: SceneQuestion, config: FocusConfig | None = None, side: int = 448) -> FocusResult:
    policy = observer_policy(question, question.scene.size(side))
    picture = encode_view(render(question.scene, question.scene.size(side)))[0]
    return ChainOfFocus(policy, config=config).ask(picture, question.text)


# Absent


def test_what_is_named_is_not_there_and_something_resembles_it() -> None:
    both = 0
    for question in asked(Kind.ABSENT):
        things = question.scene.objects
        looks = [(thing.colour, thing.shape) for thing in things]
        (missing,) = question.names
        named = LOOK.findall(stem(question))
        if form(question) == "colour":
            assert missing.colour is None
            assert missing.shape not in {thing.shape for thing in things}
            assert re.search(rf"\b{missing.shape}\b", stem(question))
            continue
        assert (missing.colour, missing.shape) not in looks
        assert [look not in looks for look in named].count(True) == 1
        assert (missing.colour, missing.shape) in named
        shared = (missing.colour in {colour for colour, _ in looks}, missing.shape in {shape for _, shape in looks})
        assert any(shared)
        both += all(shared)
    assert both > 60


def test_it_is_asked_as_often_and_in_the_words_of_questions_that_can_be_answered() -> None:
    forms = Counter(form(question) for question in asked(Kind.ABSENT))
    assert abs(forms["relation"] / 400 - 0.5) < 0.08
    assert abs(forms["colour"] / 400 - 0.25) < 0.08
    assert abs(sum(bool(question.options) for question in asked(Kind.ABSENT)) / 400 - 0.5) < 0.08

    def frames(questions: tuple[SceneQuestion, ...]) -> set[str]:
        words = "|".join((*COLOURS, *SHAPES))
        return {re.sub(rf"\b({words})( ({words}))?\b", "*", stem(question)) for question in questions}

    known = {
        frame
        for kind in (Kind.CHARACTER, Kind.COLOUR, Kind.RELATION)
        for frame in frames(asked(kind))
        if "character" not in frame or kind is Kind.CHARACTER
    }
    assert frames(asked(Kind.ABSENT)) <= known
    assert len(frames(asked(Kind.ABSENT))) > 20
    first = [LOOK.findall(stem(q))[0] for q in asked(Kind.ABSENT) if form(q) == "relation"]
    there = [
        look in {(thing.colour, thing.shape) for thing in q.scene.objects}
        for look, q in zip(first, (q for q in asked(Kind.ABSENT) if form(q) == "relation"), strict=True)
    ]
    assert 0.35 < sum(there) / len(there) < 0.65  # which of the two is missing cannot be told from their order


def test_options_are_values_of_what_is_asked_for() -> None:
    for question in asked(Kind.ABSENT):
        if question.options:
            assert len(set(question.options)) == len(question.options)
            assert all(
                f"\n({letter}) {option}\n" in question.text
                for letter, option in zip("ABCD", question.options, strict=False)
            )
            if form(question) == "relation":
                assert set(question.options) in [set(sides) for sides in SIDES.values()]
            else:
                there = {
                    thing.colour if form(question) == "colour" else thing.character for thing in question.scene.objects
                }
                assert len(there & set(question.options)) == min(4, len(there))


@pytest.mark.parametrize("side", [336, 448, 1000, 2240, 3840])
def test_all_that_is_there_can_be_told_at_first_look(side: int) -> None:
    for question in asked(Kind.ABSENT):
        scene = question.scene
        outlook = Outlook(scene.size(side), SCENE_PROFILE)
        assert all(outlook.seen(scene.fraction(thing.box)) >= LEGIBLE["shape"] for thing in scene.objects)
        assert ideal_zooms(question, scene.size(side)) == 0


def test_its_scene_is_the_seed_s_without_what_is_small_or_with_the_largest_enlarged() -> None:
    dropped = 0
    for question in asked(Kind.ABSENT):
        scene, whole = question.scene, Scene.from_seed(question.scene.seed)
        assert 2 <= len(scene.objects) <= len(whole.objects)
        assert (scene.background, scene.width, scene.height) == (whole.background, whole.width, whole.height)
        looks = [(thing.shape, thing.colour, thing.character) for thing in whole.objects]
        assert [look for look in looks if look in {(t.shape, t.colour, t.character) for t in scene.objects}] == [
            (thing.shape, thing.colour, thing.character) for thing in scene.objects
        ]
        dropped += set(scene.objects) <= set(whole.objects)
        for number, thing in enumerate(scene.objects):
            assert 0 < thing.box[0] < thing.box[2] < scene.width
            assert 0 < thing.box[1] < thing.box[3] < scene.height
            for other in scene.objects[:number]:
                assert max(abs(thing.x - other.x), abs(thing.y - other.y)) > (thing.size + other.size) / 2
        assert legible(whole) == scene
        assert legible(scene) == scene
    assert 200 < dropped < 380


def test_where_all_shapes_are_there_a_character_is_asked_for() -> None:
    scene = Scene.from_seed(2_000_001)
    thing = scene.objects[0]
    full = replace(
        scene,
        objects=tuple(
            replace(thing, shape=shape, x=0.1 + 0.11 * number, size=0.1, character="KLMPRTXY"[number])
            for number, shape in enumerate(SHAPES)
        ),
    )
    made = [ask_absent(full, Random(f"{number}")) for number in range(40)]
    assert all(one.missing.shape in SHAPES and one.missing.colour != thing.colour for one in made)


# Foreign


def test_there_are_many_wordings_and_a_third_is_the_test_split_s_alone() -> None:
    assert len(WORDINGS) + len(HELD_OUT) >= 60
    assert 3 * len(HELD_OUT) == len(WORDINGS) + len(HELD_OUT)
    assert not WORDINGS.keys() & HELD_OUT.keys()
    patterns = {
        table: [re.compile(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(wording))) for wording in wordings]
        for table, wordings in (("train", WORDINGS), ("test", HELD_OUT))
    }
    for split, own in ((Split.TRAIN, "train"), (Split.VALIDATION, "train"), (Split.TEST, "test")):
        found = set()
        for question in asked(Kind.FOREIGN, split):
            matches = [
                (table, pattern)
                for table, known in patterns.items()
                for pattern in known
                if pattern.fullmatch(stem(question))
            ]
            assert [table for table, _ in matches] == [own]
            found.add(matches[0][1].pattern)
        assert len(found) > 0.95 * len(patterns[own])


def test_foreign_questions_name_nothing_of_this_world_and_half_have_options() -> None:
    for split in (Split.TRAIN, Split.TEST):
        for question in asked(Kind.FOREIGN, split):
            assert not re.search(rf"\b({'|'.join((*COLOURS, *SHAPES))}|shape|character)\b", question.text.casefold())
            assert question.scene == Scene.from_seed(question.scene.seed)
            assert question.options == () or 2 <= len(set(question.options)) == len(question.options) <= 4
        shares = [bool(question.options) for question in asked(Kind.FOREIGN, split)]
        assert abs(sum(shares) / len(shares) - 0.5) < 0.08


# Both


@pytest.mark.parametrize("kind", UNANSWERABLE)
def test_the_truth_is_that_there_is_no_answer(kind: Kind) -> None:
    for number, question in enumerate(asked(kind)[:50]):
        assert (question.answer, question.value, question.category) == (DECLINE, DECLINE, "unanswerable")
        assert (question.chance, question.boxes, question.choices) == (0.0, (), ())
        assert question.id == f"scene-{2_000_000 + number}-{kind}"
        assert question == scene_question(Split.TRAIN, number, kind)
        with pytest.raises(ConfigError, match=f"{question.id} has no answer that a changed scene could change"):
            question.counterfactual()


def test_they_are_asked_only_when_they_are_named(tmp_path: Path) -> None:
    assert all(scene_question(split, number).kind.answerable for split in Split for number in range(300))
    write_vstar(tmp_path, 3, 64)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"direct_attributes", "relative_position"}


def test_the_questions_stay_as_they_are() -> None:
    told = [(q.id, q.text, q.scene.objects) for kind in UNANSWERABLE for q in asked(kind)[:60]]
    assert hashlib.sha256(repr(told).encode()).hexdigest()[:16] == "b215d7805d6b7dbb"


@pytest.mark.parametrize("kind", UNANSWERABLE)
def test_the_observer_declines_at_first_look_in_several_wordings(kind: Kind) -> None:
    said, reasons = set(), set()
    for question in asked(kind)[:40]:
        result = run(question)
        assert (result.status, result.stop_reason, result.usage.zooms) == (Status.DECLINED, StopReason.DECLINED, 0)
        (turn,) = (turn.text for turn in result.trajectory.turns if turn.role == "policy")
        thought, answer = turn.removesuffix("</answer>").split("</think><answer>")
        assert answer == f"{DECLINE}: {result.message}"
        if kind is Kind.ABSENT:
            it = str(question.names[0])
            assert it in thought
            assert it in answer
            thought, answer = thought.replace(it, "*"), answer.replace(it, "*")
        said.add(thought)
        reasons.add(answer)
    assert len(said) == 5
    assert len(reasons) == 3


@pytest.mark.parametrize("kind", UNANSWERABLE)
def test_one_question_about_two_pictures_is_not_always_declined_in_the_same_words(kind: Kind) -> None:
    question, *others = asked(kind)[:8]
    told = set()
    for other in (question, *others):
        policy = observer_policy(question, other.scene.size(224))
        picture = encode_view(render(other.scene, other.scene.size(224)))[0]
        told.add(ChainOfFocus(policy).ask(picture, question.text).trajectory.turns[-1].text)
    assert len(told) > 2


@pytest.mark.parametrize("kind", UNANSWERABLE)
def test_where_it_must_look_closer_it_looks_somewhere_and_then_declines(kind: Kind) -> None:
    places = set()
    for question in asked(kind)[:20]:
        result = run(question, FocusConfig(min_zooms=1))
        assert (result.status, result.usage.zooms, result.usage.refused) == (
            Status.DECLINED,
            1,
            1,
        )  # too early, then looked
        places.add(result.views[1].box)
        assert any(word in result.trajectory.turns[-1].text for word in ("loser look", "losely", "either"))
        assert run(question, FocusConfig(max_zooms=0)).status is Status.DECLINED
    assert len(places) > 4
