"""Whole conversations about scenes, composed from geometry: no loop is run. They search as `Seeker` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, TypeAlias

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from cof_agent.dialects.cof import DIALECT
from cof_agent.dialects.profile import DECLINE, Profile
from cof_agent.images.geometry import Box, Size
from cof_agent.loop.call import NO_MORE
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.looking import refusal
from cof_agent.scenes.palette import between
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import Region
from cof_agent.scenes.saying import answering, calling, refusing
from cof_agent.scenes.scene import MOST
from cof_agent.scenes.wording import LETTERS, SIDES, Name
from training.tiny_pretrain.framing import Framing
from training.tiny_pretrain.marks import NOWHERE, Own, Told, coordinate, told_place
from training.tiny_pretrain.search import MOST_ZOOMS, Seeker, Step

Manner: TypeAlias = Literal["adaptive", "direct", "always"]
"""When it zooms: where it must, never, or once at least."""

_ASTRAY = 0.25
"""Share of the conversations that look for something in which one look is a mistake, where one is possible. It is not
learnt, but what comes of it."""
_STOPPED = 0.1
"""Share of the conversations that look more than once, if they can be answered, whose last look is refused: no more can
be shown. So may be the one after as many as the loop allows by default."""
_IN_VAIN = 0.5
"""Share of the conversations that take a first look even where hardly more can be shown: what comes of it is seen where
the policy looks, too, which cannot know."""


@dataclass(frozen=True, slots=True)
class Story:
    """What an episode is made of."""

    messages: list[BaseMessage]
    """As the policy is sent them, and its own."""
    own: tuple[Own, ...]
    views: tuple[Framing, ...]
    lefts: tuple[int, ...]
    """The left side of a zoom on each object, in pixels of the overview and in the order of a view's things."""


