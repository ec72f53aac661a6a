"""Conversations about views as token ids: one image, then questions and answers, in the checkpoint's own template."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cof_agent.scenes.scene import COLOURS
from cof_agent.scenes.wording import LETTERS, Name
from training.tiny_pretrain.dialogue import Exchange
from training.tiny_pretrain.lean_language import positions
from training.tiny_pretrain.marks import (
    CHOICE,
    CHOSEN,
    CONCLUSION,
    CONTRARY,
    NAMING,
    NOWHERE,
    OPENING,
    SEEN,
    UNNAMED,
    VALUE,
    WHERE,
    Batch,
    Own,
    Told,
    Written,
    coordinate,
)
from training.tiny_pretrain.truth import NOTHING, NUMBERS

_OPENING = "<|im_start|>user\n<|vision_start|>"
_IMAGE_END = "<|vision_end|>"
_ASKED = "<|im_end|>\n<|im_start|>assistant\n"
_ANSWERED = "<|im_end|>"
_NEXT = "\n<|im_start|>user\n"


IMAGE = "<|image_pad|>"
_OWN = "<|im_start|>assistant\n"

_WORDS = frozenset(word for values in NAMING.values() for word in values)
_THINK = "<think>"
_SENTENCE = re.compile(r"(?:This|Here) is an? ([^.]+?)(?: at (\d+))?\.")
"""What something is and, sometimes, where it begins."""
_BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")
"""Left, top, right, bottom in pixels of the overview."""
_CHOICE = re.compile(r": the (?:(\w+) )?one at (\d+)\.")
"""Which candidate is looked at."""
_LOOKING = "I look"
"""How a thought begins that looks."""
_OPTION = " option"
"""What is said before the letter of one."""
_DECIDING = 3
"""Tokens of a thought that tell whether it looks closer."""
_CONCLUDING = 2
"""Tokens after what is said to be there that tell what comes of it."""


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
        self.colour_ids = torch.tensor([self._encode(f" {colour}")[-1] for colour in COLOURS])
        """Ids of the names of colours, as they are said."""

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
        where = positions(ids, [row.grids for row in rows], self.placeholder)
        return Batch(ids, labels, numbers, about, names, turning, owner, where)

    def episode(self, text: str, grids: Sequence[tuple[int, int]], own: Sequence[Own]) -> Written:
        """A conversation in the checkpoint's template, `text`, with images of `grids`, whose own turns are `own`."""
        opening, *parts = text.split(IMAGE)
        images = [IMAGE * (columns * rows) for columns, rows in grids]
        whole = opening + "".join(image + part for image, part in zip(images, parts, strict=True))
        encoded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        row = Written.blank(list(encoded["input_ids"]), tuple(grids))
        page = _Page(whole, encoded["offset_mapping"])
        for number, line in enumerate(line for turn in own for line in turn.options):
            row.owner[page.last(whole.index(f"\n{line}\n") + len(line))] = CHOSEN + number
        start, turns, at = self._encode(_OWN), iter(own), 0
        while at < len(row.ids):
            if row.ids[at : at + len(start)] != start:
                at += 1
                continue
            first, at = at + len(start), row.ids.index(self.end, at) + 1
            self._mark_turn(row, page, range(first, at), next(turns))
        return row

    def _mark_turn(self, row: Written, page: _Page, tokens: range, turn: Own) -> None:
        """Mark `tokens`, an own turn: a token is said where the one before it is read."""
        first, end = page.spans[tokens[0]][0], page.spans[tokens[-1]][1]
        asked = {getattr(name, attribute) for name in turn.names for attribute in NAMING}
        named, thinks = _codes(turn.names), page.text.startswith(_THINK, first)
        for number, token in enumerate(tokens):
            place = token - 1
            row.labels[place], row.about[place], row.names[place] = row.ids[token], turn.about, named
            if page.word(token) in turn.values:
                row.turning[place] = VALUE
            elif thinks and number - 1 - self._thinking in range(_DECIDING):
                row.turning[place] = OPENING
            if turn.options and row.ids[place] == self._option:
                letter = LETTERS.index(page.word(token))
                row.about[place], row.names[place] = (-1, CHOSEN + letter), UNNAMED
        for sentence, told in zip(_SENTENCE.finditer(page.text, first, end), turn.told, strict=thinks):
            self._mark_sentence(row, page, sentence, told, asked)
        for choice in _CHOICE.finditer(page.text, first, end):
            for token in (*(page.tokens(*choice.span(1)) if choice[1] else ()), *page.tokens(*choice.span(2))):
                row.turning[token - 1] = CHOICE
                row.numbers[token - 1] = self._number.get(row.ids[token], NOTHING)
        if turn.box is not None:
            self._mark_box(row, page, tokens, turn, turn.box, thinks)
        if turn.astray:
            self._forget(row, page, tokens, turn.taken)

    def _mark_sentence(self, row: Written, page: _Page, sentence: re.Match[str], told: Told, asked: set[str]) -> None:
        """Mark where it is said what is there, which is about `told`; `asked` are the words that the question names."""
        said = page.tokens(*sentence.span())
        for token in said:
            row.about[token - 1] = told.here, told.here
        for token in page.tokens(*sentence.span(1)):
            word = page.word(token)
            row.turning[token - 1] = (SEEN if word in asked else CONTRARY) if word in _WORDS else 0
        if told.name:
            [side] = page.tokens(*sentence.span(2))
            row.numbers[side - 1], row.turning[side - 1] = self._number[row.ids[side]], WHERE
            row.owner[side] = told.said
            for token in page.tokens(sentence.end(1), sentence.end()):
                row.names[token - 1] = _codes((told.name,))
                row.about[token - 1] = told.here, told.here if told.again < 0 else told.again
        for place in range(said[-1], said[-1] + _CONCLUDING):
            row.turning[place] = row.turning[place] or CONCLUSION

    def _mark_box(self, row: Written, page: _Page, tokens: range, turn: Own, place: int, thinks: bool) -> None:
        """Mark where a turn writes the box of what it looks at, `place`, and what it says of it before."""
        first, end = page.spans[tokens[0]][0], page.spans[tokens[-1]][1]
        if turn.sought:
            self._mark_choice(row, page, tokens, place, turn.sought)
        for box in _BOX.finditer(page.text, first, end):
            for token in page.tokens(box.start(1) - 1, box.end(4)):
                row.about[token - 1] = place, place
                row.numbers[token - 1] = self._number.get(row.ids[token], NOTHING)
            for axis in range(2) if thinks and place >= 0 else ():
                [token] = page.tokens(*box.span(axis + 1))
                row.owner[token] = coordinate(place, axis)
            if turn.sought:  # its left side has been said
                [token] = page.tokens(*box.span(1))
                row.about[token - 1] = place, coordinate(place, 0)

    def _mark_choice(self, row: Written, page: _Page, tokens: range, place: int, sought: Name) -> None:
        """Mark where a turn tells which object it looks at, `place`: then it is about what is `sought` there."""
        [choice] = _CHOICE.finditer(page.text, page.spans[tokens[0]][0], page.spans[tokens[-1]][1])
        said = page.tokens(*choice.span())
        for token in said:
            row.about[token - 1] = place, place
        [left] = page.tokens(*choice.span(2))
        row.owner[left] = coordinate(place, 0)
        known = page.tokens(*choice.span(1))[-1] + 1 if choice[1] else said[0]
        for token in range(known, tokens[-1] + 1):
            row.names[token - 1] = _codes((sought,))

    def _forget(self, row: Written, page: _Page, tokens: range, taken: bool) -> None:
        """Unmark what a turn chooses to look at and what follows, all but that it was chosen and where its box is, and
        that it looks at all if that was `taken`."""
        first, end = page.spans[tokens[0]][0], page.spans[tokens[-1]][1]
        [choice] = _CHOICE.finditer(page.text, first, end)
        begin = page.text.index(_LOOKING, first, end) if taken else choice.start()
        for place in range(page.last(begin) - 1, tokens[-1]):
            row.labels[place], row.about[place], row.names[place] = NOTHING, NOWHERE, UNNAMED
            if row.turning[place] != CHOICE:
                row.numbers[place], row.turning[place] = NOTHING, 0

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
            about = (exchange.about[0], exchange.about[-1]) if exchange.about else NOWHERE
            box = about[0] if exchange.kind in ("place", "one") else None
            own.append(Own(about, exchange.names, box=box))
        return self.episode(text, (grid,), own)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))


