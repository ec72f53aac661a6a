"""Which of several images a question is about, or whether it asks just that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cof_agent.policies.reader.question import vocabulary as v
from cof_agent.policies.reader.question.options import Option, split_options
from cof_agent.policies.reader.words import content, plain

NO_IMAGE = -2
"""What “image 0” names: images are counted from 1."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

_SHORT = {f"{number}{'st' if number == 1 else 'nd' if number == 2 else 'rd' if number == 3 else 'th'}": number - 1
          for number in range(1, 33)}  # fmt: skip
_NUMBERS = {word: number for number, word in enumerate(ORDINALS)} | _SHORT | {"last": -1}
_NTH = rf"(?P<nth>{'|'.join(_NUMBERS)})"
_IMAGE = "(?:images?|photos?|photographs?|pictures?|pics?|screenshots?|scans?)"
_IN = "(?:on|in|of|at|from|for|inside)"
_NAMED = re.compile(
    rf"(?P<in>\b{_IN} )?(?:\bthe )?\b{_NTH} (?:{_IMAGE}|one|page)\b"
    rf"|(?P<in2>\b{_IN} )?(?:\bthe )?\b{_IMAGE} (?:number |no\.? ?|# ?)?(?P<digits>\d{{1,4}})\b"
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


_FILE = re.compile(r"\b[\w-]+\.(?:jpe?g|png|webp|gif|tiff?|bmp|pdf|heic|avif)\b", re.I)
_EACH = re.compile(r"\b(?:both|all|each|every|everyone|neither|none|either|most|only|just)\b", re.I)
_THING = (
    rf"(?:{_IMAGE}|(?:sign|shop|store|board|card|label|page|poster|receipt|door|window"
    r"|building|cafe|restaurant|one|thing)s?)"
)
_ORDER = "|".join((*ORDINALS, *_SHORT, "last", "other", "latter", "former", "next", "previous", "another"))
_OTHER = re.compile(
    rf"\b(?:the )?(?:{_ORDER}) (?:\w+ )?{_THING}\b|\bthe (?:{_ORDER})\b|\banother\b"
    rf"|\b{_THING} (?:number |no\.? ?|# ?)?(?:\d+|one|two|three|four|five|[a-d])"
    rf"(?=\s*(?:[?.,!;:]|$|(?:{v.SAYS}|is|are|has)\b))"
    rf"|\b(?:left|right|middle|top|bottom)(?:most|-hand|hand)? {_THING}\b"
    rf"|\b{_THING} (?:on|to|at|in) the (?:far )?(?:left|right|middle|top|bottom)\b",
    re.I,
)
_EXISTENCE = re.compile(
    r"^(?:is|are|was|were) there\b"
    r"|^(?:do|does|did|is|are|has|have|can) (?:any|some|at least|one of|anything|something)\b"
    r"|^(?:can|do|could) (?:you|i|we|one) (?:see|find|read|spot)\b|\banywhere\b",
    re.I,
)


def unresolved(question: str) -> str | None:
    """Why reading cannot settle a question about several images: it asks about all, or about one it does not number."""
    stem, _ = split_options(question)
    asked = re.sub(r"[\"“”].*?[\"“”]", " ", stem)
    if found := _FILE.search(asked):
        return f"images are known by their number, not as “{found[0]}”; name one by its number, as in “on image 1”"
    if found := _EACH.search(asked):
        return f"“{found[0]}” asks about several images at once; ask about each, by its number, as in “on image 1”"
    if found := _OTHER.search(asked):
        return f"it is not certain which image “{found[0]}” is; name one by its number, as in “on image 1”"
    return None


def asks_for_any(question: str) -> bool:
    """Whether one image that says "yes" is enough: "Is there a sign that says OPEN?"."""
    return _EXISTENCE.search(plain(question).strip()) is not None


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A question about one of several images."""

    image: int
    """Counted from 0; -1 is the last, `NO_IMAGE` is none. It may be one that there is not."""
    question: str
    """The question as it would be asked of that image alone."""


def ordinal(image: int) -> str:
    """What an image is called, by its number from 0: "first"."""
    if image < len(ORDINALS):
        return ORDINALS[image]
    return next((word for word, at in _SHORT.items() if at == image), f"{image + 1}th")


def images_named(question: str) -> list[NamedImage]:
    """The images that a question names, each once: "the price on the second", "what does photo 1 say"."""
    found: dict[int, NamedImage] = {}
    stem, _ = split_options(question)
    asked, options = (stem, question[len(stem) :]) if question.startswith(stem) else (question, "")
    for match in _NAMED.finditer(asked):
        nth = match["nth"] or match["nth2"]
        image = _NUMBERS[nth.lower()] if nth else int(match["digits"]) - 1
        image = NO_IMAGE if image < 0 and not nth else image
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


def option_for(image: int, question: str, texts: Sequence[Sequence[str]] = ()) -> Option | None:
    """The option that names that image by number, or by words that of all images' `texts` only its own hold."""
    options = split_options(question)[1]
    for option in options:
        words = option.text.strip(" .")
        named = images_named(words) or images_named(f"in {words}") or images_named(f"in the {words}")
        if [one.image for one in named] == [image]:
            return option
    held = [f" {' '.join(plain(text).lower() for text in of)} " for of in texts]
    fits = [o for o in options if [at for at, of in enumerate(held) if _stands(o.text, of)] == [image]]
    return fits[0] if len(fits) == 1 else None


def _stands(words: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(plain(words).lower().strip(' .'))}\b", text) is not None
