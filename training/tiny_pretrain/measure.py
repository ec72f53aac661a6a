"""What the vision tower can tell about scenes that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch

from cof_agent.scenes.split import Split
from training.tiny_pretrain.chunks import make_views
from training.tiny_pretrain.framing import Kind
from training.tiny_pretrain.lean_tower import pack
from training.tiny_pretrain.pupil import Pupil
from training.tiny_pretrain.truth import NOTHING, truth

PLACES: tuple[tuple[Kind, tuple[int, int]], ...] = (("overview", (8, 7)), ("zoom", (4, 4)), ("zoom", (7, 7)))
"""Kinds of views that are measured, with their columns and rows of tokens."""

SIDES = {"colour": (3, 8, 16), "shape": (8, 16, 32), "character": (16, 24, 48)}
"""Sides of objects, in pixels that count, between the groups that are counted apart; the first is legible."""

_BATCH = 32


@torch.no_grad()
def measure(pupil: Pupil, views: int) -> dict[str, float]:
    """Shares of right readings, 0 to 1, by kind of view, attribute and side; and errors of boxes in pixels (medians).

    Attributes are counted once for each object, on the token under its middle.
    """
    found: dict[str, float] = {}
    for kind, grid in PLACES:
        name = f"{kind}_{grid[0] * grid[1]}"
        for key, values in _read(pupil, kind, grid, views).items():
            if len(values):
                found[f"{name}/{key}"] = float(values.median() if key.startswith("box") else values.mean())
    return found


def _read(pupil: Pupil, kind: Kind, grid: tuple[int, int], views: int) -> dict[str, torch.Tensor]:
    kept: dict[str, list[torch.Tensor]] = {}
    for first in range(0, views, _BATCH):
        made = make_views(kind, grid, range(first, min(first + _BATCH, views)), Split.VALIDATION)
        true = truth(made.things, grid[1], grid[0])
        tokens = pupil.look(pack(list(made.pixels)))
        central = true.legibility != NOTHING
        for name, scores in pupil.heads.read(tokens).items():
            target = getattr(true, name)
            asked = target != NOTHING if name in ("row", "column") else central & (target != NOTHING)
            right = (scores.argmax(-1).cpu() == target).float()
            for key, where in _groups(name, true.side):
                kept.setdefault(key, []).append(right[asked & where])
        box = pupil.heads.read_offsets(tokens[central.to(tokens.device)]).argmax(-1).cpu()
        kept.setdefault("box", []).append((box - true.offsets[central]).abs().float().mean(-1))
    return {key: torch.cat(values) for key, values in kept.items()}


def _groups(name: str, side: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    if name not in SIDES:
        yield name, torch.ones_like(side, dtype=torch.bool)
        return
    limits = (*SIDES[name], float("inf"))
    yield f"{name}<{limits[0]}", side < limits[0]
    for low, high in pairwise(limits):
        yield f"{name}>={low}", (side >= low) & (side < high)
