"""Text as such: beside a named text, the most prominent, about something, a name, what a label names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cof_agent.policies.reader.page.finding import Finding, ReadPage
from cof_agent.policies.reader.page.layout import Relation, below, blocks, joined, relation, right_of, words_of
from cof_agent.policies.reader.page.text import Text, around
from cof_agent.policies.reader.question.ask import Form
from cof_agent.policies.reader.question.vocabulary import NAMED
from cof_agent.policies.reader.values import ValueKind, find_values, normal
from cof_agent.policies.reader.words import content, coverage, phrase_match, squeeze, tokens, word_match, words_in

CROWD = 6
"""With more rival blocks than this a text must stand out much more to be "the" sign."""
_BUSINESS = (ValueKind.PHONE, ValueKind.URL, ValueKind.EMAIL, ValueKind.MONEY)
_STREET = words_in(
    "street st road rd avenue ave lane ln drive dr boulevard blvd way place pl square sq court ct highway hwy"
)
_PAGES = words_in("form document page article section slide poster text report paper notice menu list table")
_UNNAMED = words_in(
    """page chapter letter street road avenue square city town station stop destination movie film event book person
    sponsor team"""
)
"""What is often not the most prominent text, so that only a text that says what it is will do."""


def match_next(scene: ReadPage) -> Iterator[Finding]:
    """The text beside one that the question names."""
    ask = scene.ask
    anchors = [(_mention(ask.phrase, text.text), text) for text in scene.readable()]
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
            r = relation(anchor, other)
            gap = 0.35 * r.gap if r.same_row else r.gap + (6.0 if ask.relation == "next" else 0.0)
            fit = match * (1.0 - 0.07 * gap) * (0.9 if len(squeeze(other.text)) < 2 else 1.0)
            yield from _typed(scene, other.text, fit, other)


def _mention(phrase: str, text: str) -> float:
    """How surely `text` holds `phrase`; a little less where it is part of a longer word."""
    match, want, have = phrase_match(phrase, text), tokens(phrase), tokens(text)
    whole = any(have[i : i + len(want)] == want for i in range(len(have)))
    return match if whole or match < 1.0 else 0.93


def _typed(scene: ReadPage, text: str, fit: float, source: Text) -> Iterator[Finding]:
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


def match_say(scene: ReadPage) -> Iterator[Finding]:
    """The most prominent block of text, by how much it stands out from the next.

    What a thing says that reading cannot find is certain only where there is no other text, or the text names it.
    """
    pool = _pool(scene)
    if scene.ask.bearer and len(found := blocks(pool)) > 1:
        pool = [text for block in found if scene.hinted(block) for text in block]
    if scene.ask.size and pool:
        heights = sorted(text.height for text in pool)
        limit = 0.72 * heights[-1] if scene.ask.size == "large" else 1.5 * heights[0]
        pool = [text for text in pool if (text.height >= limit if scene.ask.size == "large" else text.height <= limit)]
    yield from _prominent(scene, pool, floor=0.5, span=0.4, full=0.5)


def _pool(scene: ReadPage) -> list[Text]:
    """Lines that may be what a sign says: read with some confidence, on the colour asked for."""
    pool = [text for text in scene.readable(0.6) if len(squeeze(text.text)) >= 2 or text.height > 0.6 * scene.tallest]
    return [text for text in pool if scene.placed([text])]


def _prominent(scene: ReadPage, pool: Sequence[Text], *, floor: float, span: float, full: float) -> Iterator[Finding]:
    """Blocks of `pool`. A block as prominent as its best rival fits `floor`; `full` more prominent, `span` better."""
    found = [(_prominence(scene, block), block) for block in blocks(pool)]
    found.sort(key=lambda pair: -pair[0])
    for position, (prominence, block) in enumerate(found[:3]):
        rival = max((p for i, (p, b) in enumerate(found) if i != position and not _same(b, block)), default=0.0)
        ratio = prominence / rival if rival else 3.0
        crowd = sum(min(text.confidence for text in b) >= 0.8 for _, b in found) - 1
        if crowd > CROWD:
            ratio /= 1.6
        fit = floor + span * min(1.0, (ratio - 1) / full) if ratio >= 1 else floor * ratio
        yield Finding(words_of(block), fit, tuple(block))


def _same(a: Sequence[Text], b: Sequence[Text]) -> bool:
    return squeeze(words_of(a)) == squeeze(words_of(b))


def _prominence(scene: ReadPage, block: Sequence[Text]) -> float:
    height = max(text.height for text in block)
    length = sum(len(squeeze(text.text)) for text in block)
    sure = sum(text.confidence for text in block) / len(block)
    weight = 0.1 if scene.ask.form is Form.NAME else 0.3  # names are short, what a sign says may be long
    return float(height * min(length, 24) ** weight * sure * (1 + 1.5 * scene.hinted(block)))


def match_about(scene: ReadPage) -> Iterator[Finding]:
    """The phrase that holds the question's words."""
    for block in blocks(scene.readable()):
        for line in block:
            covered = coverage(scene.ask.items, line.text)
            if covered >= 0.75:
                fit = 0.55 + 0.4 * covered * (1.0 if scene.placed([line]) else 0.7)
                yield Finding(line.text, fit - (0.15 if len(content(line.text)) < 2 else 0.0), (line,))
        whole = coverage(scene.ask.items, words_of(block))
        if whole >= 0.75 and len(block) > 1:
            best = max(coverage(scene.ask.items, line.text) for line in block)
            if best < whole or any(
                len(content(t.text)) < 2 and coverage(scene.ask.items, t.text) == whole for t in block
            ):
                yield Finding(words_of(block), 0.5 + 0.4 * whole, tuple(block))


