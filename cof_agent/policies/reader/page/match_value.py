"""Typed values, alone or beside a label."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cof_agent.policies.reader.page.finding import Finding, ReadPage
from cof_agent.policies.reader.page.layout import below, relation, right_of, row_of
from cof_agent.policies.reader.page.text import Text
from cof_agent.policies.reader.values import Value, ValueKind, find_values, normal
from cof_agent.policies.reader.words import content, coverage, plain, tokens, word_match, words_in

_ALONE = frozenset(
    {
        ValueKind.PHONE,
        ValueKind.URL,
        ValueKind.EMAIL,
        ValueKind.PERCENT,
        ValueKind.YEAR,
        ValueKind.SEASON,
        ValueKind.DATE,
        ValueKind.TIME,
    }
)
"""Kinds that need no label when there is only one such value to be seen."""
_NOT_NUMBER = (ValueKind.TIME, ValueKind.DATE, ValueKind.PHONE, ValueKind.PERCENT, ValueKind.MONEY)
_UNITS = {
    "temperature": r"°",
    "speed": r"km/?h|mph",
    "weight": r"\b(?:kg|g|mg|lbs?|oz)\b",
    "weigh": r"\b(?:kg|g|mg|lbs?|oz)\b",
    "distance": r"\b(?:km|m|mi|miles?|ft)\b",
    "volume": r"\b(?:ml|cl|l|oz|lit)",
    "voltage": r"\d\s?v\b",
    "power": r"\d\s?k?w\b",
}
_LINES = words_in("fax mobile cell hotline office home work direct")
_PLATE = re.compile(r"[A-Z0-9][A-Z0-9 .·-]{3,9}")


def match_values(scene: ReadPage) -> Iterator[Finding]:
    """Values of the kind asked for, each with how well it fits the question's label."""
    ask = scene.ask
    if ask.kind is None:
        return
    if ask.count:
        yield from _counts(scene)
        return
    bound = (*ask.labels, *ask.items)
    for text in scene.texts:
        if text.confidence < 0.5:
            continue
        values = _values(text, scene)
        for other in text.others if not values else ():
            if values := _values(other, scene):
                text = other
                break
        for position, value in enumerate(values):
            fit = _beside(scene, text, value, position, values) if bound else 0.0
            if fit < 0.6 and not _needs_label(scene):
                fit = max(fit, _alone(scene, text, value, values))
            if fit > 0.3:
                answer = _part(scene, value)
                yield Finding(answer, min(fit, 1.0), (text,), normal(value))


def _needs_label(scene: ReadPage) -> bool:
    ask = scene.ask
    if ask.labels:
        return not (ask.kind is ValueKind.QUANTITY and set(ask.labels) & set(_UNITS))
    return bool(ask.items) and ask.kind not in _ALONE


def _values(text: Text, scene: ReadPage) -> list[Value]:
    kind = scene.ask.kind
    assert kind is not None
    if kind is ValueKind.CODE and not scene.ask.labels:
        return _plates(text)
    values = find_values(text.text, kind)
    if kind is ValueKind.MONEY and not values and (scene.ask.labels or scene.ask.items):
        values = [
            Value(kind, v.text, 0.7, v.start) for v in find_values(text.text, ValueKind.NUMBER) if v.strength == 1.0
        ]
    if kind is ValueKind.QUANTITY and not values and (scene.ask.labels or scene.ask.items):
        values = [
            Value(kind, v.text, 0.85, v.start) for v in find_values(text.text, ValueKind.NUMBER) if v.strength == 1.0
        ]
    if kind is ValueKind.NUMBER:
        typed = [v for other in _NOT_NUMBER for v in find_values(text.text, other) if v.strength >= 0.95]
        values = [v for v in values if not any(t.start <= v.start < t.start + len(t.text) for t in typed)]
        if len(values) > 1 and len(text.text) <= 12:
            whole = re.sub(r"^[^\d]+|[^\d]+$", "", text.text)
            values = [Value(kind, whole, 0.9, values[0].start)]
    if kind is ValueKind.CODE:
        typed = [
            v
            for other in (ValueKind.TIME, ValueKind.DATE, ValueKind.MONEY)
            for v in find_values(text.text, other)
            if v.strength >= 0.95
        ]
        values = [v for v in values if not any(t.start <= v.start < t.start + len(t.text) for t in typed)]
    return values


