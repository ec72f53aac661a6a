"""What the language model answers, in its own words, about views that it was not trained on."""

from __future__ import annotations

import json
import math
from random import Random

import torch

from cof_agent.scenes.split import Split
from training.tiny_pretrain.chunks import make_views
from training.tiny_pretrain.dialogue import Exchange, exchanges
from training.tiny_pretrain.framing import TOKEN, Kind
from training.tiny_pretrain.lean_tower import pack
from training.tiny_pretrain.pupil import Pupil

PLACES: tuple[tuple[Kind, tuple[int, int]], ...] = (("overview", (8, 7)), ("zoom", (4, 4)))
"""Kinds of views that are asked about, with their columns and rows of tokens."""

_LONGEST = 16
"""Tokens of an answer."""


@torch.no_grad()
def measure_answers(pupil: Pupil, views: int) -> dict[str, float]:
    """Shares of right answers, 0 to 1, by kind of view and question, each word chosen after the model's own.

    A box (of questions `place` and `one`) is right when its middle lies in the true one or the other way round. `away`
    is the median distance of the middles in pixels of the view, over answers that are boxes; `refused` the share of
    those that are none.
    """
    found: dict[str, float] = {}
    for kind, grid in PLACES:
        kept: dict[str, list[float]] = {}
        made = make_views(kind, grid, range(views), Split.VALIDATION)
        tokens = pupil.look(pack(list(made.pixels)))
        for number, things in enumerate(made.things):
            chance = Random(f"asked {number}")
            for asked in exchanges(things, grid[0] * TOKEN, grid[1] * TOKEN, 2, chance):
                said = pupil.answer(tokens[number : number + 1], grid, asked.question, _LONGEST)
                for name, value in _judged(pupil, asked, said):
                    kept.setdefault(name, []).append(value)
        for name, values in kept.items():
            mean = sorted(values)[len(values) // 2] if name == "away" else sum(values) / len(values)
            found[f"{kind}/answer/{name}"] = mean
    return found


def _judged(pupil: Pupil, asked: Exchange, said: list[int]) -> list[tuple[str, float]]:
    if asked.kind not in ("place", "one"):
        return [(asked.kind, float(pupil.scribe.text(said) == asked.answer))]
    box, true = pupil.scribe.box(said), json.loads(asked.answer)
    if box is None:
        return [(asked.kind, 0.0), ("refused", 1.0)]
    (x, y), (true_x, true_y) = _middle(box), _middle(true)
    right = _holds(box, true_x, true_y) or _holds(true, x, y)
    return [(asked.kind, float(right)), ("refused", 0.0), ("away", math.hypot(x - true_x, y - true_y))]


def _middle(box: list[int]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _holds(box: list[int], x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
