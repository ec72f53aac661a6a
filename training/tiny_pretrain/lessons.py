"""What is learnt at each step, made ready for the model by the process that learns or, ahead, by others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from random import Random
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from cof_agent.dialects.profile import Profile
from cof_agent.scenes.scene import MOST
from training.tiny_pretrain.chunks import Chunks, Plan, Views
from training.tiny_pretrain.dialogue import exchanges
from training.tiny_pretrain.episodes import Episode, Episodes
from training.tiny_pretrain.framing import TOKEN
from training.tiny_pretrain.lean_tower import Packed, pack
from training.tiny_pretrain.marks import Batch, Own, Written
from training.tiny_pretrain.own_looks import read_own_looks
from training.tiny_pretrain.settings import PretrainSettings
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import Truth, truth

WAIT = 600.0
"""Seconds that a lesson may take."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a batch of texts, in their order, and what is true of their visual tokens, one after the other."""

    packed: Packed
    owner: torch.Tensor
    """(tokens): the object that each shows as in `Batch.about`, -1 without one."""
    numbers: torch.Tensor
    """(tokens, 4), as in `Truth`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Texts that are read at once."""

    batch: Batch
    images: Images | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """All of a step."""

    views: Reading
    true: Truth
    """Of the views."""
    texts: tuple[Reading, ...] = ()
    drills: tuple[Reading, ...] = ()
    tours: tuple[Reading, ...] = ()
    episodes: tuple[Reading, ...] = ()

    @property
    def shown(self) -> int:
        """Views."""
        return len(self.views.batch.ids)


class Lessons(Dataset[Lesson]):
    """The lesson of each step: a function of the settings and the step."""

    def __init__(self, processor: Any, profile: Profile, settings: PretrainSettings) -> None:
        self._settings = settings
        self._scribe = Scribe(processor.tokenizer)
        batches = 4 if settings.reuse * settings.held > 1 else 1  # a chunk that is for one step is no larger
        plan = Plan(settings.seed, settings.tokens, settings.reuse, settings.views, settings.held, batches)
        self._chunks = Chunks(plan)
        self._episodes = Episodes(
            processor,
            profile,
            settings.seed,
            settings.episodes,
            settings.manners,
            settings.unanswerable,
            looks=read_own_looks(settings.looks, profile) if settings.looks else (),
        )

    def __getitem__(self, step: int) -> Lesson:
        settings, made = self._settings, self._episodes
        views = self._chunks.batch(step)
        chance = Random(f"questions {settings.seed} {step}")
        reading, true = view_reading(self._scribe, views, settings.questions, chance)
        texts = text_readings(self._scribe, made.texts(step, settings.texts), settings.together)
        drills, tours = (
            text_readings(self._scribe, told, max(len(told), 1))
            for told in (made.drills(step, settings.drills), made.tours(step, settings.tours))
        )
        episodes = episode_readings(self._scribe, made.make(step), settings.together)
        return Lesson(reading, true, texts, drills, tours, episodes)

    def __len__(self) -> int:
        return self._settings.steps

    def after(self, done: int) -> Iterable[Lesson]:
        """Those of the steps from `done` on, made ahead by `workers` processes.

        Raises RuntimeError after `WAIT` seconds without one.
        """
        workers, steps = self._settings.workers, range(done, len(self))
        if not workers:
            return DataLoader(self, None, sampler=steps)
        _share_files()
        return DataLoader(self, None, sampler=steps, num_workers=workers, timeout=WAIT, worker_init_fn=_share_files)


def _share_files(worker: int = 0) -> None:
    """Hand tensors over in files: they are more than file descriptors may be open."""
    torch.multiprocessing.set_sharing_strategy("file_system")


def view_reading(scribe: Scribe, views: Views, questions: int, chance: Random) -> tuple[Reading, Truth]:
    """Views with up to `questions` questions about each, and what is true of them."""
    columns, rows = views.grid
    height, width = views.pixels.shape[1:3]
    true = truth(views.things, rows, columns)
    asked = [exchanges(things, width, height, questions, chance) for things in views.things]
    images = Images(pack(list(views.pixels)), true.owner.flatten(), true.numbers.flatten(0, 1))
    return Reading(scribe.write(asked, views.grid), images), true


def text_readings(scribe: Scribe, told: Sequence[tuple[str, Sequence[Own]]], together: int) -> tuple[Reading, ...]:
    """Conversations without images, `together` at once."""
    written = [scribe.episode(text, (), own) for text, own in told]
    return tuple(Reading(scribe.batch(rows)) for rows in _alike(written, lambda row: row, together))


def episode_readings(scribe: Scribe, episodes: Sequence[Episode], together: int) -> tuple[Reading, ...]:
    """Whole conversations, `together` at once."""
    written = [scribe.episode(told.text, told.grids, told.own) for told in episodes]
    return tuple(
        Reading(scribe.batch([row for row, _ in group]), _images([told for _, told in group]))
        for group in _alike(list(zip(written, episodes, strict=True)), lambda pair: pair[0], together)
    )


def _alike(things: Sequence[_T], written: Callable[[_T], Written], together: int) -> Iterable[list[_T]]:
    """Those whose conversations are of like lengths."""
    ordered = sorted(things, key=lambda thing: len(written(thing).ids))
    return (ordered[first : first + together] for first in range(0, len(ordered), together))


def _images(episodes: Sequence[Episode]) -> Images:
    pixels = [image for episode in episodes for image in episode.pixels]
    owners, numbers = [], []
    for episode in episodes:
        for number, (image, things) in enumerate(zip(episode.pixels, episode.things, strict=True)):
            true = truth(things[None], image.shape[0] // TOKEN, image.shape[1] // TOKEN)
            owners.append(torch.where(true.owner[0] >= 0, true.owner[0] + MOST * number, -1))
            numbers.append(true.numbers[0])
    return Images(pack(pixels), torch.cat(owners), torch.cat(numbers))


def on(thing: _T, device: torch.device) -> _T:
    """A lesson, or a part of one, with all its tensors on `device`."""
    made: Any = thing
    if isinstance(thing, torch.Tensor):
        made = thing.to(device)
    elif isinstance(thing, tuple):
        made = tuple(on(part, device) for part in thing)
    elif is_dataclass(thing):
        parts = {field.name: on(getattr(thing, field.name), device) for field in fields(thing)}
        made = replace(thing, **parts)  # type: ignore[type-var]
    found: _T = made
    return found
