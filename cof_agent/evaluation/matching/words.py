"""Texts as words, and whether a short sentence says a given value and nothing else.

Only what is certain counts: where a sentence might mean something else, the answer is no, and a judge may be asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cof_agent.evaluation.matching.vocabulary import (
    BANNED,
    BESIDE_DIRECTIONS,
    DIRECTIONS,
    EXCLUSIVE,
    FUNCTION,
    HEDGES,
    RETRACTING,
    RIVALS,
    VERBS,
)

LONGEST = 4000
"""Characters beyond which no rule reads an answer."""

LONGEST_SENTENCE = 40
"""Words beyond which a sentence is not read."""

_TOKEN = re.compile(
    r"(?<![\w.])[+-]?\.?\d+(?:[.,:/'-]\d+)*"  # a number, a time, a date, a range: one word
    r"|\d+(?:[.,:/-]\d+)*"
    r"|[^\W\d](?:\w|'(?=\w))*"
    r"|[^\w\s]"
)
_SPELLED = {"gray": "grey", "color": "colour"}
_PUNCTUATION_SYMBOLS = "%#&@/"
_NO_SYMBOLS = "`^~|\\"


@dataclass(frozen=True, slots=True)
class Word:
    raw: str
    """As written, after NFKC."""
    plain: str
    """Without case, in one spelling."""
    spaced: bool
    """Whether a space follows it."""


def normal(text: str) -> str:
    """`text` in Unicode's NFKC, with one kind of minus and of apostrophe."""
    plain = unicodedata.normalize("NFKC", text)
    return plain.translate({0x2212: "-", 0x2013: "-", 0x2018: "'", 0x2019: "'", 0x2032: "'"})


def words(text: str) -> list[Word]:
    """The words, numbers and symbols of `text`, without punctuation and articles.

    An article that is all there is stays, and so does one that may be a name: `A` in `Gate A 4`.
    """
    whole = normal(text)
    found = [
        Word(
            match[0],
            _SPELLED.get(match[0].casefold(), match[0].casefold()),
            whole[match.end() : match.end() + 1].isspace(),
        )
        for match in _TOKEN.finditer(whole)
        if _counts(match[0])
    ]
    kept = [word for position, word in enumerate(found) if not _is_article(found, position)]
    return kept or found


def plain(text: str) -> list[str]:
    """The words of `text` without case."""
    return [word.plain for word in words(text)]


def same_text(answer: str, truth: str) -> bool:
    """Whether two texts are the same apart from case, articles, punctuation and spaces."""
    given, wanted = plain(answer), plain(truth)
    if not given or not wanted:
        return bool(truth.strip()) and normal(answer).strip().casefold() == normal(truth).strip().casefold()
    return given == wanted


def says(answer: str, truth: str, question: str) -> bool:
    """Whether `answer` is a short sentence that gives `truth`, as a reply to `question` (without its options).

    All other words must be function words or words of the question, and none may deny, offer a choice or name a rival
    value. Where the question itself names the truth, its other words do not count as harmless.
    """
    wanted, given = words(truth), words(answer)
    if not wanted or not given or len(given) > LONGEST_SENTENCE:
        return False
    side = direction(truth)
    if side is not None:
        return _says_direction(given, side, plain(question))
    spots = _spots(given, wanted)
    if not spots:
        return False
    rest = [
        word
        for position, word in enumerate(given)
        if not any(start <= position < start + len(wanted) for start in spots)
    ]
    asked = plain(question)
    values = [word.plain for word in wanted]
    harmless = FUNCTION if contains(asked, values) or values == ["no"] else FUNCTION | set(asked)
    if not all(is_harmless(word.plain, harmless) for word in rest):
        return False
    if is_number(values[0]) and any(word.plain in HEDGES for word in rest):
        return False
    if any(word.plain in group for group in RIVALS if group & set(values) for word in rest):
        return False
    return not (len(values) == 1 and len(values[0]) == 1 and any(len(word.plain) == 1 for word in rest))


