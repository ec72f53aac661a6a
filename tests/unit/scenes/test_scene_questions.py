"""Questions about scenes: true, balanced, and with counterfactuals that differ in their answer alone."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from cof_agent.errors import ConfigError
from cof_agent.scenes import CHARACTERS, COLOURS, SHAPES, Scene, SceneObject, Split
from cof_agent.scenes.question import Kind, SceneQuestion, ask, scene_question

pytestmark = pytest.mark.slow

ANSWERABLE = [kind for kind in Kind if kind.answerable]
MARK = re.compile(r"\b(?:marked|character|labelled|which) ([2-9A-Z])\b")


@cache
def asked(split: Split, number: int, kind: Kind | None) -> SceneQuestion:
    return scene_question(split, number, kind)


def questions(split: Split, count: int, kind: Kind | None = None) -> list[SceneQuestion]:
    return [asked(split, number, kind) for number in range(count)]


@pytest.fixture(scope="module")
def tested() -> list[SceneQuestion]:
    return questions(Split.TEST, 600)


def named(question: SceneQuestion) -> list[SceneObject]:
    """The objects that the first line of the text names, found in the text alone."""
    text = question.text.split("\n")[0]
    things = question.scene.objects
    found = [
        (match.start(), thing)
        for thing in things
        if (match := re.search(rf"\b{thing.colour} {thing.shape}\b", text)) is not None
    ]
    if not found and (mark := MARK.search(text)):
        found = [(0, thing) for thing in things if thing.character == mark[1]]
    if not found:
        found = [(0, thing) for thing in things if re.search(rf"\b{thing.shape}\b", text)]
    return [thing for _, thing in sorted(found, key=lambda pair: pair[0])]


def truth(question: SceneQuestion) -> str:
    """The right answer, from the text and the scene."""
    things = named(question)
    if question.kind is not Kind.RELATION:
        (thing,) = things
        return thing.character if question.kind is Kind.CHARACTER else thing.colour
    text = question.text.split("\n")[0]
    one, other = things if not text.startswith("Seen from") else things[::-1]
    if "left" in text:
        return "left" if one.box[2] <= other.box[0] else "right" if other.box[2] <= one.box[0] else "neither"
    return "above" if one.box[3] <= other.box[1] else "below" if other.box[3] <= one.box[1] else "neither"


def test_the_answer_is_what_the_text_asks_for(tested: list[SceneQuestion]) -> None:
    for question in tested:
        assert question.value == truth(question), question.text


def test_the_changed_scene_gives_the_changed_answer_to_the_same_words(tested: list[SceneQuestion]) -> None:
    for question in tested:
        other = question.counterfactual()
        assert (other.text, other.options, other.id) == (question.text, question.options, question.id)
        assert other.answer != question.answer
        assert other.value == truth(other), other.text
        assert sorted(other.boxes) == sorted(question.boxes)
        looks = [(thing.shape, thing.colour) for thing in other.scene.objects]
        marks = [thing.character for thing in other.scene.objects]
        assert len(set(looks)) == len(looks)
        assert len(set(marks)) == len(marks)
        assert replace(other.scene, objects=question.scene.objects) == question.scene


def test_the_same_number_asks_the_same(tested: list[SceneQuestion]) -> None:
    for number, question in enumerate(tested[:50]):
        again = scene_question(Split.TEST, number)
        assert again == question
        assert again.counterfactual() == question.counterfactual()


def test_ids_and_scenes_of_splits_differ() -> None:
    ids = [question.id for split in Split for kind in Kind for question in questions(split, 100, kind)]
    assert len(set(ids)) == len(ids)
    assert len({question.scene.seed for split in Split for question in questions(split, 100)}) == 300


@pytest.mark.parametrize("kind", ANSWERABLE)
def test_every_scene_can_be_asked_for_every_kind(kind: Kind) -> None:
    for question in questions(Split.TRAIN, 300, kind):
        assert question.kind is kind
        assert question.value in question.choices
        assert len(question.targets) == (2 if kind is Kind.RELATION else 1)
        assert all(0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1 for x1, y1, x2, y2 in question.boxes)


def test_half_are_relations_and_half_have_options(tested: list[SceneQuestion]) -> None:
    kinds = Counter(question.kind for question in tested)
    assert abs(kinds[Kind.RELATION] / len(tested) - 0.5) < 0.06
    assert abs(kinds[Kind.CHARACTER] / len(tested) - 0.25) < 0.06
    assert abs(sum(bool(question.options) for question in tested) / len(tested) - 0.5) < 0.06
    assert Counter(question.category for question in tested)["relative_position"] == kinds[Kind.RELATION]


def test_options_are_distinct_and_stand_in_the_text(tested: list[SceneQuestion]) -> None:
    for question in tested:
        if question.options:
            assert len(set(question.options)) == len(question.options) == (2 if question.kind is Kind.RELATION else 4)
            for letter, option in zip("ABCD", question.options, strict=False):
                assert f"\n({letter}) {option}\n" in question.text
            assert question.chance == 1 / len(question.options)
    open_chances = {question.kind: question.chance for question in tested if not question.options}
    assert open_chances == {Kind.CHARACTER: 1 / 20, Kind.COLOUR: 1 / 8, Kind.RELATION: 1 / 2}


def test_each_kind_is_put_in_five_ways_or_more() -> None:
    for kind in ANSWERABLE:
        frames = set()
        for question in questions(Split.TRAIN, 300, kind):
            words = question.text.split("\n")[0]
            words = MARK.sub(lambda match: match[0][:-1] + "*", words)
            frames.add(re.sub(rf"\b({'|'.join((*COLOURS, *SHAPES))})\b", "*", words))
        assert len(frames) >= 5


class NaiveBayes:
    """Predicts an answer from words, each with where it stands among the options."""

    def __init__(self, examples: Iterable[tuple[Sequence[str], str]]) -> None:
        self.words: dict[str, Counter[str]] = defaultdict(Counter)
        self.answers: Counter[str] = Counter()
        for features, answer in examples:
            self.answers[answer] += 1
            self.words[answer].update(set(features))

    def predict(self, features: Sequence[str], among: Sequence[str]) -> str:
        def score(answer: str) -> float:
            seen = self.answers[answer]
            return math.log(seen + 1) + sum(
                math.log((self.words[answer][word] + 1) / (seen + 2)) for word in set(features)
            )

        return max(among, key=score)


def features(question: SceneQuestion) -> list[str]:
    first = re.findall(r"\w+", question.text.split("\n")[0])
    follows = [f"{one} {other}" for one, other in pairwise(first)]
    placed = [f"{letter}={option}" for letter, option in zip("ABCD", question.options, strict=False)]
    return [*question.text.replace("\n", " ").split(), *follows, *placed]


@pytest.mark.parametrize("kind", ANSWERABLE)
@pytest.mark.parametrize("target", ["answer", "value"])
def test_the_text_alone_does_not_give_the_answer_away(kind: Kind, target: str) -> None:
    """Neither the letter (or word) that is right, nor which of the values is, beyond what chance allows."""
    train, test = questions(Split.TRAIN, 700, kind), questions(Split.TEST, 500, kind)
    for with_options in (False, True):
        learned = NaiveBayes(
            (features(question), getattr(question, target))
            for question in train
            if bool(question.options) is with_options
        )
        posed = [question for question in test if bool(question.options) is with_options]
        right = 0
        for question in posed:
            among: Sequence[str] = question.choices
            if with_options and target == "answer":
                among = "ABCD"[: len(question.options)]
            right += learned.predict(features(question), among) == getattr(question, target)
        chance = posed[0].chance
        spread = math.sqrt(chance * (1 - chance) / len(posed))
        assert right / len(posed) < chance + 3 * spread


def test_the_baseline_finds_an_answer_that_is_given_away() -> None:
    """The test above would fail for a text that leaks."""
    train = [question for question in questions(Split.TRAIN, 700, Kind.COLOUR) if not question.options]
    test = [question for question in questions(Split.TEST, 600, Kind.COLOUR) if not question.options]
    leaking = NaiveBayes(([*features(question), f"like {question.value}"], question.value) for question in train)
    right = sum(leaking.predict([*features(q), f"like {q.value}"], q.choices) == q.value for q in test)
    assert right > 0.5 * len(test)


def test_the_right_option_stands_anywhere(tested: list[SceneQuestion]) -> None:
    for size in (2, 4):
        letters = Counter(question.answer for question in tested if len(question.options) == size)
        expected = letters.total() / size
        chi = sum((letters[letter] - expected) ** 2 / expected for letter in "ABCD"[:size])
        assert chi < {2: 10.8, 4: 16.3}[size]  # one in a thousand


def test_answers_are_spread_evenly() -> None:
    colours = Counter(question.value for question in questions(Split.TEST, 600, Kind.COLOUR))
    marks = Counter(question.value for question in questions(Split.TEST, 600, Kind.CHARACTER))
    assert set(colours) == set(COLOURS)
    assert set(marks) == set(CHARACTERS)
    assert max(colours.values()) < 2 * min(colours.values())
    assert max(marks.values()) < 4 * min(marks.values())


def test_what_cannot_be_asked_is_said() -> None:
    empty = replace(Scene.from_seed(1), objects=())
    with pytest.raises(ConfigError, match="no objects"):
        ask(empty)
    alone = replace(Scene.from_seed(1), objects=Scene.from_seed(1).objects[:1])
    with pytest.raises(ConfigError, match="no two objects that are apart"):
        ask(alone, Kind.RELATION)
    assert ask(alone, Kind.COLOUR).value == alone.objects[0].colour
    with pytest.raises(ConfigError, match="no scene 1000000"):
        scene_question(Split.TEST, 1_000_000)


@pytest.mark.parametrize("kind", ANSWERABLE)
def test_something_else_resembles_what_is_asked_about(kind: Kind) -> None:
    for number in range(400):
        question = scene_question(Split.TEST, number, kind)
        objects = question.scene.objects
        resembled = [
            other.shape == objects[target].shape or (other.colour == objects[target].colour)
            for target in question.targets
            for index, other in enumerate(objects)
            if index != target
        ]
        named_by_shape = kind is Kind.COLOUR and question.names[0].shape
        no_two_alike = len({thing.shape for thing in objects}) == len(objects)
        assert any(resembled) or named_by_shape or (kind is Kind.COLOUR and no_two_alike), question.id


def test_the_questions_stay_as_they_are() -> None:
    """Figures measured on them would mean nothing otherwise."""
    told = [
        (question.id, question.text, question.answer, question.counterfactual().answer)
        for number in range(60)
        for question in [scene_question(Split.TEST, number), scene_question(Split.TRAIN, number, Kind.COLOUR)]
    ]
    assert hashlib.sha256(repr(told).encode()).hexdigest()[:16] == "3d9c52701d5d250c"
