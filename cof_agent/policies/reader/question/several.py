"""Which of several images a question is about, or whether it asks just that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cof_agent.policies.reader.question import vocabulary as v
from cof_agent.policies.reader.question.options import Option, split_options
from cof_agent.policies.reader.words import content, plain

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

_SHORT = {f"{number}{'st' if number == 1 else 'nd' if number == 2 else 'rd' if number == 3 else 'th'}": number - 1
          for number in range(1, 33)}  # fmt: skip
_NUMBERS = {word: number for number, word in enumerate(ORDINALS)} | _SHORT | {"last": -1}
_NTH = rf"(?P<nth>{'|'.join(_NUMBERS)})"
_IMAGE = "(?:images?|photos?|photographs?|pictures?|pics?|screenshots?|scans?)"
_IN = "(?:on|in|of|at|from|for|inside)"
_NAMED = re.compile(
    rf"(?P<in>\b{_IN} )?(?:\bthe )?\b{_NTH} (?:{_IMAGE}|one|page)\b"
    rf"|(?P<in2>\b{_IN} )?(?:\bthe )?\b{_IMAGE} (?:number |no\.? ?|# ?)?(?P<digits>\d{{1,2}})\b"
    rf"|(?P<in3>\b{_IN} )the {_NTH.replace('nth', 'nth2')}(?=\s*(?:[?.,!;:]|$))",
    re.I,
)
_SAYS = rf"(?:is|are|was|were|has|have|had|gives?|costs?|belongs? to|{v.SAYS}|shows?|contains?|displays?)"
_WHICH = re.compile(
    rf"^(?:{_IN} )?which(?: of (?:them|these|those|(?:the|these|those) (?:\w+ )?{_IMAGE}|the (?:two|three|four|five))"
    rf"| one| {_IMAGE})(?: (?:do|does|can|you|i|one|see|find|read)\b)* (?:that )?{_SAYS} (?P<rest>.+)$",
    re.I,
)
_WHICH_IS = re.compile(r"^which (?:\w+ ){1,2}(?:is|are) (?P<rest>\w+)$", re.I)
_BEFORE_WORDS = re.compile(
    r"^(?:there )?(?:the |an? |any )?"
    r"(?:(?:(?:tele)?phone |web ?(?:site )?|e-?mail )?"
    r"(?:number|word|text|name|price|date|label|sign|message|title|address|website|site|url|code)s?"
    r" (?:of |that says |saying |with )?)?(?:the |an? )?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A question about one of several images."""

    image: int
    """Counted from 0; -1 is the last. It may be one that there is not."""
    question: str
    """The question as it would be asked of that image alone."""


def ordinal(image: int) -> str:
    """What an image is called, by its number from 0: "first"."""
    return ORDINALS[image] if image < len(ORDINALS) else next(word for word, at in _SHORT.items() if at == image)


def images_named(question: str) -> list[NamedImage]:
    """The images that a question names, each once: "the price on the second", "what does photo 1 say"."""
    found: dict[int, NamedImage] = {}
    stem, _ = split_options(question)
    asked, options = (stem, question[len(stem) :]) if question.startswith(stem) else (question, "")
    for match in _NAMED.finditer(asked):
        nth = match["nth"] or match["nth2"]
        image = _NUMBERS[nth.lower()] if nth else int(match["digits"]) - 1
        if not nth and image < 0:
            continue
        placed = match["in"] or match["in2"] or match["in3"]
        rest = asked[: match.start()] + ("" if placed else "the image") + asked[match.end() :]
        rest = re.sub(r"\s+([?.,!;:])", r"\1", re.sub(r"\s+", " ", rest)).strip(" ,;:")
        found.setdefault(image, NamedImage(image, rest[:1].upper() + rest[1:] + options))
    return list(found.values())


def words_asked_for(question: str) -> str | None:
    """The words by which a question asks which image it is, as in "Which one is open?"; None for any other question."""
    stem, _ = split_options(question)
    low = re.sub(r"\s+", " ", plain(stem)).strip(" .?!")
    match = _WHICH.match(low) or _WHICH_IS.match(low)
    if match is None:
        return None
    rest = match["rest"]
    quoted = next((a or b for a, b in v.QUOTED.findall(rest)), "").strip()
    words = quoted or _BEFORE_WORDS.sub("", rest).strip(" '\"")
    return words if quoted or content(words) else None


def option_for(image: int, question: str) -> Option | None:
    """The option of a question that names that image, if it has options."""
    for option in split_options(question)[1]:
        words = option.text.strip(" .")
        named = images_named(words) or images_named(f"in {words}") or images_named(f"in the {words}")
        if [one.image for one in named] == [image]:
            return option
    return None
