"""Conversations about views as token ids: one image, then questions and answers, in the checkpoint's own template."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cof_agent.scenes.wording import LETTERS
from training.tiny_pretrain.dialogue import Exchange
from training.tiny_pretrain.truth import NOTHING, NUMBERS

_OPENING = "<|im_start|>user\n<|vision_start|>"
_IMAGE_END = "<|vision_end|>"
_ASKED = "<|im_end|>\n<|im_start|>assistant\n"
_ANSWERED = "<|im_end|>"
_NEXT = "\n<|im_start|>user\n"


IMAGE = "<|image_pad|>"
_OWN = "<|im_start|>assistant\n"

NAMING = ("colour", "shape", "character")
"""What a question names an object by."""
_UNNAMED = (0,) * len(NAMING)
_THINK = "<think>"
OPENING, VALUE = 1, 2
"""What `Batch.turning` tells tokens by."""
CHOSEN = 10_000
"""More than any object's number."""
_OPTION = " option"
"""What is said before the letter of one."""
_DECIDING = 3
"""Tokens of a thought that tell whether it looks closer."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is known of one of the policy's own turns."""

    about: tuple[int, int]
    """The two objects it looks at, as in `Batch.about`."""
    named_by: tuple[str, ...]
    box: bool
    """Whether its last four numbers are a box."""
    values: tuple[str, ...] = ()
    """Words that can be told, such as the answer: they are learnt apart from the wording around them."""
    options: tuple[str, ...] = ()
    """The lines of the question's options in their order, such as `(B) red`, if it names one by its letter."""


@dataclass(frozen=True, slots=True)
class Written:
    """A conversation, token by token; each list is of one length."""

    ids: list[int]
    labels: list[int]
    numbers: list[int]
    about: list[tuple[int, int]]
    by: list[tuple[int, ...]]
    turning: list[int]
    owner: list[int]
    grids: tuple[tuple[int, int], ...]
    """Columns and rows of its images, in their order."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Conversations of one length."""

    ids: torch.Tensor
    """(views, length), padded at the right; with a placeholder for each visual token."""
    labels: torch.Tensor
    """(views, length): the token that follows, `NOTHING` where it is not the policy's own."""
    numbers: torch.Tensor
    """(views, length): the coordinate that follows, `NOTHING` elsewhere."""
    about: torch.Tensor
    """(views, length, 2): the objects that the answer is about where a token of it follows, -1 elsewhere.

    Object `i` as image `n` shows it, both from 0, is `n` · `MOST` + `i`. Where the letter of option `i` follows the
    second is `CHOSEN` + `i`.
    """
    by: torch.Tensor
    """(views, length, `len(NAMING)`): 1 where the question names them by that attribute."""
    turning: torch.Tensor
    """(views, length): `VALUE` where a value that can be told follows, `OPENING` where the first tokens of a thought
    do, with which is decided whether to look closer, 0 elsewhere."""
    owner: torch.Tensor
    """(views, length): `CHOSEN` + `i` at the end of the line of option `i`, -1 elsewhere."""
    grids: tuple[tuple[tuple[int, int], ...], ...]
    """Columns and rows of the images of each."""


