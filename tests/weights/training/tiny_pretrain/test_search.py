"""How a question's objects are searched for: each rule on scenes of a few objects."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import pytest

from cof_agent.dialects.profile import DECLINE
from cof_agent.scenes.background import Background
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import SCENE_PROFILE
from cof_agent.scenes.scene import CHARACTERS, Scene, SceneObject
from cof_agent.scenes.wording import Name
from training.tiny_pretrain.search import MOST_ZOOMS, Search, Seeker
from training.tiny_pretrain.telling import tell

LARGE, HINTING, SMALL, FAINT = 0.2, 7 / 224, 4 / 224, 1 / 224
"""Sides of objects in short sides of the scene: 45, 7, 4 and 1 pixels in the overview."""
RED_STAR, BLUE_HEART = Name(shape="star", colour="red"), Name(shape="heart", colour="blue")


def asked(
    kind: Kind,
    looks: list[tuple[str, str, float]],
    *names: Name,
    missing: bool = False,
    options: tuple[str, ...] = (),
) -> SceneQuestion:
    """A question of `kind` for `names` about objects of (colour, shape, size), from left to right in a square scene and
    in three rows."""
    step = 1 / (len(looks) + 1)
    objects = tuple(
        SceneObject(shape, colour, CHARACTERS[number], (number + 1) * step, (0.2, 0.5, 0.8)[number % 3], size)
        for number, (colour, shape, size) in enumerate(looks)
    )
    targets = () if missing else tuple(looks.index(_look(name, looks)) for name in names)
    scene = Scene(1, 1.0, 1.0, Background.plain((90, 90, 90)), objects)
    answer = "A" if options else "left"
    return SceneQuestion(scene, kind, "Is it left or right?", answer, options, targets, names, ("left", "right"))


def _look(name: Name, looks: list[tuple[str, str, float]]) -> tuple[str, str, float]:
    return next(look for look in looks if look[:2] == (name.colour or look[0], name.shape))


def search(question: SceneQuestion, long_side: int = 2240, seed: int = 0) -> Search:
    return Seeker(question, long_side, SCENE_PROFILE, Random(seed)).search()


def looked_at(question: SceneQuestion, long_side: int = 2240) -> set[tuple[int, ...]]:
    """What is looked at, in all the orders that chance brings."""
    return {tuple(step.looked_at for step in search(question, long_side, seed).steps) for seed in range(100)}


def test_what_is_clearly_it_needs_no_look_whatever_else_may_be_it() -> None:
    looks = [("red", "star", LARGE), ("green", "circle", FAINT), ("red", "heart", SMALL)]
    for kind in (Kind.CHARACTER, Kind.RELATION):
        found = search(asked(kind, looks, RED_STAR))
        assert (found.steps, found.sure) == ((), True)


def test_what_is_clearly_something_else_is_passed_over() -> None:
    looks = [("blue", "star", SMALL), ("red", "heart", LARGE), ("red", "star", SMALL), ("red", "circle", SMALL)]
    orders = looked_at(asked(Kind.CHARACTER, looks, RED_STAR))
    assert orders == {(2,), (3, 2)}


def test_candidates_are_looked_at_in_any_order_until_it_is_found() -> None:
    looks = [("red", "circle", SMALL), ("red", "star", SMALL), ("red", "heart", SMALL)]
    question = asked(Kind.CHARACTER, looks, RED_STAR)
    assert looked_at(question) == {(1,), (0, 1), (2, 1), (0, 2, 1), (2, 0, 1)}
    assert all(search(question, seed=seed).sure for seed in range(10))


def test_what_is_named_tends_to_be_looked_at_first() -> None:
    looks = [("red", "circle", HINTING), ("red", "star", HINTING), ("red", "heart", HINTING)]
    question = asked(Kind.CHARACTER, looks, RED_STAR)
    first = [search(question, seed=seed).steps[0].looked_at for seed in range(300)]
    assert first.count(1) > 150
    assert min(first.count(0), first.count(2)) > 20


def test_where_no_colour_is_named_one_of_each_colour_is_looked_at_before_a_second() -> None:
    star = Name(shape="star")
    looks = [("red", "circle", SMALL), ("red", "heart", SMALL), ("blue", "cross", SMALL), ("green", "star", SMALL)]
    colours = ("green", "red", "blue")
    for seed in range(40):
        steps = search(asked(Kind.COLOUR, looks, star, options=colours), seed=seed).steps
        seen = [looks[step.looked_at][0] for step in steps]
        assert len(set(seen)) == min(len(seen), 3)


def test_of_the_colours_that_are_offered_alone() -> None:
    looks = [("red", "circle", SMALL), ("blue", "cross", SMALL), ("green", "star", SMALL)]
    question = asked(Kind.COLOUR, looks, Name(shape="star"), options=("blue", "green"))
    assert looked_at(question) == {(2,), (1, 2)}


def test_a_colour_that_cannot_be_seen_is_neither_told_nor_passed_over() -> None:
    looks = [("red", "circle", FAINT), ("blue", "cross", SMALL), ("red", "star", SMALL)]
    question = asked(Kind.COLOUR, looks, Name(shape="star"), options=("blue", "green"))
    seeker = Seeker(question, 3840, SCENE_PROFILE, Random(0))
    assert [seeker.pointer(place, Name(shape="star"))[0] for place in range(3)] == [None, "blue", "red"]
    assert looked_at(question, 3840) == {(1, 0)}


def test_what_is_too_small_to_tell_anything_is_looked_at_no_earlier_for_being_it() -> None:
    looks = [("red", "circle", SMALL), ("red", "star", SMALL), ("red", "heart", SMALL)]
    first = [search(asked(Kind.CHARACTER, looks, RED_STAR), seed=seed).steps[0].looked_at for seed in range(300)]
    assert max(first.count(place) for place in range(3)) < 130


def test_a_candidate_is_told_by_its_colour_unless_named_and_by_its_left_side() -> None:
    looks = [("red", "circle", SMALL), ("red", "star", SMALL), ("red", "heart", SMALL)]
    seeker = Seeker(asked(Kind.CHARACTER, looks, RED_STAR), 2240, SCENE_PROFILE, Random(0))
    assert [seeker.pointer(place, RED_STAR) for place in range(3)] == [(None, 52), (None, 108), (None, 164)]
    assert seeker.pointer(2, Name(shape="heart")) == ("red", 164)


def test_what_is_told_alike_is_looked_at_once() -> None:
    looks = [("red", "circle", SMALL), ("red", "star", SMALL)]
    question = asked(Kind.CHARACTER, looks, RED_STAR)
    beside = replace(question.scene.objects[0], x=0.68, y=0.45)
    question = replace(question, scene=replace(question.scene, objects=(beside, question.scene.objects[1])))
    assert looked_at(question) == {(0,), (1,)}
    assert {
        (search(question, seed=seed).steps[0].looked_at, search(question, seed=seed).sure) for seed in range(40)
    } == {
        (0, False),
        (1, True),
    }


def test_which_candidate_is_looked_at_is_said() -> None:
    looks = [("red", "circle", SMALL), ("red", "star", SMALL), ("red", "heart", SMALL)]
    story = tell(asked(Kind.CHARACTER, looks, RED_STAR), 2240, SCENE_PROFILE, "adaptive", Random(2))
    turns = [message.text for message in story.messages if message.type == "ai"]
    assert len(turns) > 2
    assert all(
        re.search(rf"I look {way}: the one at (\d+)\..*\[\1, ", turn)
        for way, turn in zip(("for the red star", "on", "on"), turns[:-1], strict=False)
    )
    question = asked(Kind.COLOUR, looks, Name(shape="star"), options=("red", "blue"))
    story = tell(question, 2240, SCENE_PROFILE, "adaptive", Random(2))
    [first, *_] = [message.text for message in story.messages if message.type == "ai"]
    assert "I look for the star: the red one at " in first
    assert story.own[0].sought == RED_STAR


def test_what_has_the_colour_for_sure_comes_first() -> None:
    looks = [("green", "star", FAINT), ("red", "circle", SMALL), ("red", "star", FAINT)]
    assert looked_at(asked(Kind.CHARACTER, looks, RED_STAR), 3840) == {(1, 2), (1, 0, 2)}


def test_in_a_relation_the_only_candidate_and_the_last_one_left_need_no_look() -> None:
    alone = [("red", "star", SMALL), ("blue", "heart", LARGE)]
    found = search(asked(Kind.RELATION, alone, RED_STAR, BLUE_HEART))
    assert (found.steps, found.sure) == ((), True)
    two = [("red", "star", SMALL), ("red", "circle", SMALL), ("blue", "heart", LARGE)]
    assert looked_at(asked(Kind.RELATION, two, RED_STAR, BLUE_HEART)) == {(0,), (1,)}
    assert looked_at(asked(Kind.CHARACTER, two, RED_STAR)) == {(0,), (1, 0)}


def test_names_are_looked_for_one_after_the_other_and_nothing_is_looked_at_twice() -> None:
    looks = [("red", "star", FAINT), ("blue", "heart", FAINT), ("green", "cross", FAINT), ("blue", "cross", FAINT)]
    question = asked(Kind.RELATION, looks, RED_STAR, BLUE_HEART)
    orders = looked_at(question, 3840)
    assert all(len(set(order)) == len(order) for order in orders)
    for seed in range(20):
        steps = search(question, 3840, seed).steps
        assert [step.number for step in steps] == sorted(step.number for step in steps)


def test_nothing_is_looked_at_where_nothing_is_gained() -> None:
    found = search(asked(Kind.CHARACTER, [("red", "circle", SMALL), ("red", "star", SMALL)], RED_STAR), 224)
    assert (found.steps, found.sure) == ((), False)


def test_after_a_look_what_is_too_small_for_the_next_is_passed_over() -> None:
    looks = [("red", "star", FAINT), ("green", "circle", FAINT), ("red", "cross", 9 / 224)]
    for seed in range(10):
        found = search(asked(Kind.CHARACTER, looks, RED_STAR), 448, seed)
        assert [(step.looked_at, step.clear) for step in found.steps] == [(2, True)]
        assert not found.sure
    story = tell(asked(Kind.CHARACTER, looks[:2], RED_STAR), 448, SCENE_PROFILE, "adaptive", Random(0))
    turns = [message.text for message in story.messages if message.type == "ai"]
    assert re.search(r"I look for the red star: the one at (71|145)\.", turns[0])
    assert "All is too small here. " in turns[1]
    assert len(turns) == 2


def test_it_gives_up_after_a_number_of_zooms() -> None:
    looks = [("red", shape, SMALL) for shape in ("circle", "square", "cross", "heart", "hexagon", "triangle", "star")]
    searches = [search(asked(Kind.CHARACTER, looks, RED_STAR), seed=seed) for seed in range(400)]
    assert max(len(found.steps) for found in searches) == MOST_ZOOMS
    assert {found.sure for found in searches if found.steps[-1].looked_at != 6} == {False}


@pytest.mark.parametrize(("looks", "steps"), [([("red", "heart", LARGE)], 0), ([("red", "heart", SMALL)], 1)])
def test_what_is_missing_is_missing_when_every_candidate_has_been_seen(
    looks: list[tuple[str, str, float]], steps: int
) -> None:
    question = asked(Kind.ABSENT, [*looks, ("blue", "star", LARGE)], RED_STAR, missing=True)
    found = search(question)
    assert (len(found.steps), found.sure) == (steps, True)


def test_a_first_look_may_be_taken_in_vain_and_no_other() -> None:
    looks = [("red", "star", SMALL), ("red", "circle", SMALL), ("red", "cross", SMALL)]
    question, at = asked(Kind.CHARACTER, looks, RED_STAR), set()
    for seed in range(20):
        found = Seeker(question, 224, SCENE_PROFILE, Random(seed), in_vain=True).search()
        [step] = found.steps
        at.add(step.looked_at)
        assert (step.needed, step.clear, found.sure) == (True, False, False)
    assert at == {0, 1, 2}
    assert not search(question, 224).steps
    seen = Seeker(question, 2240, SCENE_PROFILE, Random(0), in_vain=True).search()
    assert seen == search(question)


def test_one_who_is_told_to_look_looks_at_a_candidate_and_sees_what_is_there() -> None:
    looks = [("red", "star", SMALL), ("red", "circle", SMALL)]
    at = set()
    for seed in range(20):
        seeker = Seeker(asked(Kind.CHARACTER, looks, RED_STAR), 224, SCENE_PROFILE, Random(seed))
        step = seeker.anything()
        at.add(step.looked_at)
        assert (step.needed, step.clear) == (False, False)
    assert at == {0, 1}


def test_of_a_missing_object_what_resembles_it_is_told_after_what_is_named_before_it() -> None:
    looks = [("red", "heart", LARGE), ("blue", "star", LARGE), ("green", "cross", LARGE)]
    question = asked(Kind.ABSENT, looks, RED_STAR, missing=True)
    for text, seen in (
        ("Is the green cross to the left or to the right of the red star?", ["green cross at", "red heart at"]),
        ("Is the red star to the left or to the right of the green cross?", ["red heart at"]),
        ("Which character is on the red star?", ["red heart"]),
    ):
        said = tell(
            SceneQuestion(question.scene, Kind.ABSENT, text, DECLINE, (), (), (RED_STAR,), ()),
            448,
            SCENE_PROFILE,
            "adaptive",
            Random(0),
        ).messages[-1]
        thought = said.text.split("</think>")[0]
        assert thought.count("Here is") == len(seen)
        assert all(f"Here is a {what}" in thought for what in seen)
