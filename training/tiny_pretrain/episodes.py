"""Whole conversations about scenes with the turns of the ideal observer, composed from geometry: no loop is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias

import numpy as np
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from numpy.typing import NDArray

from cof_agent.dialects.cof import DIALECT
from cof_agent.errors import ConfigError
from cof_agent.geometry import Corners, Size
from cof_agent.profile import DECLINE, Profile
from cof_agent.scenes.absent import legible
from cof_agent.scenes.legibility import needed
from cof_agent.scenes.observer import reason_to_look
from cof_agent.scenes.palette import pick, shuffled
from cof_agent.scenes.question import Kind, SceneQuestion, ask, scene_question
from cof_agent.scenes.reach import Outlook, Region
from cof_agent.scenes.render import WHOLE
from cof_agent.scenes.saying import answering, refusing, zooming
from cof_agent.scenes.scene import MOST, Scene
from cof_agent.scenes.split import Split
from cof_agent.scenes.wording import LETTERS
from training.tiny_pretrain.framing import TOKEN, Framing
from training.tiny_pretrain.transcript import IMAGE, Own

Manner: TypeAlias = Literal["adaptive", "direct", "always"]
"""When it zooms: where it must, never, or once at least."""

LONG_SIDES = (224, 336, 448, 672, 1024, 1536, 2240, 3840)
"""Longer sides of the sources, in pixels: those of the evaluation."""
WAIT = 600.0
"""Seconds that a batch may take."""
_VISIBLE = 1.5
"""Side in pixels of the overview under which an object is too faint to be pointed at: few such are asked for."""
_FAINT = 0.25
"""Share of the questions about fainter ones that is kept."""
_ASKED = (Kind.CHARACTER, Kind.CHARACTER, Kind.RELATION, Kind.RELATION, Kind.COLOUR)
"""Characters, of which there are many, are asked for more often than `scenes` does."""
_AHEAD = 3
_OTHERS = 500_000
"""Texts are those of so many steps later."""
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


@dataclass(frozen=True, slots=True)
class Story:
    """What an episode is made of."""

    messages: list[BaseMessage]
    """As the policy is sent them, and its own."""
    own: tuple[Own, ...]
    views: tuple[Framing, ...]


def tell(question: SceneQuestion, long_side: int, profile: Profile, manner: Manner, chance: Random) -> Story:
    """The conversation about `question` whose source has a longer side of `long_side` pixels.

    It is the observer's but for one thing: of two objects that are looked at one after the other the first is the one
    that is named first, as who has only the question and the pixels can know.
    """
    source = question.scene.size(long_side)
    outlook, places = Outlook(source, profile), question.boxes
    plan = outlook.plan(places, needed(question))
    zooms = () if manner == "direct" else plan.zooms
    if manner == "always" and not zooms:
        zooms = (outlook.zoom(places[:1] or (WHOLE,)),)
    views = (_whole(question, outlook), *(_region(question, zoom, source) for zoom in zooms))
    numbers, by = _numbers(question), question.names[0].attributes if question.targets else ()
    turns, own = [], []
    for asked, zoom in enumerate(zooms):
        reason = reason_to_look(places, zoom, asked, outlook) if plan.zooms else "told"
        turns.append(zooming(zoom.corners, question.names, reason, chance))
        boxes = zip(numbers, question.boxes, strict=True)
        seen = [number for number, box in boxes if _holds(zoom, box, source)] or numbers or [-1]
        own.append(Own((seen[0], seen[-1]), tuple(by), True))
    values: tuple[str, ...] = (DECLINE.split()[0],)
    if question.kind.answerable:
        sure = plan.reaches and (manner != "direct" or not plan.zooms)
        said = question.kind, question.names, question.value, question.answer
        turns.append(answering(*said, sure, bool(zooms), chance))
        letter = (question.answer,) if question.options else ()
        values = (question.value, *letter) if sure else letter
    else:
        turns.append(refusing(question.names, bool(zooms), chance))
    best = [_closest(number, views) for number in numbers] or [-1]
    own.append(Own((best[0], best[-1]), tuple(by), False, values, _lines(question)))
    return Story(_messages(question.text, turns, profile, tools=manner != "direct"), tuple(own), views)


def _lines(question: SceneQuestion) -> tuple[str, ...]:
    """The lines of the options, where one of them is right."""
    pairs = zip(LETTERS, question.options if question.kind.answerable else (), strict=False)
    return tuple(f"({letter}) {option}" for letter, option in pairs)


def _messages(text: str, turns: Sequence[str], profile: Profile, tools: bool) -> list[BaseMessage]:
    image = {"type": "image", "url": "shown"}
    said: list[AnyMessage] = [HumanMessage([image, {"type": "text", "text": text}])]
    for number, turn in enumerate(turns):
        said.append(AIMessage(turn))
        if number + 1 < len(turns):
            said.append(ToolMessage([image], tool_call_id=str(number)))
    return DIALECT.render(said, profile, tools=tools)


def _numbers(question: SceneQuestion) -> list[int]:
    """The places of what is asked about in the overview's list of things, in the order of the names."""
    objects = question.scene.objects
    order = sorted(range(len(objects)), key=lambda index: objects[index].size)
    return [order.index(target) for target in question.targets]


