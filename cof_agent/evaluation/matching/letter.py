"""Which option an answer names: by its letter, in the many ways policies write it, or by its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cof_agent.evaluation.matching.options import LETTERS
from cof_agent.evaluation.matching.quantity import parse_quantity, same_quantity
from cof_agent.evaluation.matching.words import contains, content, normal, plain, same_text, says, takes_back
from cof_agent.evaluation.row import Rule

_LEAD = re.compile(
    r"(?:(?:so|therefore|thus|hence)\b,?\s+)?"
    r"(?:(?:i(?:'d| would| will)?\s+(?:choose|pick|select|say|go with)|i think)\s+)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|correct|right|best)\s+)*"
    r"(?:answer|option|choice)\s*(?:(?:is|would be|must be|should be)\b)?\s*[:=]?\s*"
    r"(?:(?:the\s+)?(?:option|choice|letter)\s+)?",
    re.I,
)
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_STYLED = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_STRESSED = re.compile(r"(\*{1,3}|_{2,3}|`{1,3})(?=\S)([^*_`]+?)(?<=\S)\1")

_SEVERAL = re.compile(
    r"(?:(?:either|both)\s+)?"
    r"(\(?[a-z]\)?(?:\s*(?:,\s*(?:or|and)\b|,|/|&|;|\bor\b|\band\b)\s*\(?[a-z]\)?)+)[.!]?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an answer chose."""

    index: int | None
    """The option, from 0; None when the answer names several."""
    rule: Rule


def cleaned(answer: str) -> str:
    """`answer` without tags, LaTeX and Markdown around what it says."""
    text = re.sub(r"</?answer>", " ", normal(answer), flags=re.I)
    boxes = _BOXED.findall(text)
    if len(boxes) == 1:
        text = boxes[0]
    text = _STYLED.sub(r"\1", _BOXED.sub(r"\1", text)).strip()
    while (plainer := _STRESSED.sub(r"\2", text)) != text:
        text = plainer
    dollars = re.fullmatch(r"\$([^$\d]+)\$", text)
    return (dollars[1] if dollars else text).strip()


def without_lead(text: str) -> str:
    """`text` without a beginning such as `The answer is`."""
    match = _LEAD.match(text)
    return text[match.end() :].strip() or text if match else text


def chosen_option(answer: str, options: Sequence[str], question: str) -> Chosen | None:
    """The option that `answer` names; None when that is not certain. `question`: what is asked, without options."""
    text = cleaned(answer)
    body = without_lead(text)
    letters = LETTERS[: len(options)]
    by_letter = _single(body, letters)
    if by_letter is not None:
        return Chosen(by_letter, Rule.LETTER)
    several = _SEVERAL.fullmatch(body)
    if several:
        named = set(re.findall(r"(?<![a-z])[a-z](?![a-z])", several[1].casefold()))
        if all(letter.upper() in letters for letter in named):
            only = letters.index(named.pop().upper()) if len(named) == 1 else None
            return Chosen(only, Rule.LETTER)
    same = [index for index, option in enumerate(options) if same_text(body, option) or same_text(text, option)]
    if same:
        return Chosen(same[0], Rule.TEXT) if len(same) == 1 else None
    return (
        _marked(body, options)
        or _marked_behind(body, options)
        or _stated(text, letters)
        or _on_a_line(text, letters)
        or _by_text(body, options, question)
    )


def letter_index(text: str, options: Sequence[str]) -> int | None:
    """Which option a truth names, by its letter or else its text; None for any other."""
    bare = text.strip().strip("().").strip()
    if len(bare) == 1 and bare in LETTERS[: len(options)]:
        return LETTERS.index(bare)
    same = [index for index, option in enumerate(options) if same_text(text, option)]
    if len(same) == 1:
        return same[0]
    return LETTERS.index(bare.upper()) if len(bare) == 1 and bare.upper() in LETTERS[: len(options)] else None


def _single(text: str, letters: str) -> int | None:
    """The letter that is all of `text`."""
    match = re.fullmatch(r"[\s\"'“”(\[{<]*([a-z])[\s\"'“”)\]}>.,:;!]*", text, re.I)
    return letters.index(match[1].upper()) if match and match[1].upper() in letters else None


