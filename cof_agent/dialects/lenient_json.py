"""JSON as models write it: in code fences, with single quotes, trailing commas, Python's words, and text around it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_CHARACTERS = 10_000
"""No value is read from longer text."""

_MAX_FAILURES = 20
"""Places in a text at which a value may start without being one."""

_FENCE = re.compile(r"```\w*")
_OPENING = re.compile(r"[{\[]")
_SLOPPY = re.compile(
    r"""  "(?:[^"\\]|\\.)*"            # a JSON string: stays
        | '(?P<quoted>(?:[^'\\]|\\.)*)'  # a string in single quotes
        | ,(?=\s*[\]}])                # a trailing comma
        | \b(?:True|False|None)\b      # Python's words
    """,
    re.S | re.X,
)
_WORDS = {"True": "true", "False": "false", "None": "null", ",": ""}

_JSON = json.JSONDecoder(strict=False)


def json_values(text: str, wanted: Callable[[Any], bool]) -> list[Any]:
    """The objects and lists in `text` that are `wanted`, one after the other, mended where they are not quite JSON."""
    text = _FENCE.sub("", text)
    if len(text) > MAX_CHARACTERS:
        return []
    return _decoded(text, wanted) or _decoded(_SLOPPY.sub(_mended, text), wanted)


def json_prefix(text: str) -> str | None:
    """The JSON object or list that `text` begins with, blanks aside, as written; None where it begins with none."""
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] not in ("{", "["):
        return None
    try:
        _, end = _JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[start:end]


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


def _mended(token: re.Match[str]) -> str:
    if token["quoted"] is None:
        return _WORDS.get(token[0], token[0])
    return '"' + re.sub(r'\\.|"', lambda part: {"\\'": "'", '"': '\\"'}.get(part[0], part[0]), token["quoted"]) + '"'
