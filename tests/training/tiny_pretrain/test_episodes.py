"""Conversations that are composed are those that the loop would hold."""

from __future__ import annotations

import base64
import io
import re
from random import Random
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from PIL import Image
from pydantic import Field

from cof_agent import ChainOfFocus
from cof_agent.policies import Policy
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.profile import DECLINE
from cof_agent.scenes import Split
from cof_agent.scenes.observer import ObserverModel, Task
from cof_agent.scenes.question import Kind, SceneQuestion, scene_question
from cof_agent.scenes.reach import SCENE_PROFILE
from cof_agent.scenes.render import render
from cof_agent.scenes.scene import COLOURS, MOST, SHAPES
from tests.training.tiny_pretrain.seeds import write_smallest
from training.tiny_pretrain.episodes import Episodes, Manner, tell
from training.tiny_pretrain.transcript import CHOSEN, Scribe
from training.tiny_pretrain.truth import NOTHING


class Listening(ObserverModel):
    """An observer that keeps what it was sent last."""

    sent: list[BaseMessage] = Field(default_factory=list)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.sent = messages
        return super()._generate(messages, *args, **kwargs)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_processor(write_smallest(tmp_path_factory.mktemp("seeds") / "smallest"))


@pytest.mark.parametrize(
    ("number", "long_side"), [(0, 448), (1, 448), (3, 1024), (4, 224), (12, 1536), (15, 672), (20, 1536)]
)
@pytest.mark.parametrize("kind", [None, Kind.ABSENT, Kind.FOREIGN])
def test_a_composed_conversation_is_the_one_that_the_loop_holds(number: int, long_side: int, kind: Kind | None) -> None:
    question = scene_question(Split.TRAIN, number, kind)
    story = tell(question, long_side, SCENE_PROFILE, "adaptive", Random(0))
    size = question.scene.size(long_side)
    observer = Listening(task=Task.of(question, size), shown_by=SCENE_PROFILE)
    result = ChainOfFocus(Policy(observer, SCENE_PROFILE, "observer")).ask(render(question.scene, size), question.text)
    assert len(result.trajectory.views) == len(story.views)
    *told, last = story.messages
    assert isinstance(last, AIMessage)
    assert [message.type for message in told] == [message.type for message in observer.sent]
    asked = []  # the observer looks at two from left to right
    pixels = [image for message in observer.sent for image in images(message)]
    for ours, theirs in zip(told, observer.sent, strict=True):
        if isinstance(ours, AIMessage):
            asked.append((boxes(ours.text), boxes(theirs.text)))
            continue
        assert ours.text == theirs.text
        assert kinds(ours) == kinds(theirs)
    one, other = zip(*asked, strict=True) if asked else ((), ())
    assert sorted(one) == sorted(other)
    if one != other:
        pixels = [pixels[0], *pixels[:0:-1]]
    for view, image in zip(story.views, pixels, strict=True):
        assert view.shown == image.size
        away = np.asarray(view.picture(), float) - np.asarray(image, float)
        assert np.abs(away).mean() < 6  # of 255: one is resampled once more


