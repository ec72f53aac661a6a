"""The model that learns, with its readings, and what it is asked at a step."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Qwen2_5_VLForConditionalGeneration

from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.quiet import quietly
from training.tiny_pretrain.chunks import Views
from training.tiny_pretrain.dialogue import exchanges
from training.tiny_pretrain.guidance import guide_loss
from training.tiny_pretrain.heads import Heads, near
from training.tiny_pretrain.lean_language import Spoken, speak
from training.tiny_pretrain.lean_tower import look
from training.tiny_pretrain.transcript import Batch, Scribe
from training.tiny_pretrain.truth import NOTHING, Truth, truth

HEADS = "heads.safetensors"
"""Beside the weights of a checkpoint: the readings of its visual tokens, which only training needs."""
DTYPE = torch.bfloat16
"""In which is computed. Weights are kept in float32."""


class Pupil(nn.Module):
    """A Qwen2.5-VL of our own, the readings of its visual tokens, and its tokenizer."""

    def __init__(self, folder: Path, questions: int) -> None:
        """Open the checkpoint in `folder`; `questions` are asked about each view, 0: the language model rests."""
        super().__init__()
        with quietly():
            self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.heads = Heads(self.model.config.text_config.hidden_size)
        if (folder / HEADS).is_file():
            self.heads.load_state_dict(load_file(folder / HEADS), strict=False)  # an earlier stage may lack some
        self.questions = questions
        processor: Any = load_processor(folder)
        self.scribe = Scribe(processor.tokenizer)
        if not questions:
            for name, weight in self.model.named_parameters():
                weight.requires_grad_(".visual." in name)

    def look(self, pixels: torch.Tensor) -> torch.Tensor:
        """Visual tokens of views, (views, tokens, width)."""
        return look(self.model.model.visual, pixels, DTYPE)

    def losses(self, views: Views, chance: Random) -> dict[str, torch.Tensor]:
        """What it gets wrong about a batch, by attribute, in nats."""
        columns, rows = views.grid
        tokens = self.look(torch.from_numpy(views.pixels))
        true = truth(views.things, rows, columns)
        losses = self.heads.losses(tokens, true)
        if self.questions:
            height, width = views.pixels.shape[1:3]
            asked = [exchanges(things, width, height, self.questions, chance) for things in views.things]
            losses |= self._text_losses(self.scribe.write(asked, columns * rows), tokens, views, true)
        return losses

    def answer(self, tokens: torch.Tensor, grid: tuple[int, int], question: str, most: int) -> list[int]:
        """What it says, likeliest token first, about one view whose visual tokens are (1, tokens, width)."""
        ids = self.scribe.prompt(question, tokens.shape[1])
        start = len(ids)
        while len(ids) - start < most and ids[-1] != self.scribe.end:
            ids.append(int(self._scores(self._speak(torch.tensor([ids]), tokens, grid).last[:, -1]).argmax()))
        return ids[start:]

    def _text_losses(self, batch: Batch, tokens: torch.Tensor, views: Views, true: Truth) -> dict[str, torch.Tensor]:
        spoken, things = self._speak(batch.ids, tokens, views.grid, watched=True), torch.from_numpy(views.things)
        hidden, before = spoken.last, self.scribe.before
        losses = self.heads.place_loss(spoken.half[:, before : before + tokens.shape[1]], true)
        losses |= guide_loss(spoken.looks, batch.about, true.owner)
        losses |= self.heads.name_loss(spoken.half, batch.about, batch.by, things)
        words = (batch.labels != NOTHING) & (batch.numbers == NOTHING)
        if words.any():
            losses["words"] = F.cross_entropy(self._scores(hidden[words]), batch.labels[words])
        boxes = batch.numbers != NOTHING
        if boxes.any():
            likely = self._scores(hidden[boxes]).log_softmax(-1)[:, self.scribe.number_ids]
            losses["boxes"] = -(near(batch.numbers[boxes]) * likely).sum(-1).mean()
        return losses

    def _speak(self, ids: torch.Tensor, tokens: torch.Tensor, grid: tuple[int, int], watched: bool = False) -> Spoken:
        return speak(self.model, ids, tokens, self.scribe.before, grid, DTYPE, watched)

    def _scores(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.model.lm_head.weight.to(DTYPE)).float()


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
