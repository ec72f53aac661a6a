"""The ideal observer of scenes: it knows where to look and what is asked, and reads the rest from pixels.

An upper bound for every policy, and the teacher of those that are trained on scenes. It is told the places of what a
question asks about, the words of the question and the source's size; of the scene's values it knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Corners, Size
from cof_agent.policies.policy import Policy
from cof_agent.scenes.legibility import needed
from cof_agent.scenes.looks import SceneViews, read_looks
from cof_agent.scenes.palette import pick
from cof_agent.scenes.question import Kind, SceneQuestion
from cof_agent.scenes.reach import SCENE_PROFILE, Outlook, Region
from cof_agent.scenes.reading import Scores, ViewGrid, best, read_character, read_colour, read_shape
from cof_agent.scenes.saying import Reason, answering, declining, refusing, zooming
from cof_agent.scenes.wording import LETTERS, SIDES, Name

__all__ = ["SCENE_PROFILE", "ObserverModel", "SceneTask", "observer_policy"]

_SOMEWHERE: tuple[Corners, ...] = tuple((x / 3, y / 3, (x + 1) / 3, (y + 1) / 3) for y in range(3) for x in range(3))
"""Where it looks when it must and nothing that is there was asked about."""


@dataclass(frozen=True, slots=True)
class SceneTask:
    """What the observer is told: nothing here depends on the values of the scene that are not in the question."""

    text: str
    kind: Kind
    names: tuple[Name, ...]
    """What the question calls its objects."""
    choices: tuple[str, ...]
    """What the answer may be."""
    options: tuple[str, ...]
    places: tuple[Corners, ...]
    """Where the objects are, as fractions of the sides; from left to right, not in the order of `names`."""
    need: float
    """Side, in pixels that count, from which on all that is named and asked is legible."""
    source: Size
    """Width and height of the source in pixels."""

    @classmethod
    def of(cls, question: SceneQuestion, source: Size) -> SceneTask:
        return cls(
            text=question.text,
            kind=question.kind,
            names=question.names,
            choices=question.choices,
            options=question.options,
            places=tuple(sorted(question.boxes)),
            need=needed(question),
            source=source,
        )


class ObserverModel(BaseChatModel):
    """Zooms where geometry says that it must, and answers from the closest look at each place.

    It keeps no state: every turn follows from the messages. Asked for a colour or a relation, it has not found what
    the question names unless it recognises it at its place, and guesses. A character is read from whatever is there.
    That a question has no answer it is told by its kind: it declines, from the first look unless it must look closer.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    task: SceneTask
    shown_by: Profile
    """How the loop shows views."""
    guess: bool = True
    """Whether it says what it thinks most likely when it cannot tell; otherwise it declines."""

    @property
    def _llm_type(self) -> str:
        return "cof-observer"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        outlook = Outlook(self.task.source, self.shown_by)
        turn = self._turn(read_looks(messages, outlook), outlook)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(turn))])

    def _turn(self, looks: SceneViews, outlook: Outlook) -> str:
        task = self.task
        plan, asked = outlook.plan(task.places, task.need), len(looks.asked)
        rng = Random(f"words {task.text} {asked}")
        if looks.may_zoom:
            if asked < len(plan.zooms):
                zoom = plan.zooms[asked]
                return zooming(zoom.corners, task.names, _reason_to_look(task.places, zoom, asked, outlook), rng)
            if looks.told_to_look:
                place = task.places[asked % len(task.places)] if task.places else pick(rng, _SOMEWHERE)
                return zooming(outlook.zoom([place]).corners, task.names, "told", rng)
        if not task.kind.answerable:
            return refusing(task.names, asked > 0, Random(f"declines {task.text} {looks.views[-1].digest}"))
        value, sure = self._read(looks)
        if not sure and not self.guess:
            return declining(task.names, rng)
        answer = LETTERS[task.options.index(value)] if task.options else value
        return answering(task.kind, task.names, value, answer, sure, asked > 0, rng)

    def _read(self, looks: SceneViews) -> tuple[str, bool]:
        """The answer, and whether it was seen rather than guessed."""
        task = self.task
        views = [looks.closest(place) for place in task.places]
        rng = Random(f"guess {task.text} {' '.join(view.digest for view in views)}")
        legible = all(view.detail(place) >= task.need for view, place in zip(views, task.places, strict=True))
        sights = [(view.sight, place) for view, place in zip(views, task.places, strict=True)]
        if task.kind is Kind.RELATION:
            side = self._side(sights, rng)
            return (side, legible) if side else (_any(task.choices, rng), False)
        sight, place = sights[0]
        if task.kind is Kind.CHARACTER:
            return best(_among(read_character(sight, place), task.choices), rng), legible
        if not _recognised(task.names[0], sight, place, rng):
            return _any(task.choices, rng), False
        return best(_among(read_colour(sight, place), task.choices), rng), legible

    def _side(self, sights: Sequence[tuple[ViewGrid, Corners]], rng: Random) -> str | None:
        """On which side of the second name's object the first's is; None unless each is recognised in one place."""
        first, second = self.task.names
        for (one, here), (other, there) in (sights, sights[::-1]):
            if _recognised(first, one, here, rng) and _recognised(second, other, there, rng):
                axis = next(axis for axis, sides in SIDES.items() if set(sides) == set(self.task.choices))
                before = _middle(here, axis) < _middle(there, axis)
                return SIDES[axis][0 if before else 1]
        return None


def _reason_to_look(places: Sequence[Corners], zoom: Region, asked: int, outlook: Outlook) -> Reason:
    """Why `zoom` comes after `asked` others when the objects are at `places` (fractions of the sides)."""
    if len(places) == 1:
        return "small"
    if asked:
        return "next"
    return "both" if zoom == outlook.zoom(places) else "one"


def observer_policy(
    question: SceneQuestion, source: Size, *, profile: Profile = SCENE_PROFILE, guess: bool = True
) -> Policy:
    """The ideal observer of one question about its scene, shown at `source` (width, height) pixels.

    With `guess` false it declines where it cannot tell. Raises ConfigError for a profile of another dialect than
    `cof`, one without zoom, or one whose coordinates are not view pixels, and for a source that cannot be shown.
    """
    if profile.dialect != "cof" or "image_zoom_in_tool" not in profile.tools:
        raise ConfigError(
            f"the observer speaks the dialect cof and zooms, not {profile.dialect} with {', '.join(profile.tools)}: "
            "give it a profile with the dialect cof and image_zoom_in_tool"
        )
    Outlook(source, profile)
    model = ObserverModel(task=SceneTask.of(question, source), shown_by=profile, guess=guess)
    return Policy(model, profile, "observer")


def _recognised(name: Name, sight: ViewGrid, place: Corners, rng: Random) -> bool:
    """Whether what is at a place looks like what the question calls it."""
    read = {"shape": read_shape, "colour": read_colour, "character": read_character}
    values = {"shape": name.shape, "colour": name.colour, "character": name.character}
    return all(best(read[attribute](sight, place), rng) == values[attribute] for attribute in name.attributes)


def _among(scores: Scores, choices: Sequence[str]) -> Scores:
    return {choice: scores[choice] for choice in choices}


def _any(choices: Sequence[str], rng: Random) -> str:
    return best(dict.fromkeys(choices, 0.0), rng)


def _middle(place: Corners, axis: str) -> float:
    return place[0] + place[2] if axis == "x" else place[1] + place[3]