def tell(
    question: SceneQuestion,
    long_side: int,
    profile: Profile,
    manner: Manner,
    chance: Random,
    before: Sequence[tuple[int, int, int, int]] = (),
) -> Story:
    """The conversation about `question` whose source has a longer side of `long_side` pixels.

    It begins with looks at the boxes `before`, in pixels of the overview, of which what they show is learnt alone.
    """
    refused = question.kind.answerable and not before and chance.random() < _STOPPED
    most = FocusConfig().max_zooms + 1 if refused else MOST_ZOOMS
    seeker = Seeker(question, long_side, profile, chance, most, chance.random() < _IN_VAIN)
    return _Teller(question, seeker, manner, refused, chance, seeker.taken(before)).story()


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
    refused: bool
    """Whether its last look is, if there are several."""
    chance: Random
    before: tuple[Step, ...] = ()
    """Looks that it begins with."""
    _steps: tuple[Step, ...] = field(init=False)

    def story(self) -> Story:
        found = self.seeker.search(self.manner != "direct", self.before)
        steps, stopped = found.steps, self.refused and len(found.steps) > 1
        if self.manner == "always" and not steps:
            steps = (self.seeker.anything(),)
        elif steps and not self.before and not stopped and self.chance.random() < _ASTRAY:
            at = int(between(self.chance, 0, len(steps)))
            wrong = self.seeker.mistake(steps[:at], steps[at:])
            steps = (*steps[:at], *([wrong] if wrong else ()), *steps[at:])
        outlook = self.seeker.outlook
        overview = self._view(Box.whole(outlook.source), outlook.overview)
        self._steps = steps
        told = [self._looking(number) for number in range(len(steps))]
        if stopped:
            self._steps = steps[:-1]
        views = (overview, *(self._view(step.region.box, step.region.shown) for step in self._steps))
        turns, own = zip(*told, self._concluding(found.sure and not stopped, stopped), strict=True)
        profile = self.seeker.profile
        said = _messages(self.question.text, turns[:-1])
        if stopped:
            said[-1:] = refusal(str(len(steps)), profile.tools[0], NO_MORE), HumanMessage(profile.prompts.closing)
        messages = DIALECT.render([*said, AIMessage(turns[-1])], profile, tools=self.manner != "direct")
        lefts = tuple(self.seeker.region(place).corners[0] for place in self._order)
        return Story(messages, own, views, lefts)

    def _looking(self, number: int) -> tuple[str, Own]:
        """Zoom `number`."""
        step, names = self._steps[number], self.question.names
        here, seen, told = self._in(step.looked_at, 0), "", ()
        about = -1 if step.astray else here
        if number:
            seen, told = self._seen(number - 1)
            about = self._in(self._steps[number - 1].looked_at, number)
        sought = None
        if not step.needed:
            thought = "I look closer to be sure."
        else:
            name = names[step.number]
            again = number > 0 and step.number == self._steps[number - 1].number
            colour = self.seeker.pointer(step.looked_at, name)[0] if step.looked_at >= 0 else None
            which = f"{colour} one" if colour else "one"
            thought = f"I look {'on' if again else f'for the {name}'}: the {which} at {step.region.corners[0]}."
            sought = None if step.astray else replace(name, colour=name.colour or colour)
        own = Own((about, about), names, told, here, sought, astray=step.astray, taken=step.taken)
        return calling(seen + thought, step.region.corners), own

    def _concluding(self, sure: bool, stopped: bool) -> tuple[str, Own]:
        """The last turn: what has been seen, unless its look was refused, and the answer."""
        question, names, close = self.question, self.question.names, bool(self._steps)
        answerable = question.kind.answerable
        seen, told = self._seen(len(self._steps) - 1) if close and names and not stopped else ("", ())
        if sure and (not close or question.kind is Kind.RELATION):
            for place in self._named():
                sentence, objects = self._here(place)
                seen, told = seen + sentence, told + objects
        if answerable:
            said = question.kind, names, question.value, question.answer
            turn = answering(*said, sure, close, self.chance)
            letter = (question.answer,) if question.options else ()
            values = (question.value, *letter) if sure else letter
        else:
            values, turn = (DECLINE.split()[0],), refusing(names, close, self.chance)
        turn = turn.replace("<think>", f"<think>{seen}", 1)
        about = NOWHERE
        if question.kind is Kind.RELATION:  # where they lie is told from the overview
            about = (self._in(question.targets[0], 0), self._in(question.targets[1], 0))
        elif answerable:
            about = (self._closest(question.targets[0]),) * 2
        return turn, Own(about, names, told, values=values, options=option_lines(question))

    def _named(self) -> list[int]:
        """What is told to be here: what the question names in its order, up to what is missing, for which stands what
        resembles it."""
        question = self.question
        if question.kind is not Kind.ABSENT:
            return list(question.targets)
        [missing] = question.names
        before = question.text.index(str(missing))
        there = [
            place
            for place, thing in enumerate(question.scene.objects)
            if -1 < question.text.find(f"{thing.colour} {thing.shape}") < before
        ]
        return list(dict.fromkeys([*there, self.seeker.resembling(missing)]))

    def _seen(self, number: int) -> tuple[str, tuple[Told, ...]]:
        """What zoom `number` has shown."""
        step = self._steps[number]
        place = step.looked_at
        if place < 0:
            return "Nothing is here. ", ()
        if not step.clear:
            return "All is too small here. ", ()
        overview, axis = self._in(place, 0), self._axis
        again = coordinate(overview, axis) if axis is not None else -1
        return self._sentence("This", place, number + 1, step.region, again, told_place(overview))

    def _here(self, place: int) -> tuple[str, tuple[Told, ...]]:
        """What the overview shows and, if that is asked, where it begins."""
        overview, axis, again = self._in(place, 0), self._axis, -1
        looks = sorted((step for step in self._steps if step.looked_at == place), key=lambda step: step.clear)
        if looks and axis is not None:
            again = told_place(overview) if looks[-1].clear else coordinate(overview, axis)
        return self._sentence("Here", place, 0, looks[-1].region if looks else self.seeker.region(place), again)

    def _sentence(
        self, opening: Literal["This", "Here"], place: int, view: int, region: Region, again: int, said: int = -1
    ) -> tuple[str, tuple[Told, ...]]:
        """What an object in a view is and, if that is asked, where it begins, as `region` does, which is `again` and
        `said` as in `Told`."""
        thing, like, here = self.question.scene.objects[place], self.question.names[0], self._in(place, view)
        name = Name(**{attribute: getattr(thing, attribute) for attribute in like.attributes})
        what = f"{opening} is {_with_article(str(name))}"
        if self._axis is None:
            return f"{what}. ", (Told(here),)
        side = region.corners[self._axis]
        return f"{what} at {side}. ", (Told(here, name=name, again=again, said=said),)

    @property
    def _axis(self) -> int | None:
        """Along which it is asked where something lies: 0 from left to right, 1 from above to below."""
        for axis, sides in enumerate(SIDES.values()):
            if all(re.search(rf"\b{side}\b", self.question.text) for side in sides):
                return axis
        return None

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

    def _view(self, box: Box, shown: Size) -> Framing:
        """The view that shows `box` (pixels of the source) in `shown` pixels."""
        width, height = self.seeker.outlook.source
        frame = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
        return Framing(self.question.scene, frame, shown, min(1.0, box.width / shown[0]))


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _messages(text: str, turns: Sequence[str]) -> list[AnyMessage]:
    """The question, and each of the turns with what it was shown."""
    image = {"type": "image", "url": "shown"}
    said: list[AnyMessage] = [HumanMessage([image, {"type": "text", "text": text}])]
    for number, turn in enumerate(turns):
        said += AIMessage(turn), ToolMessage([image], tool_call_id=str(number))
    return said
