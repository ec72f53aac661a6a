"""Conversations about views as token ids: one image, then questions and answers, in the checkpoint's own template."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES
from cof_agent.scenes.wording import LETTERS, Name
from training.tiny_pretrain.dialogue import Exchange
from training.tiny_pretrain.truth import NOTHING, NUMBERS

_OPENING = "<|im_start|>user\n<|vision_start|>"
_IMAGE_END = "<|vision_end|>"
_ASKED = "<|im_end|>\n<|im_start|>assistant\n"
_ANSWERED = "<|im_end|>"
_NEXT = "\n<|im_start|>user\n"


IMAGE = "<|image_pad|>"
_OWN = "<|im_start|>assistant\n"

NAMING: Mapping[str, Sequence[str]] = MappingProxyType({"colour": COLOURS, "shape": SHAPES, "character": CHARACTERS})
"""What a question names an object by."""
_WORDS = frozenset(word for values in NAMING.values() for word in values)
_UNNAMED = ((NOTHING,) * len(NAMING),) * 2
_NOWHERE = (-1, -1)
_THINK = "<think>"
_TOLD = re.compile(r"(?:This|Here) is an? ([^.]+?)(?: at (\d+))?\.")
"""What something is and, sometimes, where it begins."""
_BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")
"""Left, top, right, bottom in pixels of the overview."""
OPENING, VALUE, SEEN = 1, 2, 3
"""What `Batch.turning` tells tokens by."""
CHOSEN = 10_000
"""More than any object's number."""
_WRITTEN = 5_000
_OPTION = " option"
"""What is said before the letter of one."""
_DECIDING = 3
"""Tokens of a thought that tell whether it looks closer."""
_CONCLUDING = 2
"""Tokens after what is said to be there that tell what comes of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a sentence such as “Here is a red star at 12.” is about."""

    here: int
    """The object, as in `Batch.about`, of the first head."""
    again: int
    """That of the second one: the same, or what was `written` about it."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is known of one of the policy's own turns."""

    about: tuple[int, int]
    """The two objects it looks at while it thinks, as in `Batch.about`."""
    names: tuple[Name, ...]
    """What the question calls what it is about."""
    told: tuple[Told, ...] = ()
    """What it says of what is there, in order."""
    box: tuple[int, int] | None = None
    """The two objects it looks at while it writes a box to zoom on, if it does."""
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
    names: list[tuple[tuple[int, ...], ...]]
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
    second is `CHOSEN` + `i`; it may be what was `written` of the object.
    """
    names: torch.Tensor
    """(views, length, 2, `len(NAMING)`): where a token of the policy's own follows, the places of the first and the
    last object's colour, shape and character in their lists, as far as the question names them by these, `NOTHING`
    elsewhere."""
    turning: torch.Tensor
    """(views, length): `VALUE` where a value that can be told follows, `SEEN` where it says what is there, `OPENING`
    where the first tokens of a thought do, or those after what is there: these decide whether to look closer; 0
    elsewhere."""
    owner: torch.Tensor
    """(views, length): `CHOSEN` + `i` at the end of the line of option `i`, `written` of an object at its coordinates
    in a box, -1 elsewhere."""
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
        about, names = torch.full((*shape, 2), -1), torch.full((*shape, 2, len(NAMING)), NOTHING)
        turning, owner = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
        for place, row in enumerate(rows):
            parts = row.ids, row.labels, row.numbers, row.about, row.names, row.turning, row.owner
            for table, values in zip((ids, labels, numbers, about, names, turning, owner), parts, strict=True):
                table[place, : len(values)] = torch.tensor(values)
        return Batch(ids, labels, numbers, about, names, turning, owner, tuple(row.grids for row in rows))

    def episode(self, text: str, grids: Sequence[tuple[int, int]], own: Sequence[Own]) -> Written:
        """A conversation in the checkpoint's template, `text`, with images of `grids`, whose own turns are `own`."""
        opening, *parts = text.split(IMAGE)
        images = [IMAGE * (columns * rows) for columns, rows in grids]
        whole = opening + "".join(image + part for image, part in zip(images, parts, strict=True))
        encoded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = list(encoded["input_ids"]), encoded["offset_mapping"]
        numbers, about, names = [NOTHING] * len(ids), [_NOWHERE] * len(ids), [_UNNAMED] * len(ids)
        labels, start, turns = [NOTHING] * len(ids), self._encode(_OWN), iter(own)
        turning, owner = [0] * len(ids), [-1] * len(ids)
        lines = [line for turn in own for line in turn.options]
        for number, line in enumerate(lines):
            end = whole.index(f"\n{line}\n") + len(line)
            owner[bisect_right(spans, end, key=lambda span: int(span[0])) - 1] = CHOSEN + number
        at = 0
        while at < len(ids):
            if ids[at : at + len(start)] != start:
                at += 1
                continue
            first = at + len(start)
            end = ids.index(self.end, first) + 1
            turn = next(turns)
            named, thinks = _codes(turn.names), whole.startswith(_THINK, spans[first][0])
            for place in range(first - 1, end - 1):  # a token is said where the one before it is read
                labels[place], about[place], names[place] = ids[place + 1], turn.about, named
                word = _word(whole, *spans[place + 1])
                if word in turn.values:
                    turning[place] = VALUE
                elif thinks and place - first - self._thinking in range(_DECIDING):
                    turning[place] = OPENING
                if lines and ids[place] == self._option:
                    letter = self.tokenizer.decode([ids[place + 1]]).strip()
                    about[place], names[place] = (-1, CHOSEN + LETTERS.index(letter)), _UNNAMED

            def those(low: int, high: int, first: int = first, end: int = end) -> range:
                """Where the tokens are said that lie in a part of the text."""
                inside = [place for place in range(first, end) if spans[place][0] < high and spans[place][1] > low]
                return range(inside[0] - 1, inside[-1])

            said, shift = whole[spans[first][0] : spans[end - 1][1]], spans[first][0]
            found = _TOLD.finditer(said) if turn.told else ()
            for sentence, told in zip(found, turn.told, strict=True):
                for place in those(shift + sentence.start(), shift + sentence.end()):
                    about[place] = told.here, told.again
                for place in those(shift + sentence.start(1), shift + sentence.end(1)):
                    turning[place] = SEEN if _word(whole, *spans[place + 1]) in _WORDS else 0
                for place in those(shift + sentence.start(2), shift + sentence.end(2)) if sentence[2] else ():
                    numbers[place], turning[place] = self._number.get(ids[place + 1], NOTHING), 0
                [*_, last] = those(shift + sentence.start(), shift + sentence.end())
                for place in range(last + 1, last + 1 + _CONCLUDING):
                    turning[place] = turning[place] or OPENING
            for box in _BOX.finditer(said) if turn.box else ():
                for place in those(shift + box.start(1) - 1, shift + box.end(4)):
                    about[place] = turn.box or _NOWHERE
                    numbers[place] = self._number.get(ids[place + 1], NOTHING)
                for axis in range(2) if turn.box and turn.box[0] >= 0 and thinks else ():
                    [place] = those(shift + box.start(axis + 1), shift + box.end(axis + 1))
                    owner[place + 1] = written(turn.box[0], axis)
            at = end
        return Written(ids, labels, numbers, about, names, turning, owner, tuple(grids))

    def box(self, ids: Sequence[int]) -> list[int] | None:
        """The four coordinates in an answer; None when it is no box."""
        found = re.fullmatch(r"\[(\d+), (\d+), (\d+), (\d+)\]", self.text(ids))
        return [int(number) for number in found.groups()] if found else None

    def text(self, ids: Sequence[int]) -> str:
        """An answer as text, without its end."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _written(self, conversation: Sequence[Exchange], grid: tuple[int, int]) -> Written:
        text, own = f"{_OPENING}{IMAGE}{_IMAGE_END}", []
        for place, exchange in enumerate(conversation):
            text += f"{_NEXT if place else ''}{exchange.question}{_ASKED}{exchange.answer}{_ANSWERED}"
            about = (exchange.about[0], exchange.about[-1]) if exchange.about else _NOWHERE
            own.append(Own(about, exchange.names, box=about if exchange.kind == "place" else None))
        return self.episode(text, (grid,), own)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))


def written(thing: int, axis: int) -> int:
    """As in `Batch.about`: the left (`axis` 0) or top (1) that was written of an object to zoom on it."""
    return _WRITTEN + 2 * thing + axis


def _word(text: str, start: int, end: int) -> str:
    """The word that a part of the text is, empty if it is a part of one."""
    within = text[start:end].strip()
    return "" if text[end : end + 1].isalnum() and within.isalnum() else within


def _codes(names: Sequence[Name]) -> tuple[tuple[int, ...], ...]:
    """The first and the last of them by the places of their attributes in their lists."""
    if not names:
        return _UNNAMED
    told = [[getattr(name, attribute) for attribute in NAMING] for name in (names[0], names[-1])]
    return tuple(
        tuple(
            NOTHING if value is None else values.index(value)
            for value, values in zip(name, NAMING.values(), strict=True)
        )
        for name in told
    )
