"""Typed values in read text: phone numbers, addresses of the web, prices, dates, times and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from cof_agent.policies.reader.words import plain


class ValueKind(StrEnum):
    """What sort of value a question asks for."""

    PHONE = "phone number"
    URL = "website address"
    EMAIL = "e-mail address"
    MONEY = "amount"
    DATE = "date"
    TIME = "time"
    PERCENT = "percentage"
    YEAR = "year"
    SEASON = "season"
    NUMBER = "number"
    CODE = "number or code"
    QUANTITY = "quantity"


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value found in a text."""

    kind: ValueKind
    text: str
    """As printed, less surrounding space."""
    strength: float
    """How surely its form is that of its kind, 0.0 to 1.0."""
    start: int
    """Where it starts in the text."""


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|satu?r?|sun)(?:day|\.)?\b"
_CLOCK = r"(?:[01]?\d|2[0-4])\s?[:：h]\s?[0-5]\d(?:\s?:\s?[0-5]\d)?(?:\s?[ap]\.?\s?m\b\.?)?"
_HALF_DAY = r"(?:1[0-2]|0?[1-9])(?:[.:][0-5]\d)?\s?[ap]\.?\s?m\b\.?"
_TO = r"\s?(?:-|–|—|to|until|~)\s?"
_SIGN = r"(?:us\$|[$€£¥₹₽₩฿]|\b(?:usd|eur|gbp|chf|jpy|cad|aud|rs)\b\.?)"
_AFTER = r"(?:[€£¥₹₽₩¢]|\b(?:eur|euro|usd|chf|gbp|kr|zł|zl|pln|czk)\b)"
_DIGITS = r"\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d{2})?|\d+(?:[.,]\d{1,2})?"
_UNIT = (
    r"(?:km/h|kmh|mph|km|mi|miles?|metres?|meters?|cm|mm|m|ft|feet|in|kg|mg|g|lbs?|oz|ml|cl|l|litres?|liters?|kcal|kj"
    r"|cal|calories|kwh|kw|w|v|mah|hz|ghz|gb|mb|°\s?[cf]?|mins?|minutes|hours?|hrs?|days?|nights?|weeks?|months?|years?|pcs|pieces|pages)"
)

_FORMS: dict[ValueKind, tuple[tuple[str, float], ...]] = {
    ValueKind.PHONE: (
        (r"(?<![\w.,/$€£])[+(]?\d[\d\s().–-]{5,}\d(?![\w/%])", 1.0),
        (r"\b1?[\s.-]?8\d\d[\s.-][A-Z0-9]{3,}(?:-[A-Z0-9]+)*\b", 0.8),
    ),
    ValueKind.URL: (
        (r"\bhttps?\s?:\s?//\s?[^\s<>\"]+", 1.0),
        (r"\bwww\s?[.,]\s?[a-z0-9-]+(?:[.,]\s?[a-z0-9-]+)*\.[a-z]{2,6}(?:/[^\s<>\"]*)?", 1.0),
        (
            r"(?<![\w@.-])[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|info|biz|io|int|mil|museum|shop|app"
            r"|dev|online|co\.[a-z]{2}|com\.[a-z]{2})\b(?:/[^\s<>\"]*)?(?!@)",
            0.95,
        ),
        (r"(?<![\w@.-])[a-z][a-z0-9-]{2,}\.[a-z]{2}\b(?:/[^\s<>\"]*)?(?![@.\w])", 0.75),
        (r"\bwww[.,]?\S{3,}", 0.4),
    ),
    ValueKind.EMAIL: ((r"[\w.+-]+\s?@\s?[a-z0-9-]+(?:\.[a-z0-9-]+)+", 1.0),),
    ValueKind.MONEY: (
        (rf"-?{_SIGN}\s?-?(?:{_DIGITS})(?!\d)", 1.0),
        (rf"(?<![\d.,/])(?:{_DIGITS})(?:,-)?\s?{_AFTER}", 1.0),
        (r"(?<![\d.,/:#-])-?\d{1,3}(?:[ ,.']\d{3})*[.,]\d{2}(?![\d%/:]|[.,]\d)", 0.75),
    ),
    ValueKind.DATE: (
        (r"(?<!\d)(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:\d{4}|\d{2}))(?![\d:])", 0.95),
        (rf"\b\d{{1,2}}(?:st|nd|rd|th)?[\s./-]*(?:of\s+)?{_MONTH}(?:[\s,./-]*'?\d{{2,4}}(?![\d:]))?", 1.0),
        (rf"\b{_MONTH}\s*\d{{1,2}}(?:st|nd|rd|th)?(?!\d)(?:\s?[-–]\s?\d{{1,2}}(?!\d))?(?:,?\s*\d{{4}})?", 1.0),
        (rf"\b{_MONTH}\s*\d{{4}}\b", 0.8),
    ),
    ValueKind.TIME: (
        (rf"(?<![\d:.,]){_CLOCK}{_TO}{_CLOCK}(?![\d:])", 1.0),
        (rf"(?<![\d:.,]){_HALF_DAY}{_TO}(?:{_HALF_DAY}|{_CLOCK})", 1.0),
        (rf"(?<![\d:.,]){_HALF_DAY}", 1.0),
        (rf"(?<![\d:.,]){_CLOCK}(?![\d:])", 1.0),
        (r"(?<![\d:.,$€£])(?:[01]?\d|2[0-3])\.[0-5]\d(?:\s?[-–]\s?(?:[01]?\d|2[0-4])\.[0-5]\d)?(?![\d.,])", 0.55),
    ),
    ValueKind.PERCENT: ((r"[-+]?\d+(?:[.,]\d+)?\s?[%％]", 1.0), (r"\d+(?:[.,]\d+)?\s?(?:percent|per cent)", 1.0)),
    ValueKind.YEAR: ((r"(?<![\d.,/$€£#-])(?:1[5-9]\d\d|20\d\d)(?:\s?[-–/]\s?(?:\d{4}|\d{2}))?(?![\d,.]\d|\d)", 1.0),),
    ValueKind.SEASON: (
        (r"(?<![\d.,/$€£])(?:1[89]\d\d|20\d\d)\s?[-–—/]\s?(?:(?:19|20)\d\d|\d{2})(?!\d)", 1.0),
        (r"\b(?:spring|summer|autumn|winter)\b(?:\s+(?:19|20)\d\d)?", 0.85),
        (r"(?<![\d.,/$€£-])20\d\d(?![\d-])", 0.4),
    ),
    ValueKind.NUMBER: ((r"(?<![\d.,])[-+]?\d+(?:[.,:]\d+)*(?!\d)", 1.0),),
    ValueKind.CODE: (
        (r"\b(?-i:(?!N[OR]\b)[A-Z]{1,3}) \d{2,4}\b", 1.0),  # "QX 482"
        (r"(?<![\w.-])(?=[a-z/.-]*\d)[a-z0-9]+(?:[-/.][a-z0-9]+)*", 1.0),
    ),
    ValueKind.QUANTITY: ((rf"(?<![\d.,])\d+(?:[.,]\d+)?\s?{_UNIT}(?![a-z])", 1.0),),
}  # fmt: skip

