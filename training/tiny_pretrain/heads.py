"""What the vision tower is asked of each visual token, and how far off it is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES
from training.tiny_pretrain.marks import NAMING
from training.tiny_pretrain.truth import GROUND, LEVELS, NOTHING, NUMBERS, Truth

LONGEST = 16
"""Rows and columns are told up to so many."""

CLASSES: Mapping[str, int] = {
    "colour": len(COLOURS) + 1,
    "shape": len(SHAPES),
    "character": len(CHARACTERS),
    "legibility": len(LEVELS) + 1,
    "row": LONGEST,
    "column": LONGEST,
}
_NAMES = {name: len(values) for name, values in NAMING.items()}
STRIP = 14
"""Pixels of an overview: what has been looked at is told by the strip of this width in which it begins."""
WAVES = 16
"""A number is told by the cosine and sine of so many wavelengths."""

_SPREAD = 1.5
"""A number this far beside the true one, in pixels, is wanted exp(-1/2) times as much."""
_GROUND = 0.1
"""Weight of tokens without an object among colours: most have none."""


def number_waves(count: int = NUMBERS) -> torch.Tensor:
    """Numbers 0 to `count` - 1 as waves, (count, 2 · `WAVES`): near numbers are alike, and all differ."""
    lengths = 4.0 * (count / 2.0) ** (torch.arange(WAVES) / (WAVES - 1))
    angles = 2 * torch.pi * torch.arange(count)[:, None] / lengths
    return torch.cat((angles.cos(), angles.sin()), 1)


def near(numbers: torch.Tensor, count: int = NUMBERS) -> torch.Tensor:
    """How much each number from 0 to `count` - 1 is wanted where `numbers` are true, (…, count), 1 in all."""
    away = torch.arange(count, device=numbers.device) - numbers[..., None]
    return torch.softmax(-0.5 * (away / _SPREAD) ** 2, -1)


class Heads(nn.Module):
    """Linear readings of visual tokens.

    The tower is asked where an object lies seen from the token, and the language model where it lies in the view: the
    tower's positions are relative, the language model's begin with the text before the image.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classes = nn.Linear(width, sum(CLASSES.values()))
        self.offsets = nn.Linear(width, 4 * 2 * WAVES)
        self.places = nn.Linear(width, 4 * 2 * WAVES)
        self.named = nn.Linear(width, 2 * sum(_NAMES.values()))
        self.looked = nn.Linear(width, len(COLOURS))
        self.strips = nn.Linear(width, -(-NUMBERS // STRIP))
        self.register_buffer("_far", number_waves(2 * NUMBERS), persistent=False)
        self.register_buffer("_waves", number_waves(), persistent=False)

    def read(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of the classes of each attribute, (…, classes)."""
        scores = self.classes(tokens.float()).split(list(CLASSES.values()), -1)
        return dict(zip(CLASSES, scores, strict=True))

    def read_offsets(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the four offsets of a box from a token's left and top, plus `NUMBERS`: (…, 4, 2 · `NUMBERS`)."""
        return self.offsets(tokens.float()).unflatten(-1, (4, -1)) @ self._far.T

    def read_places(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores of the four coordinates in the view, (…, 4, `NUMBERS`), from states of the language model."""
        return self.places(hidden.float()).unflatten(-1, (4, -1)) @ self._waves.T

    def losses(self, tokens: torch.Tensor, true: Truth) -> dict[str, torch.Tensor]:
        """Cross-entropy of each attribute, in nats; `tokens` is (views, tokens, width). Objects count alike."""
        found = {}
        for name, scores in self.read(tokens).items():
            target = getattr(true, name)
            where = target != NOTHING
            weight = true.share if name in ("colour", "shape") else torch.ones_like(true.share)
            if name == "colour":
                weight = torch.where(target == GROUND, _GROUND, weight)
            if where.any():
                missed = F.cross_entropy(scores[where], target[where], reduction="none")
                found[name] = (weight[where] * missed).sum() / weight[where].sum()
        where = true.owned
        if where.any():
            weight = true.share[where]
            found["offsets"] = (
                weight * _misses(self.read_offsets(tokens[where]), true.offsets[where])
            ).sum() / weight.sum()
        return found

    def place_loss(self, hidden: torch.Tensor, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        """The same of coordinates, from the language model's states at visual tokens (tokens, width).

        `numbers` (tokens, 4) are `Truth.numbers` of the same tokens.
        """
        where = numbers[:, 0] != NOTHING
        return {"places": _misses(self.read_places(hidden[where]), numbers[where]).mean()} if where.any() else {}

    def looked_loss(self, hidden: torch.Tensor, looked: torch.Tensor) -> torch.Tensor:
        """How far off the language model is about the colours that it has looked at, in nats, where it chooses another.

        `hidden` is (choices, width), `looked` (choices, colours): 1 for those.
        """
        return F.binary_cross_entropy_with_logits(self.looked(hidden.float()), looked)

    def strips_loss(self, hidden: torch.Tensor, looked: torch.Tensor) -> torch.Tensor:
        """The same of the strips of the overview, `looked` (choices, strips), where it chooses a left side."""
        return F.binary_cross_entropy_with_logits(self.strips(hidden.float()), looked)

    def name_loss(self, hidden: torch.Tensor, names: torch.Tensor) -> dict[str, torch.Tensor]:
        """How far off the language model is about what is named, in nats, where it answers.

        `hidden` is (texts, length, width), `names` as in a `Batch`.
        """
        text, place = torch.nonzero((names != NOTHING).flatten(2).any(-1), as_tuple=True)
        scores = self.named(hidden[text, place].float()).unflatten(-1, (2, -1)).split(list(_NAMES.values()), -1)
        true = names[text, place].unbind(-1)
        losses = [
            F.cross_entropy(part.flatten(0, 1), values.flatten(), ignore_index=NOTHING)
            for part, values in zip(scores, true, strict=True)
            if (values != NOTHING).any()
        ]
        return {"named": torch.stack(losses).mean()} if losses else {}


def _misses(scores: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Of each token, the mean over its numbers."""
    wanted = near(numbers, scores.shape[-1])
    return -(wanted * scores.log_softmax(-1)).sum(-1).mean(-1)
