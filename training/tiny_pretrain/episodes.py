"""Batches of whole conversations about scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from numpy.typing import NDArray

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.scenes.absent import legible
from cof_agent.scenes.palette import between, pick, shuffled
from cof_agent.scenes.question import Kind, SceneQuestion, ask, scene_question
from cof_agent.scenes.saying import answering
from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES, Scene
from cof_agent.scenes.split import Split
from cof_agent.scenes.wording import Name, ask_character, ask_colour
from training.tiny_pretrain.framing import TOKEN, Framing
from training.tiny_pretrain.heads import STRIP
from training.tiny_pretrain.marks import Own
from training.tiny_pretrain.own_looks import OwnLooks
from training.tiny_pretrain.search import CLEAR, MOST_ZOOMS
from training.tiny_pretrain.strangers import ask_stranger
from training.tiny_pretrain.telling import Manner, Story, option_lines, tell
from training.tiny_pretrain.transcript import IMAGE
from training.tiny_pretrain.truth import NUMBERS, READ_FROM

LONG_SIDES = (224, 336, 448, 672, 1024, 1536, 2240, 3840)
"""Longer sides of the sources, in pixels: those of the evaluation."""
_VISIBLE = 1.5
"""Side in pixels of the overview under which an object is too faint to be pointed at: few such are asked for."""
_FAINT = 0.25
"""Share of the questions about fainter ones that is kept."""
_ASKED = (Kind.CHARACTER, Kind.COLOUR, Kind.RELATION)
"""Each alike; `scenes` asks for a relation half of the time."""
_OTHERS = 500_000
"""Texts are those of so many steps later."""
_SIFTED = 6
"""Of so many times as many conversations half of a batch is chosen: that what has been looked at is passed over is
learnt where there are several looks."""
_ON = 0.5
"""Share of the conversations that go on from a policy's own looks, where there are such."""
_STRANGE = 0.7
"""Share of the questions about what no scene shows that are not of `scenes`."""
_SHOWN = f"<|vision_start|>{IMAGE}<|vision_end|>"


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation and what its images show."""

    text: str
    """In the checkpoint's own template, with one placeholder for each image."""
    own: tuple[Own, ...]
    """The policy's turns."""
    pixels: tuple[NDArray[np.uint8], ...]
    """The images, (height, width, 3) each: the overview, then the regions."""
    things: tuple[NDArray[np.float32], ...]
    """Of each image, (objects, `FIELDS`)."""

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Columns and rows of visual tokens of the images."""
        return tuple((image.shape[1] // TOKEN, image.shape[0] // TOKEN) for image in self.pixels)


@dataclass
class Episodes:
    """Batches of conversations: the same at the same step, also after a new start."""

    processor: Any
    profile: Profile
    seed: int
    count: int
    """Conversations of a batch."""
    manners: Mapping[Manner, float]
    """Shares of the manners."""
    unanswerable: float = 0.0
    """Share of the questions that have no answer."""
    split: Split = Split.TRAIN
    looks: Sequence[OwnLooks] = ()
    """From where half of the conversations go on, if there are any: after some of the looks."""

    def make(self, step: int) -> list[Episode]:
        """The conversations of a step."""
        return [self.written(story) for story in self._stories(step, self.count)]

    def texts(self, step: int, count: int) -> list[tuple[str, tuple[Own, ...]]]:
        """What is said in `count` other conversations, without system turn and with words for images, and the policy's
        own turns."""
        told = []
        for number, story in enumerate(self._stories(step + _OTHERS, count)):
            chance = Random(f"sights {self.seed} {step} {number}")
            opening, *parts = self._text(story.messages[1:]).split(_SHOWN)
            sights = [in_words(view, () if nth else story.lefts, chance) for nth, view in enumerate(story.views)]
            told.append((opening + "".join(a + b for a, b in zip(sights, parts, strict=True)), story.own))
        return told

    def drills(self, step: int, count: int) -> list[tuple[str, tuple[Own, ...]]]:
        """`count` questions with options, each with a turn that tells the letters of all of them, in any order."""
        chance, told, number = Random(f"drills {self.seed} {step}"), [], (self.seed * 10**6 + step) * 8 * count
        while len(told) < count:
            question = scene_question(self.split, number, pick(chance, _ASKED))
            number += 1
            if lines := option_lines(question):
                value = question.value
                turn = answering(question.kind, question.names, value, value, True, True, chance)
                said = [f" {line[4:]} is option {line[1]}." for line in shuffled(lines, chance)]
                messages = [
                    HumanMessage(question.text),
                    AIMessage(turn.replace("</think>", "".join(said) + "</think>")),
                ]
                told.append((self._text(messages), (Own((-1, -1), (), options=lines),)))
        return told

    def tours(self, step: int, count: int) -> list[tuple[str, tuple[Own, ...]]]:
        """`count` texts that look at all of a list, in any order: at one of each colour, or at all of one colour."""
        chance, told = Random(f"tours {self.seed} {step}"), []
        for number in range(count):
            colours = shuffled(COLOURS, chance)[: int(between(chance, 3, len(COLOURS) + 1))]
            if number % 2:  # the first colour several times
                colours = [colours[0]] * int(between(chance, 2, 7)) + colours[1:]
            ones = [
                (colour, f"one at {left}") for colour, left in zip(colours, _apart(len(colours), chance), strict=True)
            ]
            if number % 2:
                name = Name(shape=pick(chance, SHAPES), colour=colours[0])
                asked, looked = ask_character(name, chance), [which for colour, which in ones if colour == colours[0]]
            else:
                name = Name(shape=pick(chance, SHAPES))
                asked, looked = ask_colour(name, chance), [" ".join(one) for one in ones]
            thought = " I look on: the ".join(f"{which}." for which in looked)
            seen = ", ".join(" ".join(one) for one in shuffled(ones, chance))
            thought = f"<think>I look for the {name}: the {thought}</think>"
            told.append((self._text([HumanMessage(f"{seen}. {asked}"), AIMessage(thought)]), (Own((-1, -1), (name,)),)))
        return told

    def _stories(self, step: int, count: int) -> list[Story]:
        """Half of them are those of many that look most often."""
        usual = count // 2
        stories = list(self._all_stories(step, usual + _SIFTED * (count - usual)))
        sifted = sorted(stories[usual:], key=lambda story: -sum(not turn.astray for turn in story.own))
        return stories[:usual] + sifted[: count - usual]

    def _all_stories(self, step: int, count: int) -> Iterator[Story]:
        number, made = (self.seed * 10**6 + step) * 4 * count, 0
        while made < count:
            chance = Random(f"episode {self.seed} {number}")
            if self.looks and chance.random() < _ON:
                yield self._on(pick(chance, self.looks), chance)
                made, number = made + 1, number + 1
                continue
            question, long_side = self._question(number, chance), pick(chance, LONG_SIDES)
            number += 1
            if min(_sides(question), default=_VISIBLE) >= _VISIBLE or chance.random() < _FAINT:
                [manner] = chance.choices(list(self.manners), list(self.manners.values()))
                yield tell(question, long_side, self.profile, manner, chance)
                made += 1

    def _on(self, looks: OwnLooks, chance: Random) -> Story:
        """A conversation that goes on from looks, at most as many as leave one."""
        before = looks.boxes[: int(between(chance, 1, min(len(looks.boxes), MOST_ZOOMS) + 1))]
        return tell(looks.question, looks.long_side, self.profile, "adaptive", chance, before)

    def _question(self, number: int, chance: Random) -> SceneQuestion:
        """Question `number`: as many as have no answer have one and are about scenes like those of absent objects."""
        drawn = chance.random()
        if drawn < self.unanswerable:
            kind = pick(chance, (Kind.ABSENT, Kind.FOREIGN))
            question = scene_question(self.split, number, kind)
            return ask_stranger(question, chance) if kind is Kind.FOREIGN and chance.random() < _STRANGE else question
        if drawn >= 2 * self.unanswerable:
            return scene_question(self.split, number, pick(chance, _ASKED))
        scene = legible(Scene.from_seed(self.split.seed(number)))
        try:
            return ask(scene, pick(chance, (Kind.CHARACTER, Kind.COLOUR, Kind.RELATION)))
        except ConfigError:  # no two lie apart
            return ask(scene, Kind.CHARACTER)

    def written(self, story: Story) -> Episode:
        """The conversation as text and pixels."""
        text = self._text(story.messages)
        pixels = tuple(np.asarray(view.picture()) for view in story.views)
        return Episode(text, story.own, pixels, tuple(view.things() for view in story.views))

    def _text(self, messages: Sequence[BaseMessage]) -> str:
        turns = [{"role": _ROLES[message.type], "content": message.content} for message in messages]
        return str(self.processor.apply_chat_template(turns, tokenize=False))


def _apart(count: int, chance: Random) -> list[int]:
    """So many left sides in any order, each in a strip of its own."""
    free = chance.sample(range(NUMBERS - (count - 1) * (STRIP - 1)), count)
    return shuffled([left + place * (STRIP - 1) for place, left in enumerate(sorted(free))], chance)


def in_words(view: Framing, lefts: Sequence[int], chance: Random) -> str:
    """What a view shows, in any order: of each object what can be told of it and, in an overview, where it begins:
    `lefts`, in the order of the view's things, are empty for a zoom."""
    (width, height), limits, told = view.shown, CLEAR if lefts else READ_FROM, []
    for number, (x1, y1, x2, y2, colour, shape, character, side) in enumerate(view.things().tolist()):
        if side > 0 and 0 <= (x1 + x2) / 2 < width and 0 <= (y1 + y2) / 2 < height:
            noun = SHAPES[int(shape)] if side >= limits["shape"] else "one"
            mark = f" marked {CHARACTERS[int(character)]}" if side >= limits["character"] else ""
            where = f" at {lefts[number]}" if lefts else ""
            paint = f"{COLOURS[int(colour)]} " if side >= limits["colour"] else ""
            told.append(f"{paint}{noun}{mark}{where}")
    return ", ".join(shuffled(told, chance)) + ". "


_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def _sides(question: SceneQuestion) -> list[float]:
    """Sides of what is asked about in pixels of an overview of 224² pixels."""
    scene = question.scene
    shorter = 224 * (min(scene.width, scene.height) / max(scene.width, scene.height)) ** 0.5
    return [scene.objects[target].size * shorter / min(scene.width, scene.height) for target in question.targets]