def _plates(text: Text) -> list[Value]:
    flat = text.text.strip()
    letters, digits = sum(c.isalpha() for c in flat), sum(c.isdigit() for c in flat)
    if _PLATE.fullmatch(flat) and digits >= 2 and letters >= 1 and not find_values(flat, ValueKind.DATE):
        return [Value(ValueKind.CODE, flat, 0.9, 0)]
    return []


def _beside(scene: ReadPage, text: Text, value: Value, position: int, values: list[Value]) -> float:
    """Fit of a value by the label beside it: in its own line, left of it in its row, or above it."""
    ask = scene.ask
    bound = (*ask.labels, *ask.items)
    own = text.text[: value.start] + " " + text.text[value.start + len(value.text) :]
    before = coverage(bound, text.text[: value.start])
    best = max(_fit(scene, bound, own) * (1.0 if before >= 0.75 else 0.93), 0.0)
    if before >= 0.75 and position:
        earlier = coverage(bound, text.text[: values[position - 1].start])
        best *= 0.85 if earlier >= 0.75 and ask.kind is not ValueKind.MONEY else 1.0
    row = [other for other in row_of(text, scene.texts) if other is not text]
    lefts = [other for other in row if other.box[0] < text.box[0]]
    if lefts:
        side = _fit(scene, bound, " ".join([*(other.text for other in lefts), own]))
        between = [other for other in lefts if find_values(other.text, value.kind) and _past_label(other, lefts, bound)]
        later = [other for other in right_of(text, scene.texts) if find_values(other.text, value.kind)]
        if value.kind is ValueKind.MONEY:
            side *= 0.85 if later else 1.0
        elif between or (position and before < 0.75):
            side *= 0.85 + 0.15 * _header(scene, text, ask.hints)
        best = max(best, 0.98 * side)
    if not lefts and row:
        best = max(best, 0.85 * _fit(scene, bound, " ".join([own, *(other.text for other in row)])))
    if ask.labels and ask.items and coverage(ask.items, " ".join([own, *(other.text for other in row)])) >= 0.75:
        best = max(best, 0.92 * _header(scene, text, ask.labels))
    for other in scene.texts:
        if other is not text and text in below(other, scene.texts) and not find_values(other.text, value.kind):
            r = relation(other, text)
            rivals = [t for t in right_of(other, scene.texts, 25.0) if find_values(t.text, value.kind)]
            near = 0.92 - 0.12 * max(r.below, 0.0) - (0.3 if rivals else 0.0)
            best = max(best, near * _fit(scene, bound, other.text))
    return best * min(1.0, value.strength + 0.2) * (1.0 if scene.placed([text]) else 0.75)


def _past_label(other: Text, lefts: list[Text], bound: tuple[str, ...]) -> bool:
    """Whether `other` stands right of the last line that holds a label word."""
    marks = [t.box[0] for t in lefts if any(word_match(word, t.text) >= 0.8 for word in bound)]
    return bool(marks) and other.box[0] > max(marks)


def _fit(scene: ReadPage, bound: tuple[str, ...], label: str) -> float:
    """How well `label` is the one asked for: all its words there, few others."""
    covered = coverage(bound, label)
    if covered < 0.75:
        return 0.0
    exact = sum(word_match(word, label) == 1.0 for word in bound) / len(bound)
    others = [
        word
        for word in content(label)
        if not any(word_match(word, mine) >= 0.8 for mine in bound) and not word.isdigit()
    ]
    return covered * (0.8 + 0.1 * exact + 0.1 * len(bound) / (len(bound) + len(others)))


