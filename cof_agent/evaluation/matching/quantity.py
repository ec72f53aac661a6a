"""Numbers with units, as people write them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from cof_agent.evaluation.matching.vocabulary import FUNCTION, HEDGES
from cof_agent.evaluation.matching.words import (
    LONGEST,
    LONGEST_SENTENCE,
    Word,
    is_harmless,
    is_number,
    normal,
    plain,
    words,
)

_NUMBER = r"(?:\d{1,3}(?:[,' ]\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_QUANTITY = re.compile(
    rf"(?P<sign>[+-])?\s?(?P<before>US\$|[$€£¥])?\s?(?P<sign2>-)?(?P<number>{_NUMBER})\s*(?P<after>.*)", re.S
)
_AROUND = " \t\n.,;:!\"'()"

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_SMALL)} | {word: 20 + 10 * at for at, word in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

_NO_UNITS = frozenset(
    {
        *("dozen", "dozens", "pair", "pairs", "couple", "score", "half", "quarter", "third"),  # numbers of their own
        *("or", "and", "to", "of", "not", "than", "but", "in", "at", "am", "pm", "st", "nd", "rd", "th"),
    }
)
"""Words behind a number that are not what it counts: it is not read then."""

_UNITS: dict[str, tuple[str, Fraction, tuple[str, ...]]] = {
    "mm": ("length", Fraction(1, 1000), ("millimetre", "millimetres", "millimeter", "millimeters")),
    "cm": ("length", Fraction(1, 100), ("centimetre", "centimetres", "centimeter", "centimeters")),
    "m": ("length", Fraction(1), ("metre", "metres", "meter", "meters")),
    "km": ("length", Fraction(1000), ("kilometre", "kilometres", "kilometer", "kilometers", "kms")),
    "in": ("length", Fraction(254, 10000), ("inch", "inches")),
    "ft": ("length", Fraction(3048, 10000), ("foot", "feet")),
    "yd": ("length", Fraction(9144, 10000), ("yard", "yards")),
    "mi": ("length", Fraction(1609344, 1000), ("mile", "miles")),
    "mg": ("mass", Fraction(1, 10**6), ("milligram", "milligrams")),
    "g": ("mass", Fraction(1, 1000), ("gram", "grams", "gramme", "grammes")),
    "kg": ("mass", Fraction(1), ("kilogram", "kilograms", "kilo", "kilos", "kgs")),
    "lb": ("mass", Fraction(45359237, 10**8), ("lbs",)),
    "ml": ("volume", Fraction(1, 1000), ("millilitre", "millilitres", "milliliter", "milliliters")),
    "cl": ("volume", Fraction(1, 100), ("centilitre", "centilitres", "centiliter", "centiliters")),
    "l": ("volume", Fraction(1), ("litre", "litres", "liter", "liters")),
    "ms": ("time", Fraction(1, 1000), ("millisecond", "milliseconds")),
    "s": ("time", Fraction(1), ("sec", "secs", "second", "seconds")),
    "min": ("time", Fraction(60), ("mins", "minute", "minutes")),
    "h": ("time", Fraction(3600), ("hr", "hrs", "hour", "hours")),
    "day": ("time", Fraction(86400), ("days",)),
    "week": ("time", Fraction(7 * 86400), ("weeks",)),
    "km/h": ("speed", Fraction(1000, 3600), ("kmh", "kph", "kilometers per hour", "kilometres per hour")),
    "mph": ("speed", Fraction(1609344, 3600 * 1000), ("miles per hour",)),
    "m/s": ("speed", Fraction(1), ("meters per second", "metres per second")),
    "%": ("share", Fraction(1, 100), ("percent", "per cent", "percentage")),
    "°c": ("temperature", Fraction(0), ("celsius", "degrees celsius", "degree celsius")),
    "°f": ("temperature", Fraction(0), ("fahrenheit", "degrees fahrenheit", "degree fahrenheit")),
    "°": ("degrees", Fraction(1), ("degree", "degrees", "deg")),
    "usd": ("usd", Fraction(1), ("$", "us$", "dollar", "dollars", "us dollar", "us dollars")),
    "eur": ("eur", Fraction(1), ("€", "euro", "euros")),
    "gbp": ("gbp", Fraction(1), ("£",)),
    "chf": ("chf", Fraction(1), ("francs", "franc")),
}  # fmt: skip
"""A unit: what it measures, its size in the first of its kind (0: not by a factor alone), other names.

`pound` is missing, since it is a mass and a currency, and so are `¥` (of two countries) and sizes of data.
"""

_NAMES = {name: unit for unit, (_, _, others) in _UNITS.items() for name in (unit, *others)}
_CLOSE = Fraction(1, 20)
"""Two values in different units that differ by less may be the same, rounded."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what it counts."""

    value: Fraction
    unit: str = ""
    """One of ours by its short name, any other in small letters; empty when there is none."""

    @property
    def kind(self) -> str | None:
        return _UNITS[self.unit][0] if self.unit in _UNITS else None

    @property
    def unit_names(self) -> frozenset[str]:
        """Every single word that names the unit."""
        if not self.unit:
            return frozenset()
        names = (self.unit, *_UNITS[self.unit][2]) if self.unit in _UNITS else (self.unit,)
        return frozenset(word for name in names for word in plain(name))