_COMPILED = {kind: tuple((re.compile(form, re.I), s) for form, s in forms) for kind, forms in _FORMS.items()}

_HINTS: dict[ValueKind, str] = {
    ValueKind.URL: r"www|http|\.(?:com|org|net|[a-z]{2})$|\b\w+\.\w{2,3}$|(?:com|org|net)$",
    ValueKind.EMAIL: r"@|\.(?:com|org|net|[a-z]{2})$",
    ValueKind.PERCENT: r"%|\d\s?[o0]ff|\d[0-9/%]+",
}
_DIGITAL = re.compile(r"[\doil|szb]", re.I)


def find_values(text: str, kind: ValueKind) -> list[Value]:
    """Values of `kind` in `text`, best form first at each place, none overlapping, in order of place."""
    found: list[tuple[int, int, float]] = []
    for form, strength in _COMPILED[kind]:
        for match in form.finditer(text):
            start, end = match.span()
            if all(end <= s or e <= start for s, e, _ in found) and (
                kept := _weigh(match.group(), kind, strength, text)
            ):
                found.append((start, end, kept))
    return [Value(kind, text[s:e].strip(" ,;"), strength, s) for s, e, strength in sorted(found)]


def _weigh(text: str, kind: ValueKind, strength: float, whole: str) -> float:
    """`strength` after checks that a regular expression cannot make; 0.0 refuses."""
    digits = sum(character.isdigit() for character in text)
    if kind is ValueKind.PHONE:
        if not 7 <= digits <= 15 and strength == 1.0:
            return 0.0
        if find_values(text, ValueKind.DATE) and not text.strip().startswith(("+", "(")):
            return 0.0
        separated = bool(re.search(r"[\s().+–-]", text.strip()))
        return strength if separated and strength == 1.0 else 0.7
    if kind is ValueKind.DATE and re.fullmatch(r"[\d\s./-]+", text):
        parts = [int(part) for part in re.findall(r"\d+", text)]
        small = [part for part in parts if part <= 31]
        return strength if len(small) >= 2 and any(part <= 12 for part in parts) else 0.0
    if kind is ValueKind.URL and re.fullmatch(r"[\d.,]+", text):
        return 0.0
    if kind is ValueKind.NUMBER:
        return strength if digits >= 0.5 * len(re.sub(r"\W", "", plain(whole))) else 0.5
    return strength


def normal(value: Value) -> str:
    """A form in which two printings of the same value are equal."""
    text = plain(value.text)
    if value.kind is ValueKind.PHONE:
        return re.sub(r"\D", "", text)[-9:]
    if value.kind is ValueKind.MONEY:
        return re.sub(r"[^\d.,]", "", text).replace(",", ".")
    return re.sub(r"\s", "", text).rstrip(".")


def resemblance(text: str, kind: ValueKind) -> float:
    """How much `text`, perhaps misread, looks like a value of `kind`: 0.0 to 1.0. For ranking where to look."""
    strongest = max((value.strength for value in find_values(text, kind)), default=0.0)
    if strongest >= 0.55:
        return strongest
    if kind in _HINTS:
        return max(0.7 * strongest, 0.7 if re.search(_HINTS[kind], text.strip(), re.I) else 0.0)
    letters = [character for character in text if character.isalnum()]
    if len(letters) < 2:
        return 0.4 if letters and letters[0].isdigit() and kind in (ValueKind.NUMBER, ValueKind.CODE) else 0.0
    digits = sum(character.isdigit() for character in letters) / len(letters)
    likely = sum(bool(_DIGITAL.match(character)) for character in letters) / len(letters)
    return round(0.8 * likely, 3) if digits >= 0.3 else 0.0
