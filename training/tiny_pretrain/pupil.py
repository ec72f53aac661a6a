"""The model that learns, with its readings, and what it is asked at a step."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Qwen2_5_VLForConditionalGeneration

from cof_agent.dialects import load_profile
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.quiet import quietly
from cof_agent.scenes.scene import MOST
from training.tiny_pretrain.chunks import Views
from training.tiny_pretrain.dialogue import exchanges
from training.tiny_pretrain.episodes import Episode
from training.tiny_pretrain.framing import TOKEN
from training.tiny_pretrain.guidance import guide_loss
from training.tiny_pretrain.heads import STRIP, Heads, near
from training.tiny_pretrain.lean_language import Spoken, speak
from training.tiny_pretrain.lean_tower import look
from training.tiny_pretrain.marks import (
    CHOICE,
    CHOSEN,
    CONCLUSION,
    CONTRARY,
    COORDINATES,
    OPENING,
    SEEN,
    VALUE,
    WHERE,
    Batch,
    Own,
    Written,
)
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import NOTHING, truth

HEADS = "heads.safetensors"
"""Beside the weights of a checkpoint: the readings of its visual tokens, which only training needs."""
_TOGETHER = 8
"""Conversations that are read at once."""
DTYPE = torch.bfloat16
"""In which is computed. Weights are kept in float32."""
_Source = TypeVar("_Source")
"""What a conversation was written from."""


@dataclass(frozen=True, slots=True)
class Sights:
    """Visual tokens of images, one after the other."""

    tokens: torch.Tensor
    """(tokens, width)."""
    owner: torch.Tensor
    """(tokens): the object that each shows as in `Batch.about`, -1 without one."""
    numbers: torch.Tensor
    """(tokens, 4), as in `Truth`."""

    @property
    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.tokens, self.owner, self.numbers


class Pupil(nn.Module):
    """A Qwen2.5-VL of our own, the readings of its visual tokens, and its tokenizer."""

    def __init__(self, folder: Path, questions: int, tower: bool = True) -> None:
        """Open the checkpoint in `folder`; `questions` are asked about each view, 0: the language model rests.

        Without `tower` the vision tower stays as it is.
        """
        super().__init__()
        with quietly():
            self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.heads = Heads(self.model.config.text_config.hidden_size)
        if (folder / HEADS).is_file():
            self.heads.load_state_dict(load_file(folder / HEADS), strict=False)  # an earlier stage may lack some
        self.questions = questions
        self.processor: Any = load_processor(folder)
        self.scribe = Scribe(self.processor.tokenizer)
        self.profile = load_profile(folder / "focus.json")
        self.tower = tower
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(tower if ".visual." in name else questions > 0)

    def look(self, pixels: torch.Tensor) -> torch.Tensor:
        """Visual tokens of views, (views, tokens, width)."""
        return look(self.model.model.visual, pixels, DTYPE)

    def losses(self, views: Views, chance: Random) -> dict[str, torch.Tensor]:
        """What it gets wrong about a batch, by attribute, in nats."""
        columns, rows = views.grid
        tokens = self.look(torch.from_numpy(views.pixels))
        true = truth(views.things, rows, columns)
        losses = self.heads.losses(tokens, true) if self.tower else {}
        if self.questions:
            height, width = views.pixels.shape[1:3]
            asked = [exchanges(things, width, height, self.questions, chance) for things in views.things]
            sights = Sights(tokens.flatten(0, 1), true.owner.flatten(), true.numbers.flatten(0, 1))
            losses |= self._text_losses(self.scribe.write(asked, views.grid), sights)
        return losses

    def answer(self, tokens: torch.Tensor, grid: tuple[int, int], question: str, most: int) -> list[int]:
        """What it says, likeliest token first, about one view whose visual tokens are (1, tokens, width)."""
        ids = self.scribe.prompt(question, tokens.shape[1])
        start = len(ids)
        while len(ids) - start < most and ids[-1] != self.scribe.end:
            spoken = speak(self.model, torch.tensor([ids]), tokens.flatten(0, 1), [[grid]], DTYPE)
            ids.append(int(self._scores(spoken.last[:, -1]).argmax()))
        return ids[start:]

    def episode_losses(self, episodes: Sequence[Episode]) -> dict[str, torch.Tensor]:
        """The same about whole conversations."""
        written = [(self.scribe.episode(told.text, told.grids, told.own), told) for told in episodes]
        return _by_length(written, lambda rows, told: self._text_losses(self.scribe.batch(rows), self._sights(told)))

    def text_losses(self, told: Sequence[tuple[str, Sequence[Own]]]) -> dict[str, torch.Tensor]:
        """The same about conversations with words for images: all but boxes and places that only an image tells."""
        written = [(self.scribe.episode(text, (), own), own) for text, own in told]

        def losses(rows: Sequence[Written], _: object) -> dict[str, torch.Tensor]:
            batch = self.scribe.batch(rows)
            looked = _lefts(batch) | _again(batch)
            spoken = self._read(batch, _first(looked) if looked.any() else None)
            losses = self._word_losses(batch, spoken)
            return losses | self._left_losses(batch, spoken) | self._again_losses(batch, spoken)

        return _by_length(written, losses)

    def drill_losses(self, told: Sequence[tuple[str, Sequence[Own]]]) -> dict[str, torch.Tensor]:
        """The same about the letters of options, in texts that tell them all.

        Half-way the end of an option's line must tell its letter (`lines`): there it is looked up.
        """
        batch = self.scribe.batch([self.scribe.episode(text, (), own) for text, own in told])
        letters = batch.about[:, :, 1] >= CHOSEN
        first = int(letters.any(0).int().argmax())
        spoken = self._read(batch, first)
        ends = batch.owner >= CHOSEN
        norm = self.model.model.language_model.norm
        half = F.rms_norm(spoken.half[ends], norm.weight.shape, norm.weight.to(DTYPE), norm.variance_epsilon)
        return guide_loss(spoken.looks, batch.about[:, first:], batch.owner) | {
            "letters": F.cross_entropy(self._scores(spoken.last[letters]), batch.labels[letters]),
            "lines": F.cross_entropy(self._scores(half), self.scribe.letter_ids[batch.owner[ends] - CHOSEN]),
        }

    def tour_losses(self, told: Sequence[tuple[str, Sequence[Own]]]) -> dict[str, torch.Tensor]:
        """How far off its choices are in texts that look at all of a list."""
        batch = self.scribe.batch([self.scribe.episode(text, (), own) for text, own in told])
        spoken = self._read(batch, _first(_lefts(batch)))
        return self._choice_losses(batch, spoken) | self._left_losses(batch, spoken)

    def _read(self, batch: Batch, first: int | None = None) -> Spoken:
        """Texts without images."""
        nothing = torch.zeros(0, self.model.config.text_config.hidden_size)
        return speak(self.model, batch.ids, nothing, batch.grids, DTYPE, first)

    def _sights(self, episodes: Sequence[Episode]) -> Sights:
        """All images in their order; those of one size are looked at together."""
        pixels = [image for episode in episodes for image in episode.pixels]
        things = [image for episode in episodes for image in episode.things]
        nth = [number for episode in episodes for number in range(len(episode.pixels))]
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(pixels):
            alike.setdefault(image.shape, []).append(place)
        found: dict[int, Sights] = {}
        for (height, width, _), places in alike.items():
            true = truth(np.stack([things[place] for place in places]), height // TOKEN, width // TOKEN)
            tokens = self.look(torch.from_numpy(np.stack([pixels[place] for place in places])))
            for row, place in enumerate(places):
                owner = true.owner[row]
                coded = torch.where(owner >= 0, owner + MOST * nth[place], owner)
                found[place] = Sights(tokens[row], coded, true.numbers[row])
        ordered = [found[place] for place in range(len(pixels))]
        return Sights(*(torch.cat(parts) for parts in zip(*(sights.parts for sights in ordered), strict=True)))

    def _text_losses(self, batch: Batch, sights: Sights) -> dict[str, torch.Tensor]:
        first = _first(batch.about[:, :, 0] >= 0)
        spoken = speak(self.model, batch.ids, sights.tokens, batch.grids, DTYPE, first)
        owners, visual = batch.owner.clone(), batch.ids == self.scribe.placeholder
        owners[visual] = sights.owner
        losses = self.heads.place_loss(spoken.half[visual], sights.numbers)
        losses |= guide_loss(spoken.looks, batch.about[:, first:], owners)
        losses |= self.heads.name_loss(spoken.half, batch.names)
        losses |= self._word_losses(batch, spoken)
        lefts, places, again = _lefts(batch) & (batch.labels != NOTHING), batch.turning == WHERE, _again(batch)
        boxes = (batch.numbers != NOTHING) & ~_lefts(batch) & ~places
        for name, where in (("boxes", boxes), ("lefts", lefts), ("told", places & ~again), ("retold", again)):
            if where.any():
                likely = self._scores(spoken.last[where]).log_softmax(-1)[:, self.scribe.number_ids]
                losses[name] = -(near(batch.numbers[where]) * likely).sum(-1).mean()
        chosen = torch.where((lefts | places)[:, first:, None], batch.about[:, first:], -1)
        aims = guide_loss(spoken.looks, chosen, owners)
        return losses | ({"aims": aims["looks"]} if aims else {})

    def _choice_losses(self, batch: Batch, spoken: Spoken) -> dict[str, torch.Tensor]:
        """Of the colours and the left sides that tell what is looked at: half-way it must tell those chosen before,
        also by mistake."""
        losses, lefts = {}, _lefts(batch)
        coloured = (batch.turning == CHOICE) & ~lefts
        if coloured.any():
            said = batch.ids.roll(-1, 1)[:, :, None] == self.scribe.colour_ids
            before = _before(said & coloured[:, :, None])
            losses["looked"] = self.heads.looked_loss(spoken.half[coloured], before[coloured])
        if lefts.any():
            strips = batch.numbers[:, :, None] // STRIP == torch.arange(self.heads.strips.out_features)
            losses["strips"] = self.heads.strips_loss(spoken.half[lefts], _before(strips & lefts[:, :, None])[lefts])
        chosen = coloured & (batch.labels != NOTHING)
        if chosen.any():
            losses["choices"] = F.cross_entropy(self._scores(spoken.last[chosen]), batch.labels[chosen])
        return losses

    def _left_losses(self, batch: Batch, spoken: Spoken) -> dict[str, torch.Tensor]:
        """Of the left sides that it chooses from those that the text told first: there it is to look."""
        own = batch.labels != NOTHING
        lefts = _lefts(batch) & own
        about = torch.where(lefts, batch.labels, -1)[:, :, None].expand(-1, -1, 2)
        told = (own.cumsum(1) == 0) & torch.isin(batch.ids, self.scribe.number_ids)
        found = self._looked_up(batch, spoken, lefts, about, torch.where(told, batch.ids, -1))
        return dict(zip(("lefts", "looks"), found, strict=False))

    def _again_losses(self, batch: Batch, spoken: Spoken) -> dict[str, torch.Tensor]:
        """Of the places that the text has told before: there it is to look."""
        again = _again(batch)
        about = torch.where(again[:, :, None], batch.about, -1)
        return dict(zip(("retold", "aims"), self._looked_up(batch, spoken, again, about, batch.owner), strict=False))

    def _looked_up(
        self, batch: Batch, spoken: Spoken, where: torch.Tensor, about: torch.Tensor, owner: torch.Tensor
    ) -> list[torch.Tensor]:
        """How far off it is in what follows `where` (texts, length), and in looking there as `guide_loss` says."""
        if not where.any():
            return []
        aims = guide_loss(spoken.looks, about[:, -spoken.looks[0].shape[2] :], owner)
        return [F.cross_entropy(self._scores(spoken.last[where]), batch.labels[where]), *aims.values()]

    def _word_losses(self, batch: Batch, spoken: Spoken) -> dict[str, torch.Tensor]:
        """In nats, times the weights below."""
        hidden = spoken.last
        words = (batch.labels != NOTHING) & (batch.numbers == NOTHING)
        losses = self._choice_losses(batch, spoken)
        for name, where, weight in (
            ("words", words, 1.0),
            ("values", batch.turning == VALUE, 3.0),
            ("seen", words & (batch.turning == SEEN), 1.5),
            ("contrary", words & (batch.turning == CONTRARY), 0.7),
            ("openings", batch.turning == OPENING, 0.5),
            ("conclusions", batch.turning == CONCLUSION, 1.0),
        ):  # what is said around what conversations turn on is more than enough to learn from
            if where.any():
                losses[name] = weight * F.cross_entropy(self._scores(hidden[where]), batch.labels[where])
        return losses

    def _scores(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.model.lm_head.weight.to(DTYPE)).float()


def _lefts(batch: Batch) -> torch.Tensor:
    """Where a left side follows that tells what is looked at, (texts, length)."""
    return (batch.turning == CHOICE) & (batch.numbers != NOTHING)


def _again(batch: Batch) -> torch.Tensor:
    """Where a place follows that the text has told before, (texts, length)."""
    return (batch.turning == WHERE) & (batch.about[:, :, 1] >= COORDINATES)


def _first(places: torch.Tensor) -> int:
    """The first place, 1 at least, at which one of `places` (texts, length) is true."""
    return max(1, int(places.any(0).int().argmax()))


def _before(chosen: torch.Tensor) -> torch.Tensor:
    """1 for what was `chosen` (texts, length, things) at an earlier place of the text, else 0."""
    return (chosen.long().cumsum(1) - chosen.long() > 0).float()


def _by_length(
    written: list[tuple[Written, _Source]],
    losses: Callable[[Sequence[Written], Sequence[_Source]], dict[str, torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """The mean losses of conversations, each with what it was made of; those of like lengths are read together."""
    ordered = sorted(written, key=lambda pair: len(pair[0].ids))
    parts: dict[str, list[tuple[torch.Tensor, int]]] = {}
    for first in range(0, len(ordered), _TOGETHER):
        rows, told = zip(*ordered[first : first + _TOGETHER], strict=True)
        for name, loss in losses(rows, told).items():
            parts.setdefault(name, []).append((loss, len(rows)))
    return {
        name: torch.stack([loss * count for loss, count in found]).sum() / sum(count for _, count in found)
        for name, found in parts.items()
    }


def write_model(pupil: Pupil, base: Path, folder: Path) -> None:
    """Write the weights to `folder`, in bfloat16, with the small files of the checkpoint `base` and the readings."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(base, part, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    with quietly():
        copy.deepcopy(pupil.model).to(DTYPE).save_pretrained(part)
    save_file({name: weight.to(DTYPE) for name, weight in pupil.heads.state_dict().items()}, part / HEADS)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