@dataclass(frozen=True, slots=True)
class _Page:
    """A text and where its tokens lie in it."""

    text: str
    spans: Sequence[tuple[int, int]]

    def last(self, at: int) -> int:
        """The token that the character at `at` belongs to."""
        return bisect_right(self.spans, at, key=lambda span: span[0]) - 1

    def tokens(self, low: int, high: int) -> range:
        """The tokens that lie in a part of the text, or partly."""
        first = self.last(low)
        return range(first + (self.spans[first][1] <= low), self.last(high - 1) + 1)

    def word(self, token: int) -> str:
        """The word that a token is, empty if it is a part of one. A number begins with a token for its space."""
        start, end = self.spans[token]
        within = self.text[start:end]
        if within == " " and token + 1 < len(self.spans):
            return self.word(token + 1)
        parts = (self.text[start - 1 : start] + within[:1], within[-1:] + self.text[end : end + 1])
        return "" if any(len(part) == 2 and part.isalnum() for part in parts) else within.strip()


def _codes(names: Sequence[Name]) -> tuple[tuple[int, ...], ...]:
    """The first and the last of them by the places of their attributes in their lists."""
    if not names:
        return UNNAMED
    told = [[getattr(name, attribute) for attribute in NAMING] for name in (names[0], names[-1])]
    return tuple(
        tuple(
            NOTHING if value is None else values.index(value)
            for value, values in zip(name, NAMING.values(), strict=True)
        )
        for name in told
    )