def _marked(text: str, options: Sequence[str]) -> Chosen | None:
    """`(C) …`, `C. …`: a letter at the beginning, and what follows agrees with it. A bare one needs its text."""
    match = re.match(r"\(([A-Za-z])\)\s*[:.,-]?\s*|([A-Za-z])\s*[.):\]]\s*|([A-Z])(?:\s*[,-])?\s+", text)
    if match is None:
        return None
    letter = (match[1] or match[2] or match[3]).upper()
    rest = text[match.end() :].strip()
    index = LETTERS.index(letter)
    if index >= len(options) or not rest:
        return None
    agreeing = [other for other, option in enumerate(options) if same_text(rest, option)]
    if agreeing:
        return Chosen(index, Rule.LETTER) if index in agreeing else None
    if match[3] or text[match.start(1 if match[1] else 2)].islower():
        return None
    others = {LETTERS.index(found) for found in _letters_in(rest, LETTERS[: len(options)])} - {index}
    if others:
        again = re.match(r"(?:,|/|&|or\b|and\b)\s*\(?[A-Z]\b", rest)
        return Chosen(None, Rule.LETTER) if again else None
    if takes_back(rest):
        return None
    own, said = plain(options[index]), plain(rest)
    for other, option in enumerate(options):
        wanted = plain(option)
        if other != index and wanted and contains(said, wanted) and not contains(own, wanted):
            return None
    return Chosen(index, Rule.LETTER)


def _marked_behind(text: str, options: Sequence[str]) -> Chosen | None:
    """`blue (B)`: the text of an option, and its own letter in brackets behind it."""
    match = re.search(r"[(\[](?:option\s+)?([a-z])[)\]][.!]?$", text, re.I)
    index = LETTERS.index(match[1].upper()) if match else len(options)
    if match is None or index >= len(options) or not same_text(text[: match.start()], options[index]):
        return None
    return Chosen(index, Rule.LETTER)


def _letters_in(text: str, letters: str) -> Iterator[str]:
    """Letters of options that stand alone in `text`; an `A` before a word in small letters is an article."""
    for match in re.finditer(r"(?<![\w'])([A-Z])(?![\w'])", text):
        if match[1] in letters and not (match[1] == "A" and re.match(r"\s+[a-z]", text[match.end() :])):
            yield match[1]


def _stated(text: str, letters: str) -> Chosen | None:
    """`… the answer is (C).`: said somewhere in a longer text, for one letter only."""
    pattern = (
        r"(?i:\b(?:answer|option|choice)\s*(?:is|would be|must be|:|=)\s*:?\s*"
        r"(?:(?:option|choice)\s+)?)(?:\((?P<one>[A-Z])\)|(?P<two>[A-Z])(?=\s*(?:[.,;:!)\n]|$)))"
    )
    found = set()
    for match in re.finditer(pattern, text):
        ahead = re.split(r"[.!?\n]", text[: match.start()])[-1]
        if re.search(
            r"\b(?:if|whether|unless|neither|wrong|incorrect|not|no|never|first|initial)\b|n't\b", ahead, re.I
        ):
            return None
        if re.match(r"\s*(?:,|/|&|or\b|and\b)\s*\(?[A-Z]\b", text[match.end() :]):
            return Chosen(None, Rule.LETTER)
        found.add(match["one"] or match["two"])
    (only,) = found if len(found) == 1 else ("",)
    return Chosen(letters.index(only), Rule.LETTER) if only and only in letters else None


def _on_a_line(text: str, letters: str) -> Chosen | None:
    """A letter alone on the first or the last of several lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    ends = {at: _single(without_lead(lines[at]), letters) for at in (0, -1)}
    found = {index for index in ends.values() if index is not None}
    if len(found) != 1:
        return None
    (index,) = found
    rest = "\n".join(lines[1:] if ends[0] is not None else lines[:-1])
    others = {letters.index(letter) for letter in _letters_in(rest, letters)} - {index}
    return None if others or takes_back(rest) else Chosen(index, Rule.LETTER)


def _by_text(text: str, options: Sequence[str], question: str) -> Chosen | None:
    said = [index for index, option in enumerate(options) if says(text, option, question)]
    if said:
        return Chosen(said[0], Rule.TEXT) if len(said) == 1 else None
    telling = content(text)
    own = [_own_words(index, options) for index in range(len(options))]
    apart = [index for index, words in enumerate(own) if words and words == telling]
    if len(apart) == 1 and not takes_back(text):
        return Chosen(apart[0], Rule.TEXT)
    given = parse_quantity(text)
    counted = [parse_quantity(option) for option in options]
    asked = plain(question)
    if given is not None:
        equal = [index for index, one in enumerate(counted) if one is not None and same_quantity(one, given, asked)]
        if len(equal) == 1:
            return Chosen(equal[0], Rule.NUMBER)
    return None


def _own_words(index: int, options: Sequence[str]) -> list[str]:
    """The words of an option that the others have not."""
    others = [set(plain(option)) for position, option in enumerate(options) if position != index]
    return [word for word in plain(options[index]) if not any(word in other for other in others)]