@pytest.mark.parametrize("manner", ["adaptive", "direct", "always"])
def test_what_is_learnt_is_the_policys_own_turns(manner: Manner, processor: Any) -> None:
    scribe, tokenizer = Scribe(processor.tokenizer), processor.tokenizer
    episodes = Episodes(processor, SCENE_PROFILE, 3, 6, {manner: 1.0})
    zooms = []
    for told in episodes.make(0):
        written = scribe.episode(told.text, told.grids, told.own)
        own = [label for label in written.labels if label != NOTHING]
        turns = re.findall(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", told.text, re.DOTALL)
        assert tokenizer.decode(own) == "".join(turns)
        numbers = [number for number in written.numbers if number != NOTHING]
        assert numbers == [coordinate for turn in turns for box in boxes(turn) for coordinate in box]
        assert written.ids.count(scribe.placeholder) == sum(columns * rows for columns, rows in told.grids)
        zooms.append(len(told.pixels) - 1)
        looked_at = {pair for pair, label in zip(written.about, written.labels, strict=True) if label != NOTHING}
        looked_at -= {(-1, CHOSEN + number) for number in range(4)}
        assert looked_at == {turn.about for turn in told.own}
    assert {"adaptive": min(zooms) == 0 < max(zooms), "direct": max(zooms) == 0, "always": min(zooms) == 1}[manner]


def test_a_conversation_turns_on_its_values_and_on_how_turns_begin(processor: Any) -> None:
    scribe, tokenizer = Scribe(processor.tokenizer), processor.tokenizer
    seen = set()
    for told in Episodes(processor, SCENE_PROFILE, 3, 12, {"adaptive": 1.0}).make(0):
        written = scribe.episode(told.text, told.grids, told.own)
        pairs = zip(written.labels, written.turning, strict=True)
        marked = [tokenizer.decode([label]) if turns else "|" for label, turns in pairs if label != NOTHING]
        opening, *rest = re.split(r"\|+", "".join(marked).strip("|"))
        turns = re.findall(r"assistant\n<think>(.*?)</think>", told.text, re.DOTALL)
        assert turns[0].startswith(opening)
        assert len(opening) >= 3
        last = told.text[told.text.rindex("<think>") :]
        answer, options = re.findall(r"<answer>(\w+)", last)[0], told.own[-1].options
        if "best guess" in last or "Most likely" in last:  # what cannot be seen is not asked for
            assert told.own[-1].values == ((answer,) if options else ())
        else:
            assert answer in told.own[-1].values
        said = last.replace(" is option ", " ")
        for value in told.own[-1].values:
            assert sum(word.strip() == value for word in rest) == len(re.findall(rf"\b{value}\b", said)) > 0
        assert not any(turn.values for turn in told.own[:-1])
        seen.add(len(told.own))
    assert seen >= {1, 2}


def test_the_letter_of_an_option_is_said_looking_at_its_line(processor: Any) -> None:
    scribe, decode = Scribe(processor.tokenizer), processor.tokenizer.decode
    episodes = Episodes(processor, SCENE_PROFILE, 3, 12, {"adaptive": 1.0})
    told = [(whole.text, whole.grids, whole.own) for whole in episodes.make(0)]
    drills = [(text, (), own) for text, own in episodes.drills(0, 160)]
    assert any(line[1] == line[4:] for _, _, own in drills for line in own[0].options)  # its own letter
    with_options = []
    for text, grids, own in [*told, *drills]:
        written, lines = scribe.episode(text, grids, own), own[-1].options
        ends = {owner - CHOSEN: place for place, owner in enumerate(written.owner) if owner != -1}
        assert sorted(ends) == list(range(len(lines)))
        for number, line in enumerate(lines):
            assert decode(written.ids[: ends[number] + 1]).endswith(f"\n{line}")
        asked = [(place, code - CHOSEN) for place, (_, code) in enumerate(written.about) if code >= CHOSEN]
        for place, number in asked:
            value = lines[number][4:]
            assert decode(written.ids[: place + 2]).endswith(f" {value} is option {lines[number][1]}")
            assert decode([written.labels[place]]).strip() == lines[number][1]
        if grids:
            with_options.append(bool(lines))
            assert [lines[number][1] for _, number in asked] == re.findall(r"is option (\w)", text)
        else:
            assert sorted(number for _, number in asked) == list(range(len(lines)))
            assert len(lines) > 1
    assert set(with_options) == {True, False}


def test_turns_are_about_the_objects_that_are_asked_for() -> None:
    seen = set()
    for number in range(40):
        question = scene_question(Split.TRAIN, number)
        story = tell(question, 1536, SCENE_PROFILE, "adaptive", Random(number))
        for turn, view in zip(story.own, [0] * (len(story.own) - 1) + [None], strict=True):  # type: ignore[list-item]
            for code in turn.about:
                shown, place = divmod(code, MOST)
                assert view is None or shown == view  # zooms are chosen in the overview
                thing = story.views[shown].things()[place]
                assert (COLOURS[int(thing[4])], SHAPES[int(thing[5])]) in looks(question)
                assert turn.named_by == tuple(question.names[0].attributes)
        closest = {code // MOST for code in story.own[-1].about}
        seen.add((question.kind, len(story.views), len(closest)))
    for kind in (Kind.ABSENT, Kind.FOREIGN):
        for manner, turns in (("adaptive", 1), ("always", 2)):
            story = tell(scene_question(Split.TRAIN, 0, kind), 448, SCENE_PROFILE, manner, Random(0))  # type: ignore[arg-type]
            assert f"<answer>{DECLINE}" in story.messages[-1].text
            assert [turn.about for turn in story.own] == [(-1, -1)] * turns
    assert {(kind, views) for kind, views, _ in seen} >= {("relation", 3), ("character", 2), ("colour", 1)}


def test_batches_are_a_function_of_their_step(processor: Any) -> None:
    one, other = (Episodes(processor, SCENE_PROFILE, 1, 3, {"adaptive": 1.0, "always": 1.0}) for _ in range(2))
    try:
        first, second = one.batch(0), one.batch(1)
        again = other.batch(1)
    finally:
        one.close()
        other.close()
    assert [told.text for told in second] == [told.text for told in again]
    assert all(
        np.array_equal(image, same)
        for told, repeated in zip(second, again, strict=True)
        for image, same in zip(told.pixels, repeated.pixels, strict=True)
    )
    assert {told.text for told in first}.isdisjoint(told.text for told in second)


def test_the_wording_alone_is_that_of_other_conversations(processor: Any) -> None:
    scribe, episodes = Scribe(processor.tokenizer), Episodes(processor, SCENE_PROFILE, 1, 1, {"always": 1.0})
    [whole] = episodes.make(0)
    texts = episodes.texts(0, 3)
    for text, own in texts:
        assert text.startswith("<|im_start|>user\n")
        assert text.count("<|im_start|>assistant\n") == len(own) > 1
        assert "<|vision_start|>" not in text
        written = scribe.episode(text, (), own)
        assert sum(number != NOTHING for number in written.numbers) == 4 * (len(own) - 1)
    assert len({text for text, _ in texts} - {whole.text}) == 3


def looks(question: SceneQuestion) -> set[tuple[str, str]]:
    objects = [question.scene.objects[target] for target in question.targets]
    return {(thing.colour, thing.shape) for thing in objects}


def boxes(text: str) -> list[list[int]]:
    found = re.findall(r'"bbox_2d": \[(\d+), (\d+), (\d+), (\d+)\]', text)
    return [[int(number) for number in numbers] for numbers in found]


def images(message: BaseMessage) -> list[Image.Image]:
    blocks = [block for block in message.content if isinstance(block, dict) and block["type"] == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB") for block in blocks]


def kinds(message: BaseMessage) -> list[str]:
    blocks = [message.content] if isinstance(message.content, str) else message.content
    return ["text" if isinstance(block, str) else block["type"] for block in blocks]
