"""Text as such: beside a named text, the most prominent, about something, a name, what a label names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cof_agent.policies.reader.finding import Finding, Scene
from cof_agent.policies.reader.layout import Relation, below, blocks, joined, relation, right_of, words_of
from cof_agent.policies.reader.page import Text
from cof_agent.policies.reader.question import Form
from cof_agent.policies.reader.values import find_values, normal
from cof_agent.policies.reader.words import content, coverage, phrase_match, squeeze, tokens, word_match

_STREET = frozenset(
    [
        "street",
        "st",
        "road",
        "rd",
        "avenue",
        "ave",
        "lane",
        "ln",
        "drive",
        "dr",
        "boulevard",
        "blvd",
        "way",
        "place",
        "pl",
        "square",
        "sq",
        "court",
        "ct",
        "highway",
        "hwy",
    ]
)
_UNNAMED = frozenset(
    [
        "street",
        "road",
        "avenue",
        "square",
        "city",
        "town",
        "station",
        "stop",
        "destination",
        "movie",
        "film",
        "event",
        "book",
        "title",
        "person",
        "sponsor",
        "team",
    ]
)
"""What is often not the most prominent text, so that only a text that says what it is will do."""


def match_next(scene: Scene) -> Iterator[Finding]:
    """The text beside one that the question names."""
    ask = scene.ask
    anchors = [(phrase_match(ask.phrase, text.text), text) for text in scene.readable()]
    best = max((match for match, _ in anchors), default=0.0)
    for match, anchor in anchors:
        if match < 0.8 or match < best - 0.05:
            continue
        rest = _remainder(anchor.text, ask.phrase)
        if ask.relation in ("next", "right") and len(squeeze(rest)) >= 2:
            yield from _typed(scene, rest, 0.85 * match, anchor)
        for other in scene.readable():
            if other is anchor or not _on_side(relation(anchor, other), ask.relation):
                continue
            gap = relation(anchor, other).gap
            fit = match * (1.0 - 0.07 * gap) * (0.9 if len(squeeze(other.text)) < 2 else 1.0)
            yield from _typed(scene, other.text, fit, other)


def _typed(scene: Scene, text: str, fit: float, source: Text) -> Iterator[Finding]:
    """`text`, or the values in it of the kind asked for."""
    if scene.ask.kind is None:
        yield Finding(text.strip(" :|-"), fit, (source,))
        return
    for value in find_values(text, scene.ask.kind):
        yield Finding(value.text, fit * min(1.0, value.strength + 0.15), (source,), normal(value))


def _on_side(r: Relation, side: str) -> bool:
    if side == "left":
        return r.same_row and r.left > -0.6
    if side == "right":
        return r.same_row and r.right > -0.6
    if side == "above":
        return r.level < -0.5 and r.overlap > 0.2
    if side == "below":
        return r.level > 0.5 and r.overlap > 0.2
    return True


def _remainder(text: str, phrase: str) -> str:
    """What follows `phrase` in `text`, or nothing."""
    wanted, seen = squeeze(phrase), ""
    for position, character in enumerate(text):
        seen += squeeze(character)
        if seen.endswith(wanted):
            return text[position + 1 :].strip(" :-–|")
    return ""


def match_say(scene: Scene) -> Iterator[Finding]:
    """The most prominent block of text, by how much it stands out from the next."""
    pool = _pool(scene)
    if scene.ask.size and pool:
        heights = sorted(text.height for text in pool)
        limit = 0.62 * heights[-1] if scene.ask.size == "large" else 1.5 * heights[0]
        pool = [text for text in pool if (text.height >= limit if scene.ask.size == "large" else text.height <= limit)]
    yield from _prominent(scene, pool, floor=0.5, span=0.4, full=0.5)


def _pool(scene: Scene) -> list[Text]:
    """Lines that may be what a sign says: read with some confidence, on the colour asked for."""
    pool = [text for text in scene.readable(0.6) if len(squeeze(text.text)) >= 2 or text.height > 0.6 * scene.tallest]
    coloured = [text for text in pool if scene.coloured([text])] if scene.ask.colour else pool
    return coloured


def _prominent(scene: Scene, pool: Sequence[Text], *, floor: float, span: float, full: float) -> Iterator[Finding]:
    """Blocks of `pool`. A block as prominent as its best rival fits `floor`; `full` more prominent, `span` better."""
    found = [(_prominence(scene, block), block) for block in blocks(pool)]
    found.sort(key=lambda pair: -pair[0])
    for position, (prominence, block) in enumerate(found[:3]):
        rival = max((p for i, (p, b) in enumerate(found) if i != position and not _same(b, block)), default=0.0)
        ratio = prominence / rival if rival else 3.0
        fit = floor + span * min(1.0, (ratio - 1) / full) if ratio >= 1 else floor * ratio
        yield Finding(words_of(block), fit, tuple(block))


def _same(a: Sequence[Text], b: Sequence[Text]) -> bool:
    return squeeze(words_of(a)) == squeeze(words_of(b))


def _prominence(scene: Scene, block: Sequence[Text]) -> float:
    height = max(text.height for text in block)
    length = sum(len(squeeze(text.text)) for text in block)
    sure = sum(text.confidence for text in block) / len(block)
    return float(height * min(length, 24) ** 0.3 * sure**2 * (1 + 1.5 * scene.hinted(block)))


def match_about(scene: Scene) -> Iterator[Finding]:
    """The phrase that holds the question's words."""
    for block in blocks(scene.readable()):
        for line in block:
            covered = coverage(scene.ask.items, line.text)
            if covered >= 0.75:
                fit = 0.55 + 0.4 * covered * (1.0 if scene.coloured([line]) else 0.7)
                yield Finding(line.text, fit - (0.15 if len(content(line.text)) < 2 else 0.0), (line,))
        whole = coverage(scene.ask.items, words_of(block))
        if whole >= 0.75 and len(block) > 1:
            best = max(coverage(scene.ask.items, line.text) for line in block)
            if best < whole or any(
                len(content(t.text)) < 2 and coverage(scene.ask.items, t.text) == whole for t in block
            ):
                yield Finding(words_of(block), 0.5 + 0.4 * whole, tuple(block))