def _holds(zoom: Region, place: Corners, source: Size) -> bool:
    """Whether the middle of `place` (fractions of the sides) lies in what the zoom shows."""
    x, y = (place[0] + place[2]) / 2 * source[0], (place[1] + place[3]) / 2 * source[1]
    return zoom.box.x1 <= x <= zoom.box.x2 and zoom.box.y1 <= y <= zoom.box.y2


def _closest(number: int, views: Sequence[Framing]) -> int:
    """Object `number` in the view that shows most of its detail, as in a `Batch`."""
    sides = []
    for view in views:
        x1, y1, x2, y2, *_, side = view.things()[number].tolist()
        whole = x1 > -1 and y1 > -1 and x2 < view.shown[0] + 1 and y2 < view.shown[1] + 1
        sides.append(side if whole else 0.0)
    return int(np.argmax(sides)) * MOST + number


def _whole(question: SceneQuestion, outlook: Outlook) -> Framing:
    shown = outlook.overview
    return Framing(question.scene, WHOLE, shown, min(1.0, outlook.source[0] / shown[0]))


def _region(question: SceneQuestion, zoom: Region, source: Size) -> Framing:
    box, (width, height) = zoom.box, source
    frame = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    return Framing(question.scene, frame, zoom.shown, min(1.0, box.width / zoom.shown[0]))


@dataclass
class Episodes:
    """Batches of conversations, made ahead in another thread: the same at the same step, also after a new start."""

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
    _made: dict[int, Future[list[Episode]]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None

    def batch(self, step: int) -> list[Episode]:
        """The conversations of a step. Raises TimeoutError after `WAIT` seconds."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "tiny-episodes")
        for number in range(step, step + _AHEAD):
            if number not in self._made:
                self._made[number] = self._pool.submit(self.make, number)
        return self._made.pop(step).result(WAIT)

    def make(self, step: int) -> list[Episode]:
        """As `batch`, at once."""
        return [self.written(story) for story in self._stories(step, self.count)]

    def texts(self, step: int, count: int) -> list[tuple[str, tuple[Own, ...]]]:
        """What is said in `count` other conversations, without system turn and images, and the policy's own turns."""
        stories = self._stories(step + _OTHERS, count)
        return [(self._text(story.messages[1:]).replace(_SHOWN, ""), story.own) for story in stories]

    def drills(self, step: int, count: int) -> list[tuple[str, tuple[Own, ...]]]:
        """`count` questions with options, each with a turn that tells the letters of all of them, in any order."""
        chance, told, number = Random(f"drills {self.seed} {step}"), [], (self.seed * 10**6 + step) * 8 * count
        while len(told) < count:
            question = scene_question(self.split, number, pick(chance, _ASKED))
            number += 1
            if lines := _lines(question):
                value = question.value
                turn = answering(question.kind, question.names, value, value, True, True, chance)
                said = [f" {line[4:]} is option {line[1]}." for line in shuffled(lines, chance)]
                messages = [
                    HumanMessage(question.text),
                    AIMessage(turn.replace("</think>", "".join(said) + "</think>")),
                ]
                told.append((self._text(messages), (Own((-1, -1), (), False, options=lines),)))
        return told

    def _stories(self, step: int, count: int) -> Iterator[Story]:
        number, made = (self.seed * 10**6 + step) * 4 * count, 0
        while made < count:
            chance = Random(f"episode {self.seed} {number}")
            question, long_side = self._question(number, chance), pick(chance, LONG_SIDES)
            number += 1
            if min(_sides(question), default=_VISIBLE) >= _VISIBLE or chance.random() < _FAINT:
                [manner] = chance.choices(list(self.manners), list(self.manners.values()))
                yield tell(question, long_side, self.profile, manner, chance)
                made += 1

    def _question(self, number: int, chance: Random) -> SceneQuestion:
        """Question `number`: as many as have no answer have one and are about scenes like those of absent objects."""
        drawn = chance.random()
        if drawn < self.unanswerable:
            return scene_question(self.split, number, pick(chance, (Kind.ABSENT, Kind.FOREIGN)))
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

    def close(self) -> None:
        """End the thread."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._made.clear()


_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def _sides(question: SceneQuestion) -> list[float]:
    """Sides of what is asked about in pixels of an overview of 224² pixels."""
    scene = question.scene
    shorter = 224 * (min(scene.width, scene.height) / max(scene.width, scene.height)) ** 0.5
    return [scene.objects[target].size * shorter / min(scene.width, scene.height) for target in question.targets]
