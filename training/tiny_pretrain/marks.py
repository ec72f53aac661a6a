"""What the tokens of a conversation are marked with: what is learnt of them, and where one is to look for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch

from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES
from cof_agent.scenes.wording import Name
from training.tiny_pretrain.truth import NOTHING

NAMING: Mapping[str, Sequence[str]] = MappingProxyType({"colour": COLOURS, "shape": SHAPES, "character": CHARACTERS})
"""What a question names an object by."""
UNNAMED = ((NOTHING,) * len(NAMING),) * 2
"""What `Batch.names` is where nothing is named."""
NOWHERE = (-1, -1)
"""What `Batch.about` is where nothing is looked at."""
OPENING, VALUE, SEEN, CONTRARY, CONCLUSION, CHOICE, WHERE = 1, 2, 3, 4, 5, 6, 7
"""What `Batch.turning` tells tokens by."""
COORDINATES = 5_000
"""More than any object's number. From here on codes are coordinates that were written."""
_PLACES = 8_000
"""More than any `coordinate`."""
CHOSEN = 10_000
"""More than any `told_place`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a sentence such as “Here is a red star at 12.” is about."""

    here: int
    """The object, as in `Batch.about`."""
    name: Name | None = None
    """What the state half-way must name while it is told where that begins; None: no place is told."""
    again: int = -1
    """Where the place has been written before, as in `Batch.owner`: the second head looks there; -1: nowhere."""
    said: int = -1
    """What `Batch.owner` is where the place is told here, for a later `again`; -1: none looks here."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is known of one of the policy's own turns."""

    about: tuple[int, int]
    """The two objects it looks at, as in `Batch.about`, where `told`, `box` and letters say nothing else."""
    names: tuple[Name, ...]
    """What the question calls what it is about."""
    told: tuple[Told, ...] = ()
    """What it says of what is there, in order."""
    box: int | None = None
    """The object it looks at while it chooses what to look at and writes a box, if it does; -1: none."""
    sought: Name | None = None
    """What it looks for in that object: what the question calls it, and the object's colour if it is told by that."""
    values: tuple[str, ...] = ()
    """Words that can be told, such as the answer: they are learnt apart from the wording around them."""
    astray: bool = False
    """Whether what it looks at is a mistake: then neither the choice nor what follows it is learnt."""
    taken: bool = False
    """Whether that it looks may be one, too: then only what it says of what it has seen is learnt."""
    options: tuple[str, ...] = ()
    """The lines of the question's options in their order, such as `(B) red`, if it names one by its letter."""


@dataclass(frozen=True, slots=True)
class Written:
    """A conversation, token by token; each list is of one length."""

    ids: list[int]
    labels: list[int]
    numbers: list[int]
    about: list[tuple[int, int]]
    names: list[tuple[tuple[int, ...], ...]]
    turning: list[int]
    owner: list[int]
    grids: tuple[tuple[int, int], ...]
    """Columns and rows of its images, in their order."""

    @classmethod
    def blank(cls, ids: list[int], grids: tuple[tuple[int, int], ...]) -> Written:
        """One of which nothing is learnt."""
        count = len(ids)
        nothing = ([NOTHING] * count, [NOTHING] * count)
        return cls(ids, *nothing, [NOWHERE] * count, [UNNAMED] * count, [0] * count, [-1] * count, grids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations of one length."""

    ids: torch.Tensor
    """(views, length), padded at the right; with a placeholder for each visual token."""
    labels: torch.Tensor
    """(views, length): the token that follows, `NOTHING` where it is not the policy's own or a mistake."""
    numbers: torch.Tensor
    """(views, length): the coordinate that follows, `NOTHING` elsewhere."""
    about: torch.Tensor
    """(views, length, 2): the objects that the answer is about where a token of it follows, -1 elsewhere.

    Object `i` as image `n` shows it, both from 0, is `n` · `MOST` + `i`. Where the letter of option `i` follows the
    second is `CHOSEN` + `i`; it may also be the `coordinate` or the `told_place` of an object.
    """
    names: torch.Tensor
    """(views, length, 2, `len(NAMING)`): where a token of the policy's own follows, the places of the first and the
    last object's colour, shape and character in their lists, as far as the question names them by these, `NOTHING`
    elsewhere. Where it has said what it looks at, or tells a place, both are that object."""
    turning: torch.Tensor
    """(views, length): `VALUE` where a value that can be told follows, `SEEN` where it says what is there, `CONTRARY`
    where that word is not among those of the question, `OPENING` where the first tokens of a thought do, `CONCLUSION`
    where those after what is there do: these two decide whether to look closer; `CHOICE` where it tells a candidate
    from others, `WHERE` where it tells a coordinate of what is there; 0 elsewhere."""
    owner: torch.Tensor
    """(views, length): `CHOSEN` + `i` at the end of the line of option `i`, the `coordinate` of an object where it
    stands in a box or before it, its `told_place` where that was told after, -1 elsewhere."""
    positions: torch.Tensor
    """(3, views, length): time, row and column of each token, as `lean_language.positions` tells."""


def coordinate(thing: int, axis: int) -> int:
    """As in `Batch.about`: the left (`axis` 0) or top (1) that was written of an object to zoom on it."""
    return COORDINATES + 2 * thing + axis


def told_place(thing: int) -> int:
    """As in `Batch.about`: the coordinate that was told of an object wherever a zoom had shown it."""
    return _PLACES + thing
