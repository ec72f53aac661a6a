"""What is true of each visual token of a view: dense targets for the vision tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.scene import COLOURS
from training.tiny_pretrain.framing import TOKEN

NOTHING = -100
"""A target that is not asked for."""
GROUND = len(COLOURS)
"""Colour of a token without an object."""
NUMBERS = 336
"""Coordinates are told up to this (exclusive), in whole pixels: the longest overview of 224² pixels has 308."""
LEVELS = tuple(LEGIBLE.values())
"""Sides, in pixels that count, between the levels of legibility."""

READ_FROM: Mapping[str, float] = MappingProxyType({"colour": 1.0, "shape": 5.0, "character": 10.0})
"""Sides, in pixels that count, from which on something of an attribute can be seen: well under what is legible."""
_WHOLE = 0.8
"""Share of an object's square that must lie in the view for its shape and character to be asked for."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Targets of a batch.

    All but `numbers`, `owner`, `side` and `share` are classes of shape (views, tokens), `NOTHING` where none is asked.
    """

    colour: torch.Tensor
    shape: torch.Tensor
    character: torch.Tensor
    """On the token under the object's middle alone, where the evidence is."""
    legibility: torch.Tensor
    """How many of colour, shape and character can be read; on that token too."""
    row: torch.Tensor
    column: torch.Tensor
    numbers: torch.Tensor
    """(views, tokens, 4): left, top, right, bottom of the object in whole pixels of the view, `NOTHING` without one."""
    owner: torch.Tensor
    """(views, tokens): the object's place in the list of the view's objects, -1 without one."""
    side: torch.Tensor
    """(views, tokens), float: the object's side in pixels that count, 0 without one."""
    share: torch.Tensor
    """(views, tokens), float: one over the tokens of its object, 1 without one: objects of any size count alike."""

    @property
    def owned(self) -> torch.Tensor:
        """(views, tokens): whether there is an object."""
        return self.numbers[:, :, 0] != NOTHING

    @property
    def corners(self) -> torch.Tensor:
        """(views, tokens, 4): left, top, left, top of each token in pixels of the view."""
        left, top = self.column * TOKEN, self.row * TOKEN
        return torch.stack((left, top, left, top), -1)

    @property
    def offsets(self) -> torch.Tensor:
        """(views, tokens, 4): `numbers` seen from the token's left and top, plus `NUMBERS`: none is negative."""
        return self.numbers - self.corners + NUMBERS


def truth(things: NDArray[np.float32], rows: int, columns: int) -> Truth:
    """The targets of views of `rows` × `columns` tokens that show `things` (views, objects, `FIELDS`).

    A token belongs to the object whose middle lies in it, else to the one whose square covers the token's middle.
    Of several the largest counts, which comes last in `things`.
    """
    views, count, _ = things.shape
    left, top, right, bottom = (things[:, :, place] for place in range(4))
    there = things[:, :, 7] > 0
    middle_y, middle_x = np.divmod(np.arange(rows * columns), columns)
    token_x, token_y = (middle_x + 0.5) * TOKEN, (middle_y + 0.5) * TOKEN
    owner = np.full((views, rows * columns), -1)
    central = np.zeros((views, rows * columns), dtype=bool)
    for number in range(count):
        inside = (left[:, number, None] <= token_x) & (token_x < right[:, number, None])
        inside &= (top[:, number, None] <= token_y) & (token_y < bottom[:, number, None])
        owner[inside & there[:, number, None]] = number
    column = np.floor((left + right) / 2 / TOKEN).astype(int)
    row = np.floor((top + bottom) / 2 / TOKEN).astype(int)
    for number in range(count):
        seen = there[:, number] & (column[:, number] >= 0) & (column[:, number] < columns)
        seen &= (row[:, number] >= 0) & (row[:, number] < rows)
        at = np.nonzero(seen)[0], (row[seen, number] * columns + column[seen, number])
        owner[at], central[at] = number, True
    belongs = owner >= 0
    mine = np.take_along_axis(things, np.maximum(owner, 0)[:, :, None], axis=1)
    corners = mine[:, :, :4]
    limits = np.array([columns, rows, columns, rows], dtype=np.float32) * TOKEN
    clipped = corners.clip(0, limits)
    area = (corners[:, :, 2] - corners[:, :, 0]) * (corners[:, :, 3] - corners[:, :, 1])
    visible = (clipped[:, :, 2] - clipped[:, :, 0]) * (clipped[:, :, 3] - clipped[:, :, 1])
    whole = visible >= _WHOLE * np.maximum(area, 1e-6)
    side = np.where(belongs, mine[:, :, 7], 0.0)
    asked = {name: belongs & (side >= least) for name, least in READ_FROM.items()}

    def classes(values: NDArray[np.float32], where: NDArray[np.bool_]) -> torch.Tensor:
        return torch.from_numpy(np.where(where, values, NOTHING).astype(np.int64))

    colour = np.where(belongs, mine[:, :, 4], GROUND)
    levels = np.digitize(side, LEVELS).astype(np.float32)
    every = np.ones_like(belongs)
    tokens = (owner[:, :, None] == np.arange(count)).sum(1)
    share = np.where(belongs, 1 / np.take_along_axis(tokens, np.maximum(owner, 0), axis=1).clip(1), 1.0)
    return Truth(
        colour=classes(colour, asked["colour"] | ~belongs),
        shape=classes(mine[:, :, 5], asked["shape"] & whole),
        character=classes(mine[:, :, 6], asked["character"] & whole & central),
        legibility=classes(levels, central & whole),
        row=classes(np.broadcast_to(middle_y, every.shape), every),
        column=classes(np.broadcast_to(middle_x, every.shape), every),
        numbers=torch.from_numpy(
            np.where(belongs[:, :, None], np.rint(clipped).clip(0, NUMBERS - 1), NOTHING).astype(np.int64)
        ),
        owner=torch.from_numpy(owner),
        side=torch.from_numpy(side.astype(np.float32)),
        share=torch.from_numpy(share.astype(np.float32)),
    )