def _header(scene: ReadPage, text: Text, words: tuple[str, ...]) -> float:
    """How well the head of `text`'s column answers to `words`."""
    heads = [
        other for other in scene.texts if relation(text, other).overlap > 0.3 and relation(text, other).level < -0.5
    ]
    return max((coverage(words, head.text) for head in heads), default=0.0)


def _alone(scene: ReadPage, text: Text, value: Value, values: list[Value]) -> float:
    """Fit of a value that no label names: by its form, its size, its colour and what stands near."""
    ask = scene.ask
    size = (text.height / scene.tallest) if ask.size == "large" else (text.height / scene.tallest) ** 0.5
    fit = value.strength * (0.72 + 0.16 * min(1.0, size))
    if ask.size == "small":
        fit = value.strength * (0.88 - 0.16 * min(1.0, text.height / scene.tallest))
    hint = scene.hinted([text])
    fit += 0.1 * hint
    if ask.items or (ask.labels and ask.kind is not ValueKind.QUANTITY):
        fit -= 0.15
    if ask.kind is ValueKind.NUMBER and value.strength < 1.0:
        fit -= 0.1
    if ask.kind in (ValueKind.YEAR,) and find_values(text.text, ValueKind.DATE):
        fit -= 0.05
    if ask.kind is ValueKind.QUANTITY:
        unit = next((_UNITS[word] for word in (*ask.labels, *tokens(ask.text)) if word in _UNITS), None)
        fit = fit if unit and re.search(unit, plain(value.text)) else 0.0
    if ask.kind is ValueKind.PHONE:
        fit += _line_kind(tokens(ask.text), tokens(" ".join(other.text for other in row_of(text, scene.texts)[:3])))
    if ask.kind is ValueKind.TIME and len(values) > 1:
        fit -= 0.05
    if ask.kind is ValueKind.MONEY and not ask.items:
        fit -= 0.03
    return fit * (1.0 if scene.placed([text]) else 0.68)


def _line_kind(asked: list[str], row: list[str]) -> float:
    """What the kind of line, as in "fax" or "mobile", adds to the fit of a phone number."""
    wanted, there = _LINES.intersection(asked), _LINES.intersection(row)
    if wanted:
        return 0.1 if wanted & there else -0.15
    return -0.3 if "fax" in there else 0.0


def _part(scene: ReadPage, value: Value) -> str:
    """The value as an answer: of a span of time, the end that "open" or "close" asks for."""
    ends = re.split(r"\s*(?:-|–|—|\bto\b|\buntil\b|~)\s*", value.text)
    asked = set(tokens(scene.ask.text))
    if value.kind is ValueKind.TIME and len(ends) == 2 and not asked & {"hours", "times"}:
        if asked & {"close", "closes", "closed", "closing", "end", "ends", "until", "till"}:
            return ends[1]
        if asked & {"open", "opens", "start", "starts", "begin", "begins"}:
            return ends[0]
    if value.kind is ValueKind.TIME:
        return re.sub(r"\s?:\s?(?=\d)", ":", value.text)
    return value.text


def _counts(scene: ReadPage) -> Iterator[Finding]:
    """A number printed right beside the word for what is counted. Things in the picture are not counted."""
    words = scene.ask.items
    if not words:
        return
    for text in scene.texts:
        if text.confidence < 0.6 or coverage(words, text.text) < 0.9:
            continue
        for value in find_values(text.text, ValueKind.NUMBER):
            rest = tokens(text.text[value.start + len(value.text) :])[:2]
            ahead = tokens(text.text[: value.start])[-2:]
            if any(word_match(words[0], word) == 1.0 for word in (*rest, *ahead)):
                beside = any(word_match(words[0], word) == 1.0 for word in (*rest[:1], *ahead[-1:]))
                yield Finding(value.text, 0.85 if beside else 0.7, (text,), normal(value))
