"""Questions to play: loaded, measured, and put in the order in which they are asked."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.learning.environment.row import check_first_look, rules_of
from cof_agent.learning.exports.prompts import OTHERS
from cof_agent.loop.config import FocusConfig
from training.grpo_settings import GrpoSettings
from training.rows import check_factor, given_profile, open_table, size_of

COLUMNS = ("id", "question", "truth", "options", "prompt", "images", "original", "profile", "config")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is played."""

    table: Any
    """A `datasets.Dataset` of all that a run asks, in the order in which it asks."""
    profile: Profile
    steps: int
    """Optimizer steps until all have been asked."""
    count: int
    """Questions that there are."""
    too_long: int
    """Questions that were left out for the length of their prompts."""


def load_questions(settings: GrpoSettings, processor: Any, factor: int) -> Questions:
    """The questions of `settings.data` whose prompts are short enough; no image is decoded.

    Raises ConfigError when there are none, a row cannot be played as the loop would, its first look is not what its
    profile shows, or a region would leave no room for an answer.
    """
    table = open_table(settings, "trl-grpo", COLUMNS).cast_column("original", datasets.Image(decode=False))
    if OTHERS in table.column_names:
        table = table.cast_column(OTHERS, datasets.List(datasets.Image(decode=False)))
    rules: dict[tuple[str, str], tuple[Profile, FocusConfig]] = {}
    kept = []
    for number, row in enumerate(table.cast_column("images", datasets.List(datasets.Image(decode=False)))):
        key = (row["profile"], row["config"])
        if key not in rules:
            rules[key] = rules_of(row)
            _check_sizes(rules[key][0], factor, settings)
        shown = _first_look(row, rules[key][0])
        text = processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        if len(processor.tokenizer(text)["input_ids"]) + shown - len(row["images"]) <= settings.max_prompt:
            kept.append(number)
    if not kept:
        raise ConfigError(f"all {len(table)} prompts are longer than max_prompt={settings.max_prompt}: raise it")
    profile = given_profile(settings) or _only({profile.model_dump_json(): profile for profile, _ in rules.values()})
    steps = settings.steps or math.ceil(settings.epochs * len(kept) / settings.questions) * settings.iterations
    order = _order(kept, math.ceil(steps / settings.iterations) * settings.questions, settings.seed)
    return Questions(table.select(order), profile, steps, len(kept), len(table) - len(kept))


def _first_look(row: Mapping[str, Any], profile: Profile) -> int:
    """Visual tokens of the first look at each image. Raises ConfigError where it is not what the profile shows."""
    where = f"row {row['id']!r}"
    originals = [row["original"], *(row.get(OTHERS) or ())]
    if len(row["images"]) != len(originals):
        raise ConfigError(
            f"{where} shows {len(row['images'])} images, not the first look alone at each of {len(originals)}: "
            "export again"
        )
    tokens = 0
    for image, original in zip(row["images"], originals, strict=True):
        shown = profile.overview.fit(size_of(original, where))
        check_first_look(row, size_of(image, where), shown)
        tokens += profile.overview.tokens(shown)
    return tokens


def _check_sizes(profile: Profile, factor: int, settings: GrpoSettings) -> None:
    check_factor(profile, factor, settings)
    region = profile.regions.max_pixels // profile.regions.factor**2
    if region >= settings.max_response:
        raise ConfigError(
            f"a region may take {region} visual tokens, and max_response={settings.max_response} leaves no room for "
            "an answer: raise max_response, or collect with smaller regions"
        )


def _only(profiles: Mapping[str, Profile]) -> Profile:
    if len(profiles) > 1:
        raise ConfigError(
            f"the rows were made with {len(profiles)} profiles: name the one that the trained model is to be served "
            "with as profile"
        )
    return next(iter(profiles.values()))


def _order(rows: list[int], length: int, seed: int) -> list[int]:
    """All rows shuffled, then all of them shuffled anew, and so on: where a run goes on depends on its step alone."""
    chance, order = random.Random(seed), list[int]()
    while len(order) < length:
        order += chance.sample(rows, len(rows))
    return order[:length]
