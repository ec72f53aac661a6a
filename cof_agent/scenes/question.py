"""Questions about a scene, with their truth. Pure values: no pixels are made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from cof_agent.dialects.profile import DECLINE
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import Corners
from cof_agent.scenes.absent import OPTIONS, ask_absent
from cof_agent.scenes.foreign import ask_foreign
from cof_agent.scenes.palette import pick, shuffled
from cof_agent.scenes.scene import CHARACTERS, COLOURS, Scene, SceneObject
from cof_agent.scenes.split import Split
from cof_agent.scenes.wording import LETTERS, SIDES, Name, ask_character, ask_colour, ask_relation, with_options


class Kind(StrEnum):
    """What a question asks for."""

    CHARACTER = "character"
    COLOUR = "colour"
    RELATION = "relation"
    ABSENT = "absent"
    """Any of these, of an object that is not there. Asked only when it is named."""
    FOREIGN = "foreign"
    """What no scene shows. Asked only when it is named."""

    @property
    def answerable(self) -> bool:
        """Whether its questions have an answer; of the others it is right to say that there is none."""
        return self not in (Kind.ABSENT, Kind.FOREIGN)


@dataclass(frozen=True, slots=True)
class SceneQuestion:
    """One question about one scene."""

    scene: Scene
    kind: Kind
    text: str
    """What is asked, word for word; with the options in it, if there are any."""
    answer: str
    """The truth: the letter of the right option, or the text, such as `K`, `red` or `left`.

    `cannot answer` where it is right to decline.
    """
    options: tuple[str, ...]
    """What the letters A, B, … stand for; empty when the question is open."""
    targets: tuple[int, ...]
    """The objects it asks about, by their position in `scene.objects`, in the order of `names`."""
    names: tuple[Name, ...]
    """What the text calls each of them; of kind `absent`, where there are none, what it calls that which is missing."""
    choices: tuple[str, ...]
    """Every value the answer may have: the options, or all that the question leaves open; none if nothing is right."""

    @property
    def value(self) -> str:
        """The right answer as text, also when there are options."""
        return self.options[LETTERS.index(self.answer)] if self.options and self.kind.answerable else self.answer

    @property
    def category(self) -> str:
        """The category of V* that it belongs to, or `unanswerable`."""
        if not self.kind.answerable:
            return "unanswerable"
        return "relative_position" if self.kind is Kind.RELATION else "direct_attributes"

    @property
    def chance(self) -> float:
        """The accuracy of a guess, 0.0 to 1.0."""
        return 1 / len(self.choices) if self.choices else 0.0

    @property
    def boxes(self) -> tuple[Corners, ...]:
        """Where the targets are, in the order of `targets`: fractions of the scene's width and height."""
        return tuple(self.scene.fraction(self.scene.objects[index].box) for index in self.targets)

    @property
    def id(self) -> str:
        """The same in every run; a question and its counterfactual share it."""
        return f"scene-{self.scene.seed}-{self.kind}"

    def counterfactual(self) -> SceneQuestion:
        """The same words about a scene that was changed so that another answer is right.

        The target gets another character or colour, one of the options if there are any; where an object already had
        what must stay unique, it takes the target's old one. The objects of a relation exchange all but place, size
        and turn. Raises ConfigError for a question without an answer, which no change of the scene gives another one.
        """
        if not self.kind.answerable:
            raise ConfigError(f"{self.id} has no answer that a changed scene could change: ask for another kind")
        if self.kind is Kind.RELATION:
            return self._exchanged()
        rng = Random(f"counterfactual {self.scene.seed} {self.kind}")
        (index,) = self.targets
        value = pick(rng, [choice for choice in self.choices if choice != self.value])
        change = _recoloured if self.kind is Kind.COLOUR else _rewritten
        scene = replace(self.scene, objects=tuple(change(self.scene.objects, index, value)))
        return replace(self, scene=scene, answer=_answer(value, self.options))

    def _exchanged(self) -> SceneQuestion:
        first, second = self.targets
        objects = list(self.scene.objects)
        one, other = objects[first], objects[second]
        objects[first], objects[second] = _looking(one, other), _looking(other, one)
        (value,) = (choice for choice in self.choices if choice != self.value)
        return replace(
            self,
            scene=replace(self.scene, objects=tuple(objects)),
            answer=_answer(value, self.options),
            targets=(second, first),
        )


def ask(scene: Scene, kind: Kind | None = None) -> SceneQuestion:
    """The question about `scene`: always the same for its seed and `kind`.

    One of kind `absent` is about the objects that are told at first look alone: its scene is that of `absent.legible`.
    Without a `kind` half of all scenes are asked for a relation, and a quarter each for a character and a colour.
    Half of the questions of each kind are multiple choice. Raises ConfigError for a scene with nothing to ask, which
    no seed makes: without objects or, for a relation, without two that are apart along an axis.
    """
    if kind is None:
        kind = pick(Random(f"kind {scene.seed}"), (Kind.CHARACTER, Kind.COLOUR, Kind.RELATION, Kind.RELATION))
    kind = Kind(kind)
    if not scene.objects:
        raise ConfigError(f"scene {scene.seed} has no objects: there is nothing to ask")
    rng = Random(f"question {scene.seed} {kind}")
    if not kind.answerable:
        return _unanswerable(scene, kind, rng)
    return {Kind.CHARACTER: _character, Kind.COLOUR: _colour, Kind.RELATION: _relation}[kind](scene, rng)


def scene_question(split: Split, number: int, kind: Kind | None = None, *, photo: str | None = None) -> SceneQuestion:
    """Question `number` of a split, which starts at 0. Raises ConfigError for a number that the split does not have.

    `photo` is the path of a picture that becomes the scene's background.
    """
    return ask(Scene.from_seed(split.seed(number), photo=photo), kind)