def match_label(scene: ReadPage) -> Iterator[Finding]:
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
        if unders and not marked and rights and _heads(text, unders[0]):
            rights = []
        if rights:
            yield Finding(rights[0].text, (0.9 if marked else 0.75) * pure, (rights[0],))
        elif unders:
            yield Finding(unders[0].text, (0.75 if marked else 0.62) * pure, (unders[0],))


def _heads(label: Text, value: Text) -> bool:
    """Whether a small label stands over its value, as in boxes of forms and tickets."""
    return value.height >= 1.15 * label.height and abs(value.box[0] - label.box[0]) < 1.5 * label.height


def _pure(label: str, labels: tuple[str, ...]) -> float:
    """How much of `label` is the label asked for."""
    words = content(label)
    return sum(any(word_match(word, mine) >= 0.8 for mine in labels) for word in words) / len(words) if words else 0.0


def match_name(scene: ReadPage) -> Iterator[Finding]:
    """A name: beside a label, in a line that says what it names, at the head of a document, or what stands out."""
    ask, pool = scene.ask, [text for text in _pool(scene) if not find_like(text.text)]
    owner = ask.items
    labels = ask.labels or (() if owner else ("name",))
    if labels and not (set(labels) == {"title"} and owner):
        yield from match_label(replace(scene, ask=replace(ask, form=Form.LABEL, labels=labels, items=())))
    for text in pool:
        said = max((_says(word, text.text) for word in owner), default=0.0) if "title" not in ask.labels else 0.0
        others = [
            word
            for word in content(text.text)
            if word not in _STREET and not any(word_match(word, mine) >= 0.8 for mine in owner)
        ]
        group = [text, *[t for t in pool if t is not text and joined(text, t) and t.height >= 0.8 * text.height]]
        bare = not any(
            len(word) > 1 for word in others
        )  # nothing but the kind of thing, as on the second line of a sign
        if said < 0.8 or (bare and (len(group) == 1 or not any(re.fullmatch(NAMED, word) for word in owner))):
            continue
        whole = sorted(group, key=lambda t: (t.box[1], t.box[0])) if len(content(text.text)) < 3 else [text]
        yield Finding(words_of(whole), 0.74 + 0.1 * said + 0.1 * text.height / scene.tallest, tuple(whole))
    if _UNNAMED & {*owner, *ask.labels} or ("title" in ask.labels and not _PAGES.issuperset(owner)):
        return
    if head := _head(scene, pool):
        yield Finding(words_of(head), 0.66, tuple(head))
    for finding in _prominent(scene, pool, floor=0.45, span=0.3, full=0.6):
        heads = "title" in ask.labels and around(finding.texts)[1] <= around(pool)[1] + 1
        yield replace(finding, fit=finding.fit + 0.12) if heads else finding


def _says(word: str, text: str) -> float:
    """How surely `text` says of itself that it is a `word`: "Mill Road" of a street, "Royal Hotel" of a hotel."""
    if word in _STREET:
        return float(any(token in _STREET for token in tokens(text)[-2:]))
    return word_match(word, text)


def _head(scene: ReadPage, pool: Sequence[Text]) -> list[Text]:
    """The heading of a business document, or nothing where the page is no such document.

    That is the first block of a column of lines that also holds prices or ways to reach whoever wrote it.
    """
    lines = scene.readable(0.8)
    business = any(v.strength >= 0.75 for text in lines for kind in _BUSINESS for v in find_values(text.text, kind))
    if len(lines) < 5 or not business or not pool:
        return []
    left, _, right, _ = around(lines)
    first = min(blocks(pool), key=lambda block: min(text.box[1] for text in block))
    middle = sorted(text.height for text in lines)[len(lines) // 2]
    tall = [text for text in first if text.height >= middle][:2]
    x1, _, x2, _ = around(first)
    column = sum(text.box[0] < x2 and text.box[2] > x1 for text in lines)
    return tall if column >= 0.6 * len(lines) and right - left < 0.95 * scene.picture.width else []


def find_like(text: str) -> bool:
    """Whether `text` is mostly digits and so no name."""
    flat = squeeze(text)
    return sum(character.isdigit() for character in re.sub(r"\W", "", text)) > 0.4 * max(len(flat), 1)
