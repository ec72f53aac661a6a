"""Whole conversations about scenes, composed from geometry: no loop is run. They search as `Seeker` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from cof_agent.dialects.cof import DIALECT
from cof_agent.geometry import Size
from cof_agent.profile import DECLINE, Profile
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import Outlook, Region
from cof_agent.scenes.render import WHOLE
from cof_agent.scenes.saying import answering, calling, refusing
from cof_agent.scenes.scene import MOST, SceneObject
from cof_agent.scenes.wording import LETTERS, Name
from training.tiny_pretrain.dialogue import either
from training.tiny_pretrain.framing import Framing
from training.tiny_pretrain.search import Search, Seeker, Step
from training.tiny_pretrain.transcript import Own

Manner: TypeAlias = Literal["adaptive", "direct", "always"]
"""When it zooms: where it must, never, or once at least."""

_NOWHERE = (-1, -1)


@dataclass(frozen=True, slots=True)
class Story:
    """What an episode is made of."""

    messages: list[BaseMessage]
    """As the policy is sent them, and its own."""
    own: tuple[Own, ...]
    views: tuple[Framing, ...]


def tell(question: SceneQuestion, long_side: int, profile: Profile, manner: Manner, chance: Random) -> Story:
    """The conversation about `question` whose source has a longer side of `long_side` pixels."""
    return _Teller(question, Seeker(question, long_side, profile), manner, chance).story()


def option_lines(question: SceneQuestion) -> tuple[str, ...]:
    """The lines of the options, where one of them is right."""
    pairs = zip(LETTERS, question.options if question.kind.answerable else (), strict=False)
    return tuple(f"({letter}) {option}" for letter, option in pairs)


@dataclass
class _Teller:
    """Puts a search into words."""

    question: SceneQuestion
    seeker: Seeker
    manner: Manner
    chance: Random

    def story(self) -> Story:
        found = self.seeker.search(zooms=self.manner != "direct")
        steps = found.steps
        if self.manner == "always" and not steps:
            steps = (self._anything(),)
        outlook = self.seeker.outlook
        self._views = (self._whole(outlook), *(self._closer(step.region, outlook.source) for step in steps))
        self._steps = steps
        told = [self._looking(number) for number in range(len(steps))]
        turns, own = zip(*told, self._concluding(found), strict=True)
        messages = _messages(self.question.text, turns, self.seeker.profile, tools=self.manner != "direct")
        return Story(messages, own, self._views)

    def _anything(self) -> Step:
        """What is looked at although nothing must be."""
        if not self.question.names:
            return Step(-1, self.seeker.outlook.zoom((WHOLE,)))
        place = self.seeker.resembling(self.question.names[0])
        return Step(place, self.seeker.region(place))

    def _looking(self, number: int) -> tuple[str, Own]:
        """Zoom `number`."""
        step, sentences, points = self._steps[number], [], []
        if number:
            sentence, point = self._seen(number - 1)
            sentences.append(sentence)
            points.append(point)
        if step.listed:
            name = self.question.names[step.name]
            where = either([str(self.seeker.point(place)) for place in step.listed])
            sentences.append(
                f"The {name} is at {where}, too small to tell." if step.alone else f"The {name} may be at {where}."
            )
            points += [(self._in(place, 0),) * 2 for place in step.listed]
        elif number:
            sentences.append(f"Next {self.seeker.point(step.looked_at)}.")
            points.append((self._in(step.looked_at, 0),) * 2)
        else:
            sentences.append("I look closer to be sure.")
        about = self._in(self._steps[number - 1].looked_at, number) if number else self._in(step.looked_at, 0)
        box = self._in(step.looked_at, 0)
        own = Own((about, about), self.question.names, tuple(points), (box, box))
        return calling(" ".join(sentences), step.region.corners), own

    def _concluding(self, found: Search) -> tuple[str, Own]:
        """The last turn: what has been seen, and the answer."""
        question, names, close = self.question, self.question.names, bool(self._steps)
        answerable, values = question.kind.answerable, (DECLINE.split()[0],)
        told = list(question.targets)
        if question.kind is Kind.ABSENT:
            told = [self._steps[-1].looked_at] if close else [self.seeker.resembling(names[0])]
        if found.sure:
            seen = [(f"{self._at(place)}.", (self._in(place, 0), self._closest(place))) for place in told]
        else:
            seen = [self._seen(len(self._steps) - 1)] if found.steps else []
        if answerable:
            said = question.kind, names, question.value, question.answer
            turn = answering(*said, found.sure, close, self.chance)
            letter = (question.answer,) if question.options else ()
            values = (question.value, *letter) if found.sure else letter
        else:
            turn = refusing(names, close, self.chance)
        turn = turn.replace("<think>", "".join(["<think>", *(f"{sentence} " for sentence, _ in seen)]), 1)
        about = _NOWHERE
        if question.kind is Kind.RELATION:  # where they lie is told from the overview
            about = (self._in(question.targets[0], 0), self._in(question.targets[1], 0))
        elif answerable:
            about = (self._closest(question.targets[0]),) * 2
        points = tuple(point for _, point in seen)
        return turn, Own(about, names, points, None, values, option_lines(question))

    def _seen(self, number: int) -> tuple[str, tuple[int, int]]:
        """What zoom `number` has shown, and the object there as in `Own.points`."""
        step = self._steps[number]
        place = step.looked_at
        sentence = f"{self._at(place)}." if step.told else f"At {self.seeker.point(place)} all is too small."
        return sentence, (self._in(place, 0), self._in(place, number + 1))

    def _at(self, place: int) -> str:
        return (
            f"At {self.seeker.point(place)} is {described(self.question.scene.objects[place], self.question.names[0])}"
        )

    def _in(self, place: int, view: int) -> int:
        """An object as a view shows it, as in `Batch.about`; -1 without one."""
        return view * MOST + self._order.index(place) if place >= 0 else -1

    def _closest(self, place: int) -> int:
        """The object as the view shows it that has been zoomed on it, else as the overview does."""
        looked = [step.looked_at for step in self._steps]
        return self._in(place, looked.index(place) + 1 if place in looked else 0)

    @property
    def _order(self) -> list[int]:
        """The objects in the order of a view's things."""
        objects = self.question.scene.objects
        return sorted(range(len(objects)), key=lambda index: objects[index].size)

    def _whole(self, outlook: Outlook) -> Framing:
        shown = outlook.overview
        return Framing(self.question.scene, WHOLE, shown, min(1.0, outlook.source[0] / shown[0]))

    def _closer(self, zoom: Region, source: Size) -> Framing:
        box, (width, height) = zoom.box, source
        frame = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
        return Framing(self.question.scene, frame, zoom.shown, min(1.0, box.width / zoom.shown[0]))


def described(thing: SceneObject, like: Name) -> str:
    """What an object is, by the attributes that `like` names, as a noun with its article."""
    noun = str(Name(**{attribute: getattr(thing, attribute) for attribute in like.attributes}))
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _messages(text: str, turns: Sequence[str], profile: Profile, tools: bool) -> list[BaseMessage]:
    image = {"type": "image", "url": "shown"}
    said: list[AnyMessage] = [HumanMessage([image, {"type": "text", "text": text}])]
    for number, turn in enumerate(turns):
        said.append(AIMessage(turn))
        if number + 1 < len(turns):
            said.append(ToolMessage([image], tool_call_id=str(number)))
    return DIALECT.render(said, profile, tools=tools)