def _character(scene: Scene, rng: Random) -> SceneQuestion:
    index = pick(rng, _doubted(scene.objects))
    target = scene.objects[index]
    name = Name(shape=target.shape, colour=target.colour)
    others = [thing.character for thing in scene.objects]
    text = ask_character(name, rng)
    return _put(scene, Kind.CHARACTER, text, target.character, tuple(CHARACTERS), others, ((index, name),), rng)


def _colour(scene: Scene, rng: Random) -> SceneQuestion:
    shapes = [thing.shape for thing in scene.objects]
    alone = [index for index, shape in enumerate(shapes) if shapes.count(shape) == 1]
    if alone and rng.random() < 0.5:
        index = pick(rng, alone)
        name = Name(shape=shapes[index])
    else:
        doubled = [index for index, shape in enumerate(shapes) if shapes.count(shape) > 1]
        index = pick(rng, doubled or range(len(shapes)))
        name = Name(character=scene.objects[index].character)
    others = [thing.colour for thing in scene.objects]
    text = ask_colour(name, rng)
    return _put(scene, Kind.COLOUR, text, scene.objects[index].colour, COLOURS, others, ((index, name),), rng)


def _relation(scene: Scene, rng: Random) -> SceneQuestion:
    doubted = _doubted(scene.objects)
    pairs = [pair for pair in _apart(scene.objects) if pair[0] in doubted or pair[1] in doubted]
    if not pairs:
        raise ConfigError(f"scene {scene.seed} has no two objects that are apart along an axis: ask for another kind")
    first, second, axis = pick(rng, pairs)
    if rng.random() < 0.5:
        first, second = second, first
    one, other = scene.objects[first], scene.objects[second]
    smaller, larger = SIDES[axis]
    value = smaller if (one.x < other.x if axis == "x" else one.y < other.y) else larger
    names = [Name(shape=thing.shape, colour=thing.colour) for thing in (one, other)]
    text = ask_relation(names[0], names[1], axis, rng)
    named = tuple(zip((first, second), names, strict=True))
    return _put(scene, Kind.RELATION, text, value, SIDES[axis], SIDES[axis], named, rng)


def _unanswerable(scene: Scene, kind: Kind, rng: Random) -> SceneQuestion:
    names: tuple[Name, ...] = ()
    if kind is Kind.ABSENT:
        made = ask_absent(scene, rng)
        scene, text, options, names = made.scene, made.text, made.options, (made.missing,)
    else:
        text, options = ask_foreign(Split.of(scene.seed) is Split.TEST, rng)
    return SceneQuestion(scene, kind, text, DECLINE, options, targets=(), names=names, choices=())


def _doubted(objects: Sequence[SceneObject]) -> list[int]:
    """The objects that something else resembles, in shape or colour; all of them where nothing does."""
    shapes, colours = [thing.shape for thing in objects], [thing.colour for thing in objects]
    found = [
        index for index, thing in enumerate(objects) if shapes.count(thing.shape) > 1 or colours.count(thing.colour) > 1
    ]
    return found or list(range(len(objects)))


def _apart(objects: Sequence[SceneObject]) -> Iterator[tuple[int, int, str]]:
    """Pairs of objects, each with an axis along which their boxes share nothing."""
    for second, other in enumerate(objects):
        for first, one in enumerate(objects[:second]):
            a, b = one.box, other.box
            if a[2] <= b[0] or b[2] <= a[0]:
                yield first, second, "x"
            if a[3] <= b[1] or b[3] <= a[1]:
                yield first, second, "y"


def _put(
    scene: Scene,
    kind: Kind,
    text: str,
    value: str,
    values: Sequence[str],
    likely: Sequence[str],
    named: Sequence[tuple[int, Name]],
    rng: Random,
) -> SceneQuestion:
    """The question, open or with options; `likely` values, those of other objects, become options first."""
    options: tuple[str, ...] = ()
    if rng.random() < 0.5:
        wrong = [other for other in dict.fromkeys(likely) if other != value]
        rest = [other for other in values if other != value and other not in wrong]
        drawn = [*shuffled(wrong, rng), *shuffled(rest, rng)][: OPTIONS - 1]
        options = tuple(shuffled([value, *drawn], rng))
        text = with_options(text, options, rng)
    return SceneQuestion(
        scene=scene,
        kind=kind,
        text=text,
        answer=_answer(value, options),
        options=options,
        targets=tuple(index for index, _ in named),
        names=tuple(name for _, name in named),
        choices=options or tuple(values),
    )


def _answer(value: str, options: Sequence[str]) -> str:
    return LETTERS[options.index(value)] if options else value


def _rewritten(objects: Sequence[SceneObject], index: int, character: str) -> Iterator[SceneObject]:
    old = objects[index].character
    for position, thing in enumerate(objects):
        if position == index:
            yield replace(thing, character=character)
        else:
            yield replace(thing, character=old) if thing.character == character else thing


def _recoloured(objects: Sequence[SceneObject], index: int, colour: str) -> Iterator[SceneObject]:
    target = objects[index]
    for position, thing in enumerate(objects):
        if position == index:
            yield replace(thing, colour=colour)
        elif (thing.shape, thing.colour) == (target.shape, colour):
            yield replace(thing, colour=target.colour)
        else:
            yield thing


def _looking(place: SceneObject, looks: SceneObject) -> SceneObject:
    """The object at `place` with the looks of another."""
    return replace(looks, x=place.x, y=place.y, size=place.size, turn=place.turn)
