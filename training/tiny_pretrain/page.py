"""The page of text that `tiny`'s tokenizer is trained on: questions about scenes, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cof_agent.scenes.question import SceneQuestion, scene_question
from cof_agent.scenes.saying import answering, declining, zooming
from cof_agent.scenes.scene import COLOURS, SHAPES
from cof_agent.scenes.split import Split
from cof_agent.scenes.wording import SIDES
from training.tiny_pretrain.dialogue import PLACE, UNREADABLE

_QUESTIONS = 600
_OPTION = " That is option "
"""As it was said when the tokenizer was made, which stays as it is."""


def page() -> str:
    """Always the same, from the first scenes of the train split."""
    answers = [*COLOURS, *SHAPES, *(side for sides in SIDES.values() for side in sides), UNREADABLE]
    lines = [*answers, *(f" {answer}" for answer in answers), *(form.format(it="object") for form in PLACE)]
    for number in range(_QUESTIONS):
        lines += _said(scene_question(Split.TRAIN, number))
    return "\n".join(lines)


def _said(asked: SceneQuestion) -> Iterator[str]:
    rng = Random(f"page {asked.id}")
    yield asked.text
    yield zooming((0, 0, 8, 8), asked.names, rng.choice(("small", "both", "one", "next", "told")), rng)
    for sure in (True, False):
        said = answering(asked.kind, asked.names, asked.value, asked.answer, sure, rng.random() < 0.5, rng)
        yield said.replace(f" {asked.value} is option ", _OPTION)
    yield declining(asked.names, rng)
