"""JSON as models write it: in code fences, with single quotes, trailing commas, Python's words, and text around it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_CHARACTERS = 10_000
"""No value is read from longer text."""

_MAX_FAILURES = 20
"""Places in a text at which a value may start without being one."""

_FENCE = re.compile(r"```\w*")
_OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(
    r"""  (?P<quote>["'])
        | ,(?=\s*[\]}])                # a trailing comma
        | \b(?:True|False|None)\b      # Python's words
    """,
    re.S | re.X,
)
_REST = {'"': re.compile(r'"((?:[^"\\]|\\.)*+)"', re.S), "'": re.compile(r"'((?:[^'\\]|\\.)*+)'", re.S)}
"""A whole string, by the quote that it begins with."""

_WORDS = {"True": "true", "False": "false", "None": "null", ",": ""}

_JSON = json.JSONDecoder(strict=False)


def json_values(text: str, wanted: Callable[[Any], bool]) -> list[Any]:
    """The objects and lists in `text` that are `wanted`, one after the other, mended where they are not quite JSON."""
    text = _FENCE.sub("", text)
    if len(text) > MAX_CHARACTERS:
        return []
    return _decoded(text, wanted) or _decoded("".join(_mended(text)), wanted)


def json_at(text: str, start: int = 0) -> tuple[Any, int] | None:
    """The JSON object or list at `start` of `text`, blanks aside, and where it ends; None where there is none."""
    opening = _BLANKS.match(text, start)
    at = opening.end() if opening else start
    if text[at : at + 1] not in ("{", "["):
        return None
    try:
        return _JSON.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


_BLANKS = re.compile(r"\s*+")


def object_of(given: object) -> dict[str, Any] | None:
    """`given` as an object: itself, or the one that its text writes as JSON, also where that text is JSON itself."""
    for _ in range(3):  # an object in JSON, in a text in JSON
        if isinstance(given, dict):
            return given
        if not isinstance(given, str):
            return None
        found = next(iter(json_values(given, lambda value: isinstance(value, dict))), None)
        if found is not None:
            return dict(found)
        try:
            given = json.loads(given) if len(given) <= MAX_CHARACTERS else None
        except (ValueError, RecursionError):
            return None
    return None


def _decoded(text: str, wanted: Callable[[Any], bool]) -> list[Any]:
    values: list[Any] = []
    at = failures = 0
    while failures < _MAX_FAILURES and (opening := _OPENING.search(text, at)):
        at = opening.start() + 1
        try:
            value, end = _JSON.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            failures += 1
            continue
        if wanted(value):
            values.append(value)
            at = end
        else:
            failures += 1
    return values


def _mended(text: str) -> Iterator[str]:
    """The pieces of `text` as JSON has them, in one pass.

    A quote that is never closed stays as it is, and so does every later one of its kind: a later one stands behind a
    backslash, so that none closes it either. Each is looked at once.
    """
    at, unclosed = 0, set[str]()
    while token := _TOKEN.search(text, at):
        yield text[at : token.start()]
        at, quote = token.end(), token["quote"]
        if quote is None:
            yield _WORDS.get(token[0], token[0])
            continue
        whole = None if quote in unclosed else _REST[quote].match(text, token.start())
        if whole is None:
            unclosed.add(quote)
            yield quote
            continue
        at = whole.end()
        yield whole[0] if quote == '"' else _in_double_quotes(whole[1])
    yield text[at:]


def _in_double_quotes(inside: str) -> str:
    return '"' + re.sub(r'\\.|"', lambda part: {"\\'": "'", '"': '\\"'}.get(part[0], part[0]), inside) + '"'