class Scribe:
    """Writes conversations with a tokenizer, whose tokens for whole numbers it must have."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.pad: int = tokenizer.pad_token_id
        self.end: int = tokenizer.eos_token_id
        self.placeholder: int = tokenizer.convert_tokens_to_ids(IMAGE)
        self.number_ids = torch.tensor(tokenizer.convert_tokens_to_ids([str(number) for number in range(NUMBERS)]))
        """Ids of 0, 1, 2, …"""
        self._number = {int(token): number for number, token in enumerate(self.number_ids)}
        self._thinking = len(self._encode(_THINK)) - 1
        self._option = self._encode(_OPTION)[-1]
        self.letter_ids = torch.tensor([self._encode(f" {letter}")[-1] for letter in LETTERS])
        """Ids of the letters of options, as they are said."""

    @property
    def before(self) -> int:
        """Tokens before the image."""
        return len(self._encode(_OPENING))

    def prompt(self, question: str, tokens: int) -> list[int]:
        """Ids up to where the answer begins; the image takes `tokens` of them."""
        image = [*self._encode(_OPENING), *[self.placeholder] * tokens, *self._encode(_IMAGE_END)]
        return image + self._encode(question + _ASKED)

    def write(self, conversations: Sequence[Sequence[Exchange]], grid: tuple[int, int]) -> Batch:
        """Each about its own image of `grid` (columns, rows) tokens. One may be empty: then nothing of it is learnt."""
        return self.batch([self._written(conversation, grid) for conversation in conversations])

    def batch(self, rows: Sequence[Written]) -> Batch:
        """Conversations side by side."""
        shape = len(rows), max(len(row.ids) for row in rows)
        ids, labels, numbers = (torch.full(shape, empty) for empty in (self.pad, NOTHING, NOTHING))
        about, by = torch.full((*shape, 2), -1), torch.zeros((*shape, len(NAMING)), dtype=torch.long)
        turning, owner = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
        for place, row in enumerate(rows):
            parts = row.ids, row.labels, row.numbers, row.about, row.by, row.turning, row.owner
            for table, values in zip((ids, labels, numbers, about, by, turning, owner), parts, strict=True):
                table[place, : len(values)] = torch.tensor(values)
        return Batch(ids, labels, numbers, about, by, turning, owner, tuple(row.grids for row in rows))

    def episode(self, text: str, grids: Sequence[tuple[int, int]], own: Sequence[Own]) -> Written:
        """A conversation in the checkpoint's template, `text`, with images of `grids`, whose own turns are `own`."""
        opening, *parts = text.split(IMAGE)
        images = [IMAGE * (columns * rows) for columns, rows in grids]
        whole = opening + "".join(image + part for image, part in zip(images, parts, strict=True))
        ids = self._encode(whole)
        numbers, about, by = [NOTHING] * len(ids), [(-1, -1)] * len(ids), [_UNNAMED] * len(ids)
        labels, start, turns = [NOTHING] * len(ids), self._encode(_OWN), iter(own)
        turning, owner = [0] * len(ids), [-1] * len(ids)
        lines = [line for turn in own for line in turn.options]
        for number, end in enumerate(self._ends(whole, lines)):
            owner[end] = CHOSEN + number
        at = 0
        while at < len(ids):
            if ids[at : at + len(start)] != start:
                at += 1
                continue
            first = at + len(start)
            end = ids.index(self.end, first) + 1
            turn = next(turns)
            named = tuple(int(attribute in turn.named_by) for attribute in NAMING)
            for place in range(first - 1, end - 1):  # a token is said where the one before it is read
                labels[place], about[place], by[place] = ids[place + 1], turn.about, named
                if self.tokenizer.decode([ids[place + 1]]).strip() in turn.values:
                    turning[place] = VALUE
                elif place - first - self._thinking in range(_DECIDING):
                    turning[place] = OPENING
                if lines and ids[place] == self._option:
                    letter = self.tokenizer.decode([ids[place + 1]]).strip()
                    about[place], by[place] = (-1, CHOSEN + LETTERS.index(letter)), _UNNAMED
            if turn.box:
                for place in [place for place in range(first - 1, end - 1) if ids[place + 1] in self._number][-4:]:
                    numbers[place] = self._number[ids[place + 1]]
            at = end
        return Written(ids, labels, numbers, about, by, turning, owner, tuple(grids))

    def box(self, ids: Sequence[int]) -> list[int] | None:
        """The four coordinates in an answer; None when it is no box."""
        found = re.fullmatch(r"\[(\d+), (\d+), (\d+), (\d+)\]", self.text(ids))
        return [int(number) for number in found.groups()] if found else None

    def text(self, ids: Sequence[int]) -> str:
        """An answer as text, without its end."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _written(self, conversation: Sequence[Exchange], grid: tuple[int, int]) -> Written:
        ids = self.prompt("", grid[0] * grid[1])[: -len(self._encode(_ASKED))]
        own, boxes, about, by = ([empty] * len(ids) for empty in (False, False, (-1, -1), _UNNAMED))
        for place, exchange in enumerate(conversation):
            asked = self._encode((_NEXT if place else "") + exchange.question + _ASKED)
            said = self._encode(exchange.answer + _ANSWERED)
            ids += asked + said
            own += [False] * len(asked) + [True] * len(said)
            boxes += [False] * len(asked) + [exchange.kind == "place"] * len(said)
            looked_at = (exchange.about[0], exchange.about[-1]) if exchange.about else (-1, -1)
            about += [(-1, -1)] * len(asked) + [looked_at] * len(said)
            named = tuple(int(attribute in exchange.named_by) for attribute in NAMING)
            by += [_UNNAMED] * len(asked) + [named] * len(said)
        labels = [after if mine else NOTHING for after, mine in zip(ids[1:], own[1:], strict=True)]
        numbers = [
            self._number.get(after, NOTHING) if box else NOTHING for after, box in zip(labels, boxes[1:], strict=True)
        ]
        after = [*about[1:], (-1, -1)], [*by[1:], _UNNAMED]
        return Written(ids, [*labels, NOTHING], [*numbers, NOTHING], *after, [0] * len(ids), [-1] * len(ids), (grid,))

    def _ends(self, text: str, lines: Sequence[str]) -> list[int]:
        """The places of the tokens with which `lines` of `text` end."""
        if not lines:
            return []
        spans = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        starts = [start for start, _ in spans]
        return [bisect_right(starts, text.index(f"\n{line}\n") + len(line)) - 1 for line in lines]

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))
