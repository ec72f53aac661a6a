"""Rendered views in chunks: each view is used several times, cut a little elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from cof_agent.scenes.palette import pick
from cof_agent.scenes.split import Split
from training.tiny_pretrain.framing import KINDS, TOKEN, Kind

OVERVIEWS = (
    (8, 8),
    (8, 7),
    (7, 8),
    (9, 7),
    (7, 9),
    (9, 6),
    (6, 9),
    (10, 6),
    (6, 10),
    (10, 5),
    (5, 10),
    (11, 5),
    (5, 11),
)
"""Columns and rows of the overviews of at most 224² pixels that scenes have."""
REGIONS = ((4, 4), (4, 4), (4, 4), (5, 5), (6, 6), (4, 6), (6, 4), (7, 7), (8, 8))
"""Those of regions; most are small."""


@dataclass(frozen=True, slots=True)
class Views:
    """Views of one size."""

    pixels: NDArray[np.uint8]
    """(views, height, width, 3)."""
    things: NDArray[np.float32]
    """(views, objects, `FIELDS`), in pixels of these views."""

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows of visual tokens."""
        return self.pixels.shape[2] // TOKEN, self.pixels.shape[1] // TOKEN


@dataclass(frozen=True, slots=True)
class Plan:
    """Which views there are, and when: a function of the seed alone."""

    seed: int
    tokens: int
    """Visual tokens of a batch."""
    reuse: int
    """How often a view is used, on average."""
    mix: Mapping[Kind, float]
    """Shares of the kinds of views."""
    held: int = 12
    """Chunks that batches are drawn from."""
    batches: int = 4
    """Views of a chunk, in batches."""

    @property
    def steps(self) -> int:
        """Steps for which a chunk is the newest."""
        return self.batches * self.reuse

    def views(self, columns: int, rows: int) -> int:
        """Views of a batch."""
        return max(1, self.tokens // (columns * rows))

    def kind(self, number: int) -> Kind:
        """What chunk `number` shows."""
        return Random(f"kind {self.seed} {number}").choices(list(self.mix), list(self.mix.values()))[0]

    def grid(self, number: int) -> tuple[int, int]:
        """Columns and rows of what is cut from chunk `number`."""
        kind, chance = self.kind(number), Random(f"grid {self.seed} {number}")
        sizes = {"overview": OVERVIEWS, "zoom": REGIONS, "crowd": OVERVIEWS if chance.random() < 0.3 else REGIONS}
        return pick(chance, sizes[kind])


def make_chunk(plan: Plan, number: int) -> Views:
    """Render chunk `number`: views a token wider and higher than what is cut from them."""
    columns, rows = plan.grid(number)
    count = plan.batches * plan.views(columns, rows)
    first = (plan.seed * 10**6 + number) * 10**4
    return make_views(plan.kind(number), (columns + 1, rows + 1), range(first, first + count), Split.TRAIN)


def make_views(kind: Kind, grid: tuple[int, int], scenes: range, split: Split) -> Views:
    """Render a view of each scene, of `grid` (columns, rows) visual tokens."""
    shown = (grid[0] * TOKEN, grid[1] * TOKEN)
    pixels = np.empty((len(scenes), shown[1], shown[0], 3), dtype=np.uint8)
    things = []
    for place, scene in enumerate(scenes):
        framing = KINDS[kind](scene, shown, split, Random(f"framing {split} {scene}"))
        pixels[place] = framing.picture()
        things.append(framing.things())
    return Views(pixels, np.stack(things))


@dataclass
class Chunks:
    """Batches of a plan: the same at the same step, also after a new start."""

    plan: Plan
    _made: dict[int, Views] = field(default_factory=dict)

    def batch(self, step: int) -> Views:
        """The batch of a step: views cut at random from those of a chunk."""
        oldest = step // self.plan.steps
        newest = oldest + self.plan.held - 1
        chance = np.random.default_rng([self.plan.seed, step])
        number = int(chance.integers(oldest, newest + 1))
        self._made = {made: views for made, views in self._made.items() if oldest <= made <= newest}
        if number not in self._made:
            self._made[number] = make_chunk(self.plan, number)
        chunk = self._made[number]
        columns, rows = (side - 1 for side in chunk.grid)
        views = chance.choice(len(chunk.pixels), self.plan.views(columns, rows), replace=False)
        pixels = np.empty((len(views), rows * TOKEN, columns * TOKEN, 3), dtype=np.uint8)
        things = chunk.things[views].copy()
        cuts = chance.integers(0, TOKEN, (len(views), 2))
        for place, (view, (left, top)) in enumerate(zip(views, cuts, strict=True)):
            pixels[place] = chunk.pixels[view, top : top + rows * TOKEN, left : left + columns * TOKEN]
        things[:, :, :4] -= np.tile(cuts, 2)[:, None, :]
        return Views(pixels, things)
