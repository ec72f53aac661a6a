"""Conversations that are composed are those that the loop would hold."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.dialects.profile import DECLINE
from cof_agent.policies import Policy
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.scenes import Split
from cof_agent.scenes.background import Background
from cof_agent.scenes.foreign import HELD_OUT
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import SCENE_PROFILE
from cof_agent.scenes.render import render
from cof_agent.scenes.scene import CHARACTERS, COLOURS, MOST, SHAPES, Scene, SceneObject
from cof_agent.scenes.wording import Name
from tests.support.training.seeds import write_smallest
from training.tiny_pretrain import telling
from training.tiny_pretrain.episodes import Episodes, in_words
from training.tiny_pretrain.framing import Framing
from training.tiny_pretrain.marks import (
    CHOICE,
    CHOSEN,
    CONCLUSION,
    CONTRARY,
    NAMING,
    OPENING,
    SEEN,
    VALUE,
    WHERE,
    Own,
    Told,
    coordinate,
    told_place,
)
from training.tiny_pretrain.search import MOST_ZOOMS
from training.tiny_pretrain.strangers import FORMS, THINGS, ask_stranger
from training.tiny_pretrain.telling import Manner, Story, tell
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import NOTHING


class Saying(BaseChatModel):
    """Says its turns one after the other and keeps what it was sent last."""

    turns: list[str]
    sent: list[BaseMessage] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "saying"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.sent = messages
        said = AIMessage(self.turns[sum(isinstance(message, AIMessage) for message in messages)])
        return ChatResult(generations=[ChatGeneration(message=said)])


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_processor(write_smallest(tmp_path_factory.mktemp("seeds") / "smallest"))


def same_words(story: Story, model: Saying) -> None:
    for ours, theirs in zip(story.messages[:-1], model.sent, strict=True):
        assert ours.text == theirs.text
        assert kinds(ours) == kinds(theirs)


def known(turn: str) -> str:
    """A turn up to where it goes astray."""
    return re.sub(r": the( \w+)? one at \d+\..*", "", turn)


def test_who_may_look_no_more_guesses() -> None:
    asked, stopped, long = SCENE_PROFILE.prompts.closing, 0, 0
    for number in range(120):
        question = scene_question(Split.TRAIN, number)
        story = tell(question, 1536, SCENE_PROFILE, "adaptive", Random(number))
        turns = [turn.text for turn in story.messages if isinstance(turn, AIMessage)]
        long += len(turns) > 2
        if asked not in story.messages[-2].text:
            continue
        stopped += 1
        model = Saying(turns=turns)
        agent = ChainOfFocus(Policy(model, SCENE_PROFILE, "saying"), config=FocusConfig(max_zooms=len(turns) - 2))
        result = agent.ask(render(question.scene, question.scene.size(1536)), question.text)
        assert (result.status, result.stop_reason) == ("answered", "zoom_limit")
        assert len(result.trajectory.views) == len(story.views) == len(turns) - 1
        same_words(story, model)
        assert question.value not in story.own[-1].values
    assert 0 < stopped < 0.3 * long


@pytest.mark.parametrize(
    ("number", "long_side"), [(0, 448), (1, 448), (3, 1024), (4, 224), (12, 1536), (15, 672), (20, 1536)]
)
@pytest.mark.parametrize("kind", [None, Kind.ABSENT, Kind.FOREIGN])
def test_a_composed_conversation_is_the_one_that_the_loop_holds(number: int, long_side: int, kind: Kind | None) -> None:
    question = scene_question(Split.TRAIN, number, kind)
    loop_holds(question, long_side, tell(question, long_side, SCENE_PROFILE, "adaptive", Random(0)))


def test_a_first_look_in_vain_is_one_that_the_loop_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(telling, "_IN_VAIN", share)
        stories = [tell(scene_question(Split.TRAIN, n), 224, SCENE_PROFILE, "adaptive", Random(n)) for n in range(12)]
        looks.append(sum(len(story.own) - 1 for story in stories))
        for number, story in enumerate(stories if share else ()):
            loop_holds(scene_question(Split.TRAIN, number), 224, story)
    assert looks[0] == 0
    assert 3 < looks[1] <= 12


def test_a_look_that_went_astray_is_one_that_the_loop_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_ASTRAY", 1.0)
    astray = set()
    for number in range(12):
        question = scene_question(Split.TRAIN, number)
        story = tell(question, 1536, SCENE_PROFILE, "adaptive", Random(number))
        astray.update(turn.box == -1 for turn in story.own if turn.astray)
        loop_holds(question, 1536, story)
    assert astray == {True, False}


def loop_holds(question: SceneQuestion, long_side: int, story: Story) -> None:
    size = question.scene.size(long_side)
    model = Saying(turns=[turn.text for turn in story.messages if isinstance(turn, AIMessage)])
    result = ChainOfFocus(Policy(model, SCENE_PROFILE, "saying")).ask(render(question.scene, size), question.text)
    assert result.status in ("answered", "declined")
    assert len(result.trajectory.views) == len(story.views) == len(model.turns)
    assert [message.type for message in story.messages[:-1]] == [message.type for message in model.sent]
    same_words(story, model)
    pixels = [image for message in model.sent for image in images(message)]
    for view, image in zip(story.views, pixels, strict=True):
        assert view.shown == image.size
        away = np.asarray(view.picture(), float) - np.asarray(image, float)
        assert np.abs(away).mean() < 6  # of 255: one is resampled once more


def seen_and_said(told: Told) -> set[tuple[int, int]]:
    return {(told.here, told.here)} | ({(told.here, told.again)} if told.again >= 0 else set())


@pytest.mark.parametrize("manner", ["adaptive", "direct", "always"])
def test_what_is_learnt_is_the_policys_own_turns(manner: Manner, processor: Any) -> None:
    scribe, tokenizer = Scribe(processor.tokenizer), processor.tokenizer
    episodes = Episodes(processor, SCENE_PROFILE, 3, 16, {manner: 1.0})
    zooms, astray = [], False
    for told in episodes.make(0):
        written = scribe.episode(told.text, told.grids, told.own)
        own = [label for label in written.labels if label != NOTHING]
        turns = re.findall(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", told.text, re.DOTALL)
        learnt = [known(turn) if what.astray else turn for turn, what in zip(turns, told.own, strict=True)]
        assert tokenizer.decode(own) == "".join(learnt)
        numbers = [number for number in written.numbers if number != NOTHING]
        assert numbers == [
            number
            for turn, what in zip(turns, told.own, strict=True)
            for number in coordinates(turn)[: len(coordinates(known(turn))) + 1 if what.astray else None]
        ]
        astray |= any(what.astray for what in told.own)
        assert written.ids.count(scribe.placeholder) == sum(columns * rows for columns, rows in told.grids)
        zooms.append(len(told.pixels) - 1)
        looked_at = {pair for pair, label in zip(written.about, written.labels, strict=True) if label != NOTHING}
        looked_at -= {(-1, CHOSEN + number) for number in range(4)}
        what = {pair for turn in told.own for said in turn.told for pair in seen_and_said(said)}
        assert (
            looked_at
            == {turn.about for turn in told.own}
            | {(turn.box, turn.box) for turn in told.own if turn.box is not None and not turn.astray}
            | {(turn.box, coordinate(turn.box, 0)) for turn in told.own if turn.sought and turn.box is not None}
            | what
        )
    assert astray == (manner != "direct")
    assert {"adaptive": min(zooms) == 0 < max(zooms), "direct": max(zooms) == 0, "always": min(zooms) == 1}[manner]


def test_a_conversation_turns_on_what_is_seen_and_on_how_turns_begin(processor: Any) -> None:
    scribe, decode = Scribe(processor.tokenizer), processor.tokenizer.decode
    seen, contrary, digits = set(), False, [0, 0, 0]
    for told in Episodes(processor, SCENE_PROFILE, 3, 32, {"adaptive": 1.0}).make(0):
        written = scribe.episode(told.text, told.grids, told.own)
        marked = {
            kind: [
                decode([token]).strip()
                for token, turns in zip(written.ids[1:], written.turning, strict=False)
                if turns == kind
            ]
            for kind in (OPENING, VALUE, SEEN, CONTRARY, CONCLUSION, CHOICE, WHERE)
        }
        spaces = {kind: words.count("") for kind, words in marked.items()}  # where it is told that a digit follows
        marked = {kind: [word for word in words if word] for kind, words in marked.items()}
        turns = re.findall(r"assistant\n<think>(.*?)</think>", told.text, re.DOTALL)
        assert marked[OPENING]
        assert turns[0].startswith(marked[OPENING][0])
        assert marked[OPENING].count("look") == sum(turn.startswith("I look") for turn in turns)
        after = [re.findall(r"is an? [^.]+\. I look", turn) for turn in turns]
        assert marked[CONCLUSION].count("look") == sum(map(len, after))  # what comes of what has been seen
        chosen = [pair for turn in turns for pair in re.findall(r": the (?:(\w+) )?one at (\d+)", turn)]
        assert marked[CHOICE] == [word for pair in chosen for word in pair if word]
        what = [word for turn in turns for word in re.findall(r"(?:This|Here) is an? ([^.]+?)(?: at \d+)?\.", turn)]
        words = [word for words in what for word in words.split() if word not in ("object", "marked")]
        asked = {getattr(name, attribute) for name in told.own[0].names for attribute in NAMING}
        assert marked[SEEN] == [word for word in words if word in asked]
        assert marked[CONTRARY] == [word for word in words if word not in asked]
        assert marked[WHERE] == re.findall(r"(?:This|Here) is an? [^.]+ at (\d+)\.", " ".join(turns))
        assert spaces[SEEN] + spaces[CONTRARY] == sum(word.isdigit() for word in words)
        contrary |= bool(marked[CONTRARY])
        last = told.text[told.text.rindex("<think>") :]
        answer, options = re.findall(r"<answer>(\w+)", last)[0], told.own[-1].options
        if "best guess" in last or "Most likely" in last:  # what cannot be seen is not asked for
            assert told.own[-1].values == ((answer,) if options else ())
        elif told.own[-1].values:
            assert answer in told.own[-1].values
        said = re.sub(r"(This|Here) is an? [^.]*\.", "", last.replace(" is option ", " "))
        for value in told.own[-1].values:
            assert marked[VALUE].count(value) == len(re.findall(rf"\b{value}\b", said)) > 0
        values = re.findall(r" (\d)\b", re.sub(r" at \d+", "", said)) if told.own[-1].values else []
        assert spaces[VALUE] == sum(value in told.own[-1].values for value in values)
        digits[0] += spaces[VALUE]
        digits[2] += len(marked[WHERE])
        digits[1] += spaces[SEEN] + spaces[CONTRARY]
        assert not any(turn.values for turn in told.own[:-1])
        seen.add((len(told.own), bool(what)))
    assert contrary
    assert all(digits)
    assert seen >= {(1, True), (2, True), (3, True)}


def test_a_box_is_that_of_the_candidate_that_was_chosen(processor: Any) -> None:
    scribe, attributes = Scribe(processor.tokenizer), list(NAMING)
    coloured = set()
    for told in Episodes(processor, SCENE_PROFILE, 3, 24, {"adaptive": 1.0}).make(0):
        row = scribe.episode(told.text, told.grids, told.own)
        names = [
            name
            for name, number, label, turning in zip(row.names, row.numbers, row.labels, row.turning, strict=True)
            if number != NOTHING != label and turning != WHERE
        ]
        for number, turn in enumerate(turn for turn in told.own if turn.box is not None and not turn.astray):
            assert turn.sought
            codes = tuple(
                NOTHING if (value := getattr(turn.sought, attribute)) is None else NAMING[attribute].index(value)
                for attribute in attributes
            )
            assert names[5 * number : 5 * number + 5] == [(codes, codes)] * 5  # its left side and the box
            coloured.add(turn.names[0].colour is None)
    assert coloured == {True, False}


def test_while_a_place_is_told_the_object_is_named_that_begins_there(processor: Any) -> None:
    scribe, star, heart = Scribe(processor.tokenizer), Name("star", "red"), Name("heart", "blue")
    turn = "<think>This is a red star at 57. Here is a blue heart at 8.</think>"
    told = (Told(MOST + 3, star, coordinate(3, 0), told_place(3)), Told(4, heart))
    text = f"<|im_start|>assistant\n{turn}<|im_end|>\n"
    row = scribe.episode(text, (), (Own((1, 2), (star, heart), told),))
    words = [processor.tokenizer.decode([token]) for token in row.ids]
    star_codes = COLOURS.index("red"), SHAPES.index("star"), NOTHING
    heart_codes = COLOURS.index("blue"), SHAPES.index("heart"), NOTHING
    for number, side, codes, about in ((0, "57", star_codes, coordinate(3, 0)), (1, "8", heart_codes, 4)):
        place, here = words.index(side) - 1, told[number].here
        assert (row.numbers[place], row.turning[place]) == (int(side), WHERE)
        assert row.names[place - 2 : place + 2] == [(codes, codes)] * 4  # before “ at”, “ ”, the number and “.”
        assert row.about[place - 2 : place + 2] == [(here, about)] * 4
        assert row.names[place - 3] == row.names[place + 2] == (star_codes, heart_codes)
        assert row.about[place - 3] == (here, here)
        assert row.owner[place + 1] == told[number].said
    assert [owner for owner in row.owner if owner >= 0] == [told_place(3)]


def test_codes_of_objects_coordinates_places_and_options_are_apart() -> None:
    most = (MOST_ZOOMS + 2) * MOST
    assert most < coordinate(0, 0) < coordinate(most, 1) < told_place(0) < told_place(most) < CHOSEN


def test_the_letter_of_an_option_is_said_looking_at_its_line(processor: Any) -> None:
    scribe, decode = Scribe(processor.tokenizer), processor.tokenizer.decode
    episodes = Episodes(processor, SCENE_PROFILE, 3, 12, {"adaptive": 1.0})
    told = [(whole.text, whole.grids, whole.own) for whole in episodes.make(0)]
    drills = [(text, (), own) for text, own in episodes.drills(0, 160)]
    assert any(line[1] == line[4:] for _, _, own in drills for line in own[0].options)  # its own letter
    with_options = []
    for text, grids, own in [*told, *drills]:
        row, lines = scribe.episode(text, grids, own), own[-1].options
        ends = {owner - CHOSEN: place for place, owner in enumerate(row.owner) if owner >= CHOSEN}
        assert sorted(ends) == list(range(len(lines)))
        for number, line in enumerate(lines):
            assert decode(row.ids[: ends[number] + 1]).endswith(f"\n{line}")
        asked = [(place, code - CHOSEN) for place, (_, code) in enumerate(row.about) if code >= CHOSEN]
        for place, number in asked:
            value = lines[number][4:]
            assert decode(row.ids[: place + 2]).endswith(f" {value} is option {lines[number][1]}")
            assert decode([row.labels[place]]).strip() == lines[number][1]
        if grids:
            with_options.append(bool(lines))
            assert [lines[number][1] for _, number in asked] == re.findall(r"is option (\w)", text)
        else:
            assert sorted(number for _, number in asked) == list(range(len(lines)))
            assert len(lines) > 1
    assert set(with_options) == {True, False}


@pytest.mark.parametrize("manner", ["adaptive", "direct", "always"])
def test_what_is_said_to_be_there_is_there_and_boxes_are_those_of_what_is_looked_at(manner: Manner) -> None:
    seen, refused, astray = set(), 0, set()
    for number in range(180):
        kind = Kind.ABSENT if number % 5 == 4 else None
        question = scene_question(Split.TRAIN, number, kind)
        story = tell(question, 1536, SCENE_PROFILE, manner, Random(number))
        turns = [message.text for message in story.messages if isinstance(message, AIMessage)]
        overview = story.views[0].things()
        by_size = sorted(question.scene.objects, key=lambda thing: thing.size)
        targets = [by_size.index(question.scene.objects[target]) for target in question.targets]
        zoomed: list[int] = []
        clear: set[int] = set()
        stopped = SCENE_PROFILE.prompts.closing in story.messages[-2].text
        refused += stopped
        for nth, (text, turn) in enumerate(zip(turns, story.own, strict=True)):
            assert turn.names == question.names
            closest = (
                [(nth * MOST + zoomed[-1] if zoomed[-1] >= 0 else -1) if zoomed else -1 if turn.astray else turn.box]
                if turn.box is not None
                else [
                    (1 + zoomed.index(number)) * MOST + number
                    if number in zoomed and len(question.targets) == 1
                    else number
                    for number in targets
                ]
            )
            assert question.kind is Kind.ABSENT or turn.about == (closest[0], closest[-1])
            said = re.findall(r"(This|Here) is an? ([^.]+?)(?: at (\d+))?\.", text)
            for (where, what, side), told in zip(said, turn.told, strict=True):
                view, place = divmod(told.here, MOST)
                assert view == (nth if where == "This" else 0)
                assert holds(story.views[view].things()[place], story.views[view].shown)
                colour, shape, character = looks(overview[place])
                assert set(what.split()) <= {colour, shape, character, "object", "marked"}
                axis = 0 if "left" in question.text else 1
                assert bool(side) == bool(told.name) == (question.text.count(("left", "above")[axis]) > 0)
                assert not side or abs(int(side) - overview[place][axis]) <= 4.5
                if where == "This":
                    assert not side or (told.again, told.said) == (coordinate(place, axis), told_place(place))
                else:
                    written = (
                        told_place(place) if place in clear else coordinate(place, axis) if place in zoomed else -1
                    )
                    assert (told.again, told.said) == (written if side else -1, -1)
                if where == "This":
                    clear.add(place)
            assert text.startswith("<think>Nothing is here.") == (bool(zoomed) and zoomed[-1] < 0)
            if turn.box is not None and turn.box >= 0:
                [box] = boxes(text)
                x1, y1, x2, y2, *_ = overview[turn.box].tolist()
                assert box[0] - 1 <= x1 <= x2 <= box[2] + 1
                assert box[1] - 1 <= y1 <= y2 <= box[3] + 1
                if not stopped or nth + 2 < len(turns):
                    assert holds(story.views[nth + 1].things()[turn.box], story.views[nth + 1].shown)
                    zoomed.append(turn.box)
            elif turn.box is not None:
                (width, height), things = story.views[nth + 1].shown, story.views[nth + 1].things()
                parts = [x1 < width and x2 > 0 and y1 < height and y2 > 0 for x1, y1, x2, y2, *_ in things.tolist()]
                assert turn.astray
                assert not any(parts)
                zoomed.append(-1)
            assert (turn.box is None) == (nth + 1 == len(turns))
        for nth, turn in enumerate(story.own):
            assert not turn.astray or turn.box not in [other.box for other in story.own[nth + 1 :]]
        wrong = [turn.box for turn in story.own if turn.astray]
        right = [turn.box for turn in story.own if turn.box is not None and not turn.astray]
        assert len(set(right)) == len(right)
        assert len(wrong) <= 1
        assert not {*wrong} & {*targets}
        astray.update("nothing" if box < 0 else "again" if box in right else "other" for box in wrong)
        if kind is None and question.value in story.own[-1].values:
            last = [what for _, what, _ in said]
            assert last[-len(question.names) :] == [str(name) for name in question.names]
        seen.add((str(question.kind), len(turns)))
    most = {"adaptive": (1, 7), "direct": (1, 1), "always": (2, 7)}[manner]
    assert (min(turns for _, turns in seen), max(turns for _, turns in seen)) == most
    assert {kind for kind, _ in seen} == {"character", "colour", "relation", "absent"}
    assert bool(refused) == (manner != "direct")
    assert astray == (set() if manner == "direct" else {"nothing", "again", "other"})


def test_coordinates_that_are_said_again_are_looked_up_where_they_were_written(processor: Any) -> None:
    scribe, decode = Scribe(processor.tokenizer), processor.tokenizer.decode
    asked = {"box": 0, "seen": 0, "place": 0}
    for told in Episodes(processor, SCENE_PROFILE, 3, 40, {"adaptive": 1.0}).make(0):
        row = scribe.episode(told.text, told.grids, told.own)
        chosen = {coordinate(turn.box, 0) for turn in told.own if turn.sought and turn.box is not None}
        again = [said.again for turn in told.own for said in turn.told if said.again >= 0]
        wrong = [turn.box for turn in told.own if turn.astray]
        twice = {code for box in wrong for code in (coordinate(box, 0), coordinate(box, 1), told_place(box))}
        for code in chosen.union(again):
            written = [place for place, owner in enumerate(row.owner) if owner == code]
            said = [
                place for place, (_, second) in enumerate(row.about) if second == code and row.numbers[place] != NOTHING
            ]
            assert len(said) == (code in chosen) + again.count(code)
            assert len(written) - 1 - (code in chosen) in ({0, 1} if code in twice else {0})
            assert {row.labels[place] for place in said} == {row.ids[place] for place in written}
            assert written[0] < said[0]
            assert decode([row.ids[written[0]]]).isdigit()
            asked["box"] += code in chosen
            asked["seen"] += code in again and code < told_place(0)
            asked["place"] += code >= told_place(0)
    assert min(asked.values()) > 3


def test_strangers_are_not_those_of_the_test_split() -> None:
    words = {word for wording in HELD_OUT for word in re.findall(r"\w+", wording)}
    assert not words & set(THINGS)
    asked = {form.format(it=thing) for form in FORMS for thing in THINGS}
    assert not asked & HELD_OUT.keys()
    assert len(set(THINGS)) == len(THINGS)


def test_strangers_are_asked_about_also_in_the_words_of_scenes_and_have_no_answer(tmp_path: Path) -> None:
    texts = set()
    for number in range(60):
        question = ask_stranger(scene_question(Split.TRAIN, number, Kind.FOREIGN), Random(number))
        texts.add(question.text)
        assert not re.search(rf"\b({'|'.join(SHAPES)})\b", question.text.split("\n")[0])
        assert bool(question.options) == ("\n(A) " in question.text)
        story = tell(question, 448, SCENE_PROFILE, "adaptive", Random(number))
        assert f"<answer>{DECLINE}" in story.messages[-1].text
        assert len(story.views) == 1
    assert len(texts) > 50
    forms = re.compile("|".join(re.escape(form).replace(r"\{it\}", r"\w+") for form in FORMS))
    assert 0.3 < sum(bool(forms.match(text)) for text in texts) / len(texts) < 0.7
    unanswered = Episodes(
        load_processor(write_smallest(tmp_path / "smallest")), SCENE_PROFILE, 1, 60, {"always": 1.0}, 0.5
    )
    told = [whole for whole in unanswered.make(0) if f"<answer>{DECLINE}" in whole.text]
    assert {len(whole.pixels) for whole in told} >= {2}
    assert {bool(whole.own[0].names) for whole in told} == {True, False}
    nouns = re.compile(rf"\b({'|'.join(THINGS)})\b")
    assert sum(bool(nouns.search(whole.text)) for whole in told) > len(told) / 8
    assert len({"\n" in text for text in texts}) == 2


def test_batches_are_a_function_of_their_step(processor: Any) -> None:
    one, other = (Episodes(processor, SCENE_PROFILE, 1, 3, {"adaptive": 1.0, "always": 1.0}) for _ in range(2))
    first, second, again = one.make(0), one.make(1), other.make(1)
    assert [told.text for told in second] == [told.text for told in again]
    assert all(
        np.array_equal(image, same)
        for told, repeated in zip(second, again, strict=True)
        for image, same in zip(told.pixels, repeated.pixels, strict=True)
    )
    assert {told.text for told in first}.isdisjoint(told.text for told in second)


def test_the_wording_alone_is_that_of_other_conversations(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_ASTRAY", 0.0)  # of a mistake less is learnt
    scribe, episodes = Scribe(processor.tokenizer), Episodes(processor, SCENE_PROFILE, 1, 1, {"always": 1.0})
    [whole] = episodes.make(0)
    texts = episodes.texts(0, 3)
    for text, own in texts:
        assert text.startswith("<|im_start|>user\n")
        assert text.count("<|im_start|>assistant\n") == len(own) > 1
        assert "<|vision_start|>" not in text
        written = scribe.episode(text, (), own)
        assert sum(number != NOTHING for number in written.numbers) == len(coordinates(text.split("assistant", 1)[1]))
        assert re.match(r"<\|im_start\|>user\n((\w+ )?\w+ (marked \w )?at \d+(, |\. ))+[A-Z]", text)
    assert len({text for text, _ in texts} - {whole.text}) == 3


@pytest.mark.parametrize("one_colour", [False, True])
def test_a_tour_looks_at_all_of_a_list_once(one_colour: bool, processor: Any) -> None:
    scribe = Scribe(processor.tokenizer)
    tours = Episodes(processor, SCENE_PROFILE, 3, 1, {"adaptive": 1.0}).tours(0, 80)[one_colour::2]
    counts, in_order = set(), 0
    for text, own in tours:
        shown, said = text.split("assistant\n")
        ones = re.findall(r"(\w+) one at (\d+)", shown)
        assert len(set(ones)) == len(ones)
        chosen = re.findall(r"the (?:(\w+) )?one at (\d+)\.", said)
        if one_colour:
            [paint] = re.findall(rf"I look for the ({'|'.join(COLOURS)}) ", said)
            wanted = [("", left) for colour, left in ones if colour == paint]
            others = [colour for colour, _ in ones if colour != paint]
            assert len(set(others)) == len(others) >= 2
        else:
            wanted = ones
            assert len({colour for colour, _ in ones}) == len(ones)
        assert sorted(chosen) == sorted(wanted)
        counts.add(len(chosen))
        in_order += chosen == wanted
        row = scribe.episode(text, (), own)
        marked = [label for label, turning in zip(row.labels, row.turning, strict=True) if turning == CHOICE]
        assert [scribe.text([label]) for label in marked] == [word for pair in chosen for word in pair if word]
        assert [number for number in row.numbers if number != NOTHING] == [int(left) for _, left in chosen]
    assert counts == (set(range(2, 7)) if one_colour else set(range(3, len(COLOURS) + 1)))
    assert in_order < 20


def test_words_for_a_view_tell_what_it_shows() -> None:
    scene = Scene(
        1,
        1.0,
        1.0,
        Background.plain((90, 90, 90)),
        (
            SceneObject("star", "red", "A", 0.1, 0.1, 0.2),
            SceneObject("heart", "blue", "E", 0.5, 0.5, 12 / 224),
            SceneObject("cross", "green", "C", 0.9, 0.2, 6 / 224),
            SceneObject("cross", "green", "C", 0.2, 0.9, 1 / 224),
        ),
    )
    whole, near = Framing(scene, (0, 0, 1, 1), (224, 224)), Framing(scene, (0.8, 0.1, 1, 0.3), (224, 224), 6 / 30)
    told = in_words(whole, (41, 199, 106, 3), Random(0))
    assert sorted(told.removesuffix(". ").split(", ")) == [
        "blue heart at 106",
        "green one at 199",
        "one at 41",
        "red star marked A at 3",
    ]
    assert len({in_words(whole, (41, 199, 106, 3), Random(seed)) for seed in range(400)}) == 24
    assert in_words(near, (), Random(0)) == "green cross. "  # 6 pixels that count: a shape, but no character


def holds(thing: NDArray[np.float32], shown: tuple[int, int]) -> bool:
    """Whether a view of `shown` pixels holds a thing whole."""
    x1, y1, x2, y2, *_ = thing.tolist()
    return bool(x1 >= -1 and y1 >= -1 and x2 <= shown[0] + 1 and y2 <= shown[1] + 1)


def looks(thing: NDArray[np.float32]) -> tuple[str, str, str]:
    colour, shape, character = thing[4:7].astype(int).tolist()
    return COLOURS[colour], SHAPES[shape], CHARACTERS[character]


def coordinates(text: str) -> list[int]:
    """All coordinates in a text, in their order."""
    found = re.findall(r" at (\d+)\.|\[(\d+), (\d+), (\d+), (\d+)\]", text)
    return [int(number) for numbers in found for number in numbers if number]


def boxes(text: str) -> list[list[int]]:
    found = re.findall(r'"bbox_2d": \[(\d+), (\d+), (\d+), (\d+)\]', text)
    return [[int(number) for number in numbers] for numbers in found]


def images(message: BaseMessage) -> list[Image.Image]:
    blocks = [block for block in message.content if isinstance(block, dict) and block["type"] == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB") for block in blocks]


def kinds(message: BaseMessage) -> list[str]:
    blocks = [message.content] if isinstance(message.content, str) else message.content
    return ["text" if isinstance(block, str) else block["type"] for block in blocks]
