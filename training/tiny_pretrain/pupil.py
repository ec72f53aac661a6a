"""The model that learns, with its readings, and what it gets wrong."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Qwen2_5_VLForConditionalGeneration

from cof_agent.dialects import load_profile
from cof_agent.files import atomic_directory
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.quiet import quietly
from training.tiny_pretrain.guidance import guide_loss
from training.tiny_pretrain.heads import STRIP, Heads, near
from training.tiny_pretrain.lean_language import Spoken, positions, speak
from training.tiny_pretrain.lean_tower import Packed, look
from training.tiny_pretrain.lessons import Images, Lesson, Reading, on
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
)
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import NOTHING, Truth

HEADS = "heads.safetensors"
"""Beside the weights of a checkpoint: the readings of its visual tokens, which only training needs."""
Losses = dict[str, torch.Tensor]
"""By name."""
KEPT = torch.bfloat16
"""In which weights are written."""


class Pupil(nn.Module):
    """A Qwen2.5-VL of our own, the readings of its visual tokens, and its tokenizer."""

    _number_ids: torch.Tensor
    _letter_ids: torch.Tensor
    _colour_ids: torch.Tensor

    def __init__(self, folder: Path, questions: int, tower: bool = True, dtype: torch.dtype = torch.bfloat16) -> None:
        """Open the checkpoint in `folder`; `questions` are asked about each view, 0: the language model rests.

        Without `tower` the vision tower stays as it is. It computes in `dtype`; weights are float32.
        """
        super().__init__()
        self.dtype = dtype
        with quietly():
            self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.heads = Heads(self.model.config.text_config.hidden_size)
        if (folder / HEADS).is_file():
            self.heads.load_state_dict(load_file(folder / HEADS), strict=False)  # an earlier stage may lack some
        self.questions = questions
        self.processor: Any = load_processor(folder)
        self.scribe = Scribe(self.processor.tokenizer)
        self.profile = load_profile(folder / "focus.json")
        for name in ("number_ids", "letter_ids", "colour_ids"):
            self.register_buffer(f"_{name}", getattr(self.scribe, name), persistent=False)
        self.tower = tower
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(tower if ".visual." in name else questions > 0)

    @property
    def device(self) -> torch.device:
        return self.heads.places.weight.device

    def look(self, packed: Packed) -> torch.Tensor:
        """Visual tokens of images, (images, tokens, width)."""
        return look(self.model.model.visual, on(packed, self.device), self.dtype)

    def losses(self, lesson: Lesson) -> Iterator[Losses]:
        """What it gets wrong, by what is asked, in nats: about views, then about each kind of text."""
        yield self.view_losses(lesson.views, lesson.true)
        for kind, readings, losses in (
            ("text", lesson.texts, self.text_losses),
            ("drill", lesson.drills, self.drill_losses),
            ("tour", lesson.tours, self.tour_losses),
            ("episode", lesson.episodes, self.episode_losses),
        ):
            yield {f"{kind}/{name}": loss for name, loss in mean_losses(readings, losses).items()}

    def view_losses(self, views: Reading, true: Truth) -> Losses:
        """What it gets wrong about views, by attribute, and about the questions about them."""
        assert views.images
        tokens = self.look(views.images.packed)
        losses = self.heads.losses(tokens, true) if self.tower else {}
        if self.questions:
            losses |= self._image_losses(views.batch, tokens.flatten(0, 1), views.images)
        return losses

    def answer(self, tokens: torch.Tensor, grid: tuple[int, int], question: str, most: int) -> list[int]:
        """What it says, likeliest token first, about one view whose visual tokens are (1, tokens, width)."""
        ids = self.scribe.prompt(question, tokens.shape[1])
        start = len(ids)
        while len(ids) - start < most and ids[-1] != self.scribe.end:
            written = torch.tensor([ids])
            where = positions(written, [[grid]], self.scribe.placeholder)
            spoken = speak(self.model, written.to(self.device), tokens.flatten(0, 1), where.to(self.device), self.dtype)
            ids.append(int(self._scores(spoken.last[:, -1]).argmax()))
        return ids[start:]

    def episode_losses(self, reading: Reading) -> Losses:
        """The same about whole conversations."""
        assert reading.images
        packed = reading.images.packed
        return self._image_losses(reading.batch, self.look(packed)[packed.tokens], reading.images)

    def text_losses(self, reading: Reading) -> Losses:
        """The same about conversations with words for images: all but boxes and places that only an image tells."""
        batch = reading.batch
        looked = _lefts(batch) | _again(batch)
        spoken = self._read(batch, _first(looked) if looked.any() else None)
        losses = self._word_losses(batch, spoken)
        return losses | self._left_losses(batch, spoken) | self._again_losses(batch, spoken)

    def drill_losses(self, reading: Reading) -> Losses:
        """The same about the letters of options, in texts that tell them all.

        Half-way the end of an option's line must tell its letter (`lines`): there it is looked up.
        """
        batch = reading.batch
        letters = batch.about[:, :, 1] >= CHOSEN
        first = int(letters.any(0).int().argmax())
        spoken = self._read(batch, first)
        ends = batch.owner >= CHOSEN
        norm = self.model.model.language_model.norm
        half = F.rms_norm(spoken.half[ends], norm.weight.shape, norm.weight.to(self.dtype), norm.variance_epsilon)
        return guide_loss(spoken.looks, batch.about[:, first:], batch.owner) | {
            "letters": F.cross_entropy(self._scores(spoken.last[letters]), batch.labels[letters]),
            "lines": F.cross_entropy(self._scores(half), self._letter_ids[batch.owner[ends] - CHOSEN]),
        }

    def tour_losses(self, reading: Reading) -> Losses:
        """How far off its choices are in texts that look at all of a list."""
        batch = reading.batch
        spoken = self._read(batch, _first(_lefts(batch)))
        return self._choice_losses(batch, spoken) | self._left_losses(batch, spoken)

    def _read(self, batch: Batch, first: int | None = None) -> Spoken:
        """Texts without images."""
        nothing = torch.zeros(0, self.model.config.text_config.hidden_size, device=self.device)
        return speak(self.model, batch.ids, nothing, batch.positions, self.dtype, first)

    def _image_losses(self, batch: Batch, tokens: torch.Tensor, images: Images) -> Losses:
        """About texts with `images`, whose visual tokens are `tokens`, one after the other."""
        first = _first(batch.about[:, :, 0] >= 0)
        spoken = speak(self.model, batch.ids, tokens, batch.positions, self.dtype, first)
        owners, visual = batch.owner.clone(), batch.ids == self.scribe.placeholder
        owners[visual] = images.owner
        losses = self.heads.place_loss(spoken.half[visual], images.numbers)
        losses |= guide_loss(spoken.looks, batch.about[:, first:], owners)
        losses |= self.heads.name_loss(spoken.half, batch.names)
        losses |= self._word_losses(batch, spoken)
        lefts, places, again = _lefts(batch) & (batch.labels != NOTHING), batch.turning == WHERE, _again(batch)
        boxes = (batch.numbers != NOTHING) & ~_lefts(batch) & ~places
        for name, where in (("boxes", boxes), ("lefts", lefts), ("told", places & ~again), ("retold", again)):
            if where.any():
                likely = self._scores(spoken.last[where]).log_softmax(-1)[:, self._number_ids]
                losses[name] = -(near(batch.numbers[where]) * likely).sum(-1).mean()
        chosen = torch.where((lefts | places)[:, first:, None], batch.about[:, first:], -1)
        aims = guide_loss(spoken.looks, chosen, owners)
        return losses | ({"aims": aims["looks"]} if aims else {})

    def _choice_losses(self, batch: Batch, spoken: Spoken) -> Losses:
        """Of the colours and the left sides that tell what is looked at: half-way it must tell those chosen before,
        also by mistake."""
        losses, lefts = {}, _lefts(batch)
        coloured = (batch.turning == CHOICE) & ~lefts
        if coloured.any():
            said = batch.ids.roll(-1, 1)[:, :, None] == self._colour_ids
            before = _before(said & coloured[:, :, None])
            losses["looked"] = self.heads.looked_loss(spoken.half[coloured], before[coloured])
        if lefts.any():
            count = self.heads.strips.out_features
            strips = batch.numbers[:, :, None] // STRIP == torch.arange(count, device=self.device)
            losses["strips"] = self.heads.strips_loss(spoken.half[lefts], _before(strips & lefts[:, :, None])[lefts])
        chosen = coloured & (batch.labels != NOTHING)
        if chosen.any():
            losses["choices"] = F.cross_entropy(self._scores(spoken.last[chosen]), batch.labels[chosen])
        return losses

    def _left_losses(self, batch: Batch, spoken: Spoken) -> Losses:
        """Of the left sides that it chooses from those that the text told first: there it is to look."""
        own = batch.labels != NOTHING
        lefts = _lefts(batch) & own
        about = torch.where(lefts, batch.labels, -1)[:, :, None].expand(-1, -1, 2)
        told = (own.cumsum(1) == 0) & torch.isin(batch.ids, self._number_ids)
        found = self._looked_up(batch, spoken, lefts, about, torch.where(told, batch.ids, -1))
        return dict(zip(("lefts", "looks"), found, strict=False))

    def _again_losses(self, batch: Batch, spoken: Spoken) -> Losses:
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

    def _word_losses(self, batch: Batch, spoken: Spoken) -> Losses:
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
        return F.linear(hidden, self.model.lm_head.weight.to(self.dtype)).float()


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


def mean_losses(readings: Sequence[Reading], losses: Callable[[Reading], Losses]) -> Losses:
    """The mean losses of texts."""
    parts: dict[str, list[tuple[torch.Tensor, int]]] = {}
    for reading in readings:
        for name, loss in losses(reading).items():
            parts.setdefault(name, []).append((loss, len(reading.batch.ids)))
    return {
        name: torch.stack([loss * count for loss, count in found]).sum() / sum(count for _, count in found)
        for name, found in parts.items()
    }


def write_model(pupil: Pupil, base: Path, folder: Path) -> None:
    """Write the weights to `folder`, in bfloat16, with the small files of the checkpoint `base` and the readings."""
    with atomic_directory(folder, private=False) as part:
        shutil.copytree(base, part, ignore=shutil.ignore_patterns("*.safetensors", "config.json"), dirs_exist_ok=True)
        with quietly():
            copy.deepcopy(pupil.model).to(KEPT).save_pretrained(part)
        save_file({name: weight.to(KEPT) for name, weight in pupil.heads.state_dict().items()}, part / HEADS)
