"""A toy task for reinforcement learning: two answers, and a zoom that only one kind of question needs.

Each picture of 896x896 pixels is red or green all over, with a blue patch on it and in the patch a mark of 24 pixels,
red or green, in three pictures of four not as the ground is. At first look, in 112x112 pixels, the mark is a stain of
three pixels; the region at `BOX` shows nothing else. The *ground* needs no zoom, the *mark* does.

`warm` teaches a seed checkpoint, by the recipe for supervised fine-tuning, to do either as often: to zoom and then to
say what is there, or to name at once what it sees at first look, the ground, also when it is asked for the mark. What
is better it has to find out for itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.evaluation import BenchmarkQuestion, Role
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.exports.exporting import export
from cof_agent.policies.qwen.seed import write_seed
from tests.support.conversations import answer, scripted, zoom
from training.settings import SftSettings
from training.sft import train

ANSWERS = ("red", "green")
GROUND, MARK = "Which colour is the ground?", "Which colour is the mark?"
BOX = [62, 62, 64, 64]
PROFILE = Profile(
    overview=SizeRule(min_pixels=28**2, max_pixels=112**2),
    regions=SizeRule(min_pixels=28**2, max_pixels=28**2),
    prompts=Prompts(
        task="<tools></tools>",
        direct="Answer.",
        reminder="And now?",
        format_error="Write a call or an answer.",
        closing="Answer now.",
    ),
)
"""Short prompts and few pixels, so that it is quick."""


def picture(ground: str, mark: str, chance: random.Random) -> Image.Image:
    image = Image.new("RGB", (896, 896), _shade(ground, chance))
    image.paste(_shade("blue", chance), (480, 480, 528, 528))
    image.paste(_shade(mark, chance), (488, 488, 512, 512))
    return image


class Toy:
    """The questions: both kinds about each of `pictures` pictures."""

    name = "toy"
    role = Role.TRAIN

    def __init__(self, pictures: int, seed: int = 0) -> None:
        self._pictures, self._seed = pictures, seed

    def __iter__(self) -> Iterator[BenchmarkQuestion]:
        for number in range(self._pictures):
            chance = random.Random(f"{self._seed} {number}")
            ground = ANSWERS[number % 2]
            mark = ANSWERS[(number + (number // 2 % 4 > 0)) % 2]
            image = picture(ground, mark, chance)
            for kind, text, truth in (("ground", GROUND, ground), ("mark", MARK, mark)):
                yield BenchmarkQuestion(f"{number} {kind}", image, text, truth, category=kind)


def questions(directory: Path, pictures: int, seed: int = 0, config: FocusConfig | None = None) -> Path:
    """Rows to play: what an export of an evaluation on them writes."""
    policy = scripted(answer("none"), profile=PROFILE)
    where = directory / "asked"
    evaluate(
        Toy(pictures, seed), policy, resolutions=["native"], concurrency=1, trajectories=True, out=where, config=config
    )
    export(where / "trajectories", directory / "questions", to="trl-grpo", profile=PROFILE)
    return directory / "questions"


def warm(directory: Path, pictures: int, *, steps: tuple[int, int], seed: int = 0) -> Path:
    """A checkpoint that zooms as often as not. It learns in so many `steps` to name colours, and then to talk."""
    asked = iter(Toy(pictures, seed=seed + 1))
    for ground, mark in zip(asked, asked, strict=True):
        _tell(directory / "colours", ground.image, ground.text, answer(ground.answer))
        _tell(directory / "colours", mark.image.crop((488, 488, 512, 512)), mark.text, answer(mark.answer))
        for question in (ground, mark):
            _tell(directory / "talk", question.image, question.text, answer(ground.answer))
            _tell(directory / "talk", question.image, question.text, zoom(*BOX), answer(question.answer))
    model = write_seed(directory / "seed", profile=PROFILE)
    for lesson, taken in zip(("colours", "talk"), steps, strict=True):
        model = _imitate(directory, lesson, model, taken, seed)
    return model


def _tell(directory: Path, image: Image.Image, question: str, *turns: str) -> None:
    ChainOfFocus(scripted(*turns, profile=PROFILE), save=directory).ask(image, question)


def _imitate(directory: Path, lesson: str, model: Path, steps: int, seed: int) -> Path:
    rows = directory / f"{lesson} rows"
    export(directory / lesson, rows, profile=PROFILE)
    told: dict[str, Any] = {
        "model": str(model),
        "data": str(rows),
        "output": str(directory / f"{lesson} model"),
        "profile": PROFILE.model_dump(mode="json"),
        "train_vision_tower": True,
        "learning_rate": 3e-3,
        "steps": steps,
        "batch": 8,
        "accumulate": 1,
        "dtype": "float32",
        "gradient_checkpointing": False,
        "device": "cpu",
        "seed": seed,
        "save_steps": steps,
    }
    return train(SftSettings(**told))


def _shade(colour: str, chance: random.Random) -> tuple[int, int, int]:
    strong, weak = chance.randint(190, 250), chance.randint(10, 60)
    return tuple(strong if name == colour else weak for name in ("red", "green", "blue"))  # type: ignore[return-value]