def match_label(scene: Scene) -> Iterator[Finding]:
    """What a label names: after it in its line, right of it, or below it."""
    labels, items = scene.ask.labels, scene.ask.items
    for text in scene.readable(0.6):
        if coverage(labels, text.text) < 0.9 or (items and coverage(items, text.text) < 0.75):
            continue
        head, colon, rest = (part.strip() for part in text.text.partition(":"))
        if colon and coverage(labels, head) >= 0.9 and len(squeeze(rest)) >= 2:
            yield Finding(rest, 0.9 * _pure(head, labels), (text,))
            continue
        marked = text.text.rstrip().endswith(":")
        pure = _pure(text.text.rstrip(":"), labels)
        if pure < 0.75 and not marked:
            continue
        rights, unders = right_of(text, scene.texts, 25.0), below(text, scene.texts, 1.5)
        if rights:
            yield Finding(rights[0].text, (0.9 if marked else 0.75) * pure, (rights[0],))
        elif unders:
            yield Finding(unders[0].text, (0.75 if marked else 0.62) * pure, (unders[0],))


def _pure(label: str, labels: tuple[str, ...]) -> float:
    """How much of `label` is the label asked for."""
    words = content(label)
    return sum(any(word_match(word, mine) >= 0.8 for mine in labels) for word in words) / len(words) if words else 0.0


def match_name(scene: Scene) -> Iterator[Finding]:
    """A name: beside the label "name", in a line that says what it names, else the text that stands out."""
    ask, pool = scene.ask, _pool(scene)
    named = Scene(
        type(ask)(ask.text, Form.LABEL, labels=(*ask.labels, "name") if "name" not in ask.labels else ask.labels),
        scene.texts,
        scene.picture,
    )
    for finding in match_label(named):
        if ":" in " ".join(text.text for text in scene.texts):
            yield finding
    owner = ask.items
    for text in pool:
        words = tokens(text.text)
        street = any(word in _STREET for word in owner) and any(word in _STREET for word in words[-2:])
        if owner and (street or coverage(owner, text.text) >= 0.9):
            others = [
                word
                for word in words
                if word not in _STREET and not any(word_match(word, mine) >= 0.8 for mine in owner)
            ]
            group = [text, *[t for t in pool if t is not text and joined(text, t) and t.height >= 0.8 * text.height]]
            if any(len(word) > 1 and not word.isdigit() for word in others) or len(group) > 1:
                best = [t for t in group if t is text or not find_like(t.text)]
                whole = sorted(best, key=lambda t: (t.box[1], t.box[0])) if len(content(text.text)) < 3 else [text]
                yield Finding(words_of(whole), 0.84 + 0.1 * text.height / scene.tallest, tuple(whole))
    if not _UNNAMED & set(owner):
        yield from _prominent(
            scene, [text for text in pool if not find_like(text.text)], floor=0.45, span=0.35, full=1.2
        )


def find_like(text: str) -> bool:
    """Whether `text` is mostly digits and so no name."""
    flat = squeeze(text)
    return sum(character.isdigit() for character in re.sub(r"\W", "", text)) > 0.4 * max(len(flat), 1)