def says_rival(answer: str, truth: str, question: str) -> bool:
    """Whether `answer` is, or is a short sentence that gives, a value that excludes `truth`: `blue` where it is red."""
    value = direction(truth) or " ".join(plain(truth))
    kinds = [kind for kind in EXCLUSIVE if any(value in same for same in kind)]
    rivals = {word for kind in kinds for same in kind if value not in same for word in same}
    given = {word.raw for word in words(answer) if word.plain in rivals}
    return any(same_text(answer, word) or says(answer, word, question) for word in given)


def direction(text: str) -> str | None:
    """The one direction that `text` is, such as `left` in `to the left side`; None for any other text."""
    core = [word for word in plain(text) if word not in BESIDE_DIRECTIONS]
    return core[0] if len(core) == 1 and core[0] in DIRECTIONS else None


def content(text: str) -> list[str]:
    """The words of `text` that carry its value."""
    return [word for word in plain(text) if word not in FUNCTION and word not in BESIDE_DIRECTIONS]


def is_harmless(word: str, harmless: Collection[str]) -> bool:
    """Whether a word beside a value leaves it as it is."""
    known = word in harmless or word.removesuffix("'s") in harmless
    return known and word not in BANNED and not word.endswith("n't")


def takes_back(text: str) -> bool:
    """Whether `text` has a word that denies, doubts or corrects what stands beside it."""
    return any(word in RETRACTING or word.endswith("n't") for word in plain(text))


def contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` stands in `whole`, its words next to each other."""
    return any(list(whole[at : at + len(part)]) == list(part) for at in range(len(whole) - len(part) + 1))


def _counts(piece: str) -> bool:
    if piece[0].isalnum() or len(piece) > 1 or piece == "_":
        return piece.strip("_") != ""
    return piece in _PUNCTUATION_SYMBOLS or (unicodedata.category(piece)[0] == "S" and piece not in _NO_SYMBOLS)


def _is_article(found: Sequence[Word], position: int) -> bool:
    word = found[position]
    if word.plain in ("the", "an"):
        return True
    after = found[position + 1].raw if position + 1 < len(found) else ""
    if word.plain != "a" or not word.spaced or not after:
        return False
    return word.raw == "a" or (position == 0 and len(after) > 1 and after.islower())


def is_number(word: str) -> bool:
    """Whether a word is written in digits."""
    return word.lstrip("+-.")[:1].isdigit()


def _spots(given: Sequence[Word], wanted: Sequence[Word]) -> list[int]:
    """Where `wanted` stands in `given`. A single letter must be written as it is, and A or I end the sentence."""
    size = len(wanted)
    spots: list[int] = []
    for start in range(len(given) - size + 1):
        piece = given[start : start + size]
        if [word.plain for word in piece] != [word.plain for word in wanted]:
            continue
        if spots and start < spots[-1] + size:
            continue
        if size == 1 and len(wanted[0].plain) == 1 and wanted[0].plain.isalpha():
            if piece[0].raw != wanted[0].raw and len(given) > 1:
                continue
            if wanted[0].plain in "ai" and start != len(given) - 1:
                continue
        spots.append(start)
    return spots


def _says_direction(given: Sequence[Word], side: str, asked: Sequence[str]) -> bool:
    """Whether the sentence says that what is asked about lies at `side` of the other, and not the other way round.

    The question must be of the form "… SUBJECT … left or right … OTHER …": then what is named before the direction
    must be of the subject and what follows it of the other. Otherwise neither may be named.
    """
    spoken = [word.plain for word in given]
    if [word for word in spoken if word in DIRECTIONS] != [side] or len(spoken) > LONGEST_SENTENCE:
        return False
    places = [position for position, word in enumerate(asked) if word in DIRECTIONS]
    before: set[str] = set()
    after: set[str] = set()
    if places:
        after = set(asked[places[-1] + 1 :])
        if after - FUNCTION - BESIDE_DIRECTIONS:
            before = set(asked[: places[0]])
    at = spoken.index(side)
    behind = spoken[at + 1 :]
    if any(word in VERBS for word in behind):
        return False
    beside = FUNCTION | BESIDE_DIRECTIONS
    return all(is_harmless(word, beside | before) for word in spoken[:at]) and all(
        is_harmless(word, beside | after) for word in behind
    )
