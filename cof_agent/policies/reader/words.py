"""Words of a question and of read text, compared as forgivingly as recognised text needs."""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_LOOKALIKE = str.maketrans("0158!|", "oissil")
_NOT_WORD = re.compile(r"[\W_]+")


def words_in(text: str) -> frozenset[str]:
    """The words of `text`, parted by spaces, as a set."""
    return frozenset(re.findall(r"\S+", text))


STOP = words_in(
    """a an the this that these those there here it its itself he she they them his her hers their theirs your yours you
    i me my mine we us our is are was were be been being am do does did done have has had can could may might shall
    should will would must of on in at to for from by with about into onto over under within inside near next beside
    between off out up down and or but not no nor if then than as so too very also just only
    what which who whom whose when where why how please tell say says said saying read reads reading show shows shown
    showing write written writes print printed prints display displayed displays state states stated give gives given
    mention mentions mentioned list listed lists visible appear appears appearing see seen find found look called
    image picture photo photograph view text word words according s
    big large largest biggest small smallest little tiny huge bold main top bottom left right middle center centre
    cost costs much many"""
)
"""Words that carry no content of their own in a question about text."""


def plain(text: str) -> str:
    """`text` with compatibility forms folded (full-width letters and the like) and lower-cased."""
    return unicodedata.normalize("NFKC", text).casefold()


def tokens(text: str) -> list[str]:
    """The words and numbers of `text`, folded, in order."""
    return [token.removesuffix("'s").removesuffix("’s") for token in _TOKEN.findall(plain(text))]


def content(text: str) -> tuple[str, ...]:
    """The words of `text` that are not stop words, in order, each once."""
    return tuple(dict.fromkeys(token for token in tokens(text) if token not in STOP))


def stem(word: str) -> str:
    """`word` without the commonest English endings."""
    for ending in ("ings", "ing", "ies", "ied", "ers", "es", "ed", "er", "s", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def squeeze(text: str) -> str:
    """Letters and digits only, folded, with characters that recognition confuses made equal."""
    return _NOT_WORD.sub("", plain(text)).translate(_LOOKALIKE)


def distance(a: str, b: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def similar(a: str, b: str) -> float:
    """1.0 for texts that are equal once squeezed, down to 0.0 for texts with nothing in common."""
    a, b = squeeze(a), squeeze(b)
    longest = max(len(a), len(b))
    return 1 - distance(a, b) / longest if longest else 0.0


def word_match(word: str, text: str) -> float:
    """How surely `text` holds `word`: 1.0 as a word of its own, less for a near miss, 0.0 for none.

    Short words must be equal; a word of five letters or more may have one misread letter in five, or stand glued to its
    neighbours, as recognition often drops spaces.
    """
    word, found, best = plain(word), tokens(text), 0.0
    for token in found:
        if token == word or stem(token) == stem(word) or token.rstrip("0123456789") == word:
            return 1.0
        if len(word) >= 4 and len(token) > len(word) and token.endswith(word):
            best = max(best, 0.85)
        if len(word) >= 5 and len(token) >= 4 and (near := similar(word, token)) >= 0.8:
            best = max(best, near)
    if best < 0.9 and len(word) >= 5 and squeeze(word) in squeeze(text):
        best = 0.9
    return best


def coverage(words: tuple[str, ...], text: str) -> float:
    """Mean of `word_match` over `words`; 0.0 when there are none."""
    return sum(word_match(word, text) for word in words) / len(words) if words else 0.0


def phrase_match(phrase: str, text: str) -> float:
    """How surely `text` holds `phrase`, spaces and punctuation aside: 1.0 for yes, 0.0 for not at all.

    The best stretch of `text` by edit distance; a phrase of fewer than five characters must stand as whole words.
    """
    wanted, inside = squeeze(phrase), squeeze(text)
    if not wanted or not inside:
        return 0.0
    if len(wanted) < 5:
        want, have = tokens(phrase), tokens(text)
        return float(any(have[i : i + len(want)] == want for i in range(len(have))))
    row = [0] * (len(inside) + 1)
    for i, x in enumerate(wanted, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(inside, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return max(0.0, 1 - min(row) / len(wanted))