def parse_quantity(text: str) -> Quantity | None:
    """The number that `text` is, whole, with its unit; None for anything else.

    Digits, with separators of thousands and a decimal point, or words up to billions. What begins with a zero, such as
    `007`, is a name and no number; neither are times, dates and ranges.
    """
    if len(text) > LONGEST:
        return None
    plain_text = normal(text).strip().rstrip(_AROUND).lstrip(" \t\n\"'(")
    match = _QUANTITY.fullmatch(plain_text)
    if match is None:
        return _from_words(plain_text)
    digits = re.sub(r"[,' ]", "", match["number"])
    if re.match(r"0\d", digits):
        return None
    value = Fraction(digits)
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    rest = match["after"].strip()
    scale = re.match(r"(hundred|thousand|million|billion)\b\s*", rest, re.I)
    if scale:
        value *= _SCALES[scale[1].lower()]
        rest = rest[scale.end() :]
    return _with_unit(value, match["before"] or "", rest)


def same_quantity(truth: Quantity, given: Quantity, asked: Collection[str]) -> bool | None:
    """Whether two quantities are the same; None where that is not certain. `asked`: the words of the question."""
    if truth.unit == given.unit:
        return truth.value == given.value
    if not truth.unit or not given.unit:
        return _same_without_unit(truth, given, asked)
    if truth.kind is None or given.kind is None:
        same_word = truth.unit.rstrip("s") == given.unit.rstrip("s")
        return truth.value == given.value if same_word else None
    if truth.kind != given.kind:
        return False if {truth.kind, given.kind} != {"degrees", "temperature"} else None
    wanted, found = (one.value * _UNITS[one.unit][1] for one in (truth, given))
    if truth.kind == "temperature":
        return None
    if wanted == found:
        return True
    return None if abs(wanted - found) <= _CLOSE * max(abs(wanted), abs(found)) else False


def says_quantity(answer: str, truth: Quantity, question: str) -> bool:
    """Whether `answer` is a short sentence that gives the number `truth`, in its unit, and no other."""
    given, asked = words(answer), plain(question)
    if len(given) > LONGEST_SENTENCE:
        return False
    numbers: list[list[Word]] = []
    rest: list[str] = []
    for at, word in enumerate(given):
        if is_number(word.plain):
            numbers.append([word])
        elif word.plain in _WORDS or word.plain in _SCALES:
            if at and numbers and numbers[-1][-1] is given[at - 1]:
                numbers[-1].append(word)
            else:
                numbers.append([word])
        else:
            rest.append(word.plain)
    if len(numbers) != 1:
        return False
    harmless = FUNCTION | set(asked) | truth.unit_names
    if not all(is_harmless(word, harmless) and word not in HEDGES for word in rest):
        return False
    number = parse_quantity(" ".join(word.raw for word in numbers[0]))
    if number is None or number.unit or number.value != truth.value:
        return False
    return not truth.unit or bool(truth.unit_names & {*rest, *asked})


def _same_without_unit(truth: Quantity, given: Quantity, asked: Collection[str]) -> bool | None:
    named = truth if truth.unit else given
    if truth.value == given.value:
        names = named.unit_names | {name.rstrip("s") for name in named.unit_names}
        return True if names & (set(asked) | {word.rstrip("s") for word in asked}) else None
    return None if named.kind else False


def _with_unit(value: Fraction, before: str, after: str) -> Quantity | None:
    name = " ".join(after.casefold().split()).rstrip(".")
    ahead = _NAMES.get(before.casefold(), before.casefold())
    if not name:
        return Quantity(value, ahead)
    unit = _NAMES.get(name, name)
    if ahead:
        return Quantity(value, ahead) if ahead == unit else None
    pieces = name.split()
    if unit not in _UNITS and (len(pieces) > 3 or not all(_is_unit_word(piece) for piece in pieces)):
        return None
    return Quantity(value, unit)


def _is_unit_word(word: str) -> bool:
    return word.isalpha() and word not in _NO_UNITS and word not in _WORDS and word not in _SCALES


def _from_words(text: str) -> Quantity | None:
    """A number in words, such as `forty-two km`."""
    pieces = text.casefold().replace("-", " ").split()
    if pieces[:1] == ["a"] and pieces[1:2] and pieces[1] in _SCALES:
        pieces[0] = "one"
    total = current = at = 0
    last: int | None = None
    for word in pieces:
        if word in _WORDS:
            step = _WORDS[word]
            if last is not None and not (step < 10 and last >= 20 and last % 10 == 0):
                return None
            current, last = current + step, step
        elif word in _SCALES and at:
            if word == "hundred":
                current *= 100
            else:
                total, current = total + current * _SCALES[word], 0
            last = 100
        elif not (word == "and" and at and pieces[at - 1] in _SCALES):
            break
        at += 1
    return _with_unit(Fraction(total + current), "", " ".join(pieces[at:])) if at else None
