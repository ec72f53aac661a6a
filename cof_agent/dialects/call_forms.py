"""Calls outside of the form that a dialect has for them: plain JSON, XML, Python, and other families' marks.

Text is a call, or an attempt at one, where it has the structure of a call and names a tool that looks closer. Prose
that speaks of a zoom lens, and JSON with a `name` of something else, is neither.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cof_agent.dialects.lenient_json import json_at, json_values, object_of
from cof_agent.dialects.tools import CROP, ZOOM
from cof_agent.dialects.turn import Call
from cof_agent.dialects.xml_calls import xml_calls

NAMES = (ZOOM, CROP, "crop_image_normalized")
"""The tools' names, those of the dialects' own included: no other text has them by accident."""

_SHORT = re.compile(r"(?:image_?)?(?:zoom|crop)(?:_?(?:in|image|region|tool)){0,3}|grounding")
"""Names that policies make of these. They are words too, so the arguments must have a box."""

_BOX_KEYS = frozenset(
    ("bbox_2d", "bbox", "box", "box_2d", "boxes", "bounding_box", "region", "coordinates", "coords", "x1", "xmin")
)
_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action", "recipient_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "params", "action_input", "tool_input", "kwargs")
_WRAPPERS = (
    "function",
    "tool_calls",
    "tool_call",
    "function_call",
    "functionCall",
    "tool_use",
    "action",
    "call",
    "calls",
)
_DEEPEST = 4
"""Levels of wrapping in which a call is looked for."""

_ANY = "|".join(NAMES)
_SHORTER = _SHORT.pattern
_KEY = rf"[\"'](?:{'|'.join(_NAME_KEYS)})[\"']\s{{0,20}}[:=]\s{{0,20}}[\"']"
_ARGUMENTS = rf"[\"'](?:{'|'.join(_ARGUMENT_KEYS)})[\"']\s{{0,20}}:\s{{0,20}}[\"']?\{{"
_BOX = rf"\b(?:{'|'.join(sorted(_BOX_KEYS))})[\"']?\s{{0,9}}[=:]\s{{0,9}}[\"']?[\[({{\d]"
_FOUR = r"[\[(]?(?:\s{0,9}[-+\d.]{1,20}\s{0,9},){3}\s{0,9}[-+\d.]{1,20}\s{0,9}[\])]?"
_BETWEEN = r"(?::\d{1,9})?(?:[\s:=`]|json\b|\[ARGS\]|Action Input|Arguments|<[|｜][^<>]{1,40}[|｜]>){0,12}"
"""What may stand between a tool's name and the JSON of its arguments."""

_HINT = re.compile(
    r"zoom|crop|grounding|TOOL_CALLS|python_tag|<function|<invoke|:invoke|tool.?calls?|function_call", re.I
)
"""Text without any of it has no call: most text."""
_MARK = re.compile(
    r"\[TOOL_CALLS\]|<\|python_tag\|>|<function=\w|<(?:[\w.-]{1,20}:)?invoke\s{1,20}name=|<function_calls?>"
    r"|<[|｜]tool[▁_ ]calls?(?:[▁_ ]\w{1,20}){0,3}[|｜]>|<tool_calls?>"
)
"""Marks of other families' calls, which stand in no answer: Mistral, Llama 3, Qwen's coders, Claude, DeepSeek, Kimi."""
_SIGNS = (
    _MARK,
    re.compile(rf"{_KEY}(?:[\w-]{{1,40}}\.){{0,3}}(?:{_ANY})\b"),
    re.compile(rf"{_KEY}(?:{_SHORTER})[\"']\s{{0,20}},\s{{0,20}}{_ARGUMENTS}"),
    re.compile(rf"<(?:{_ANY})\b"),
    re.compile(rf"(?<![\w-])(?:{_ANY})\s{{0,20}}\("),
    re.compile(rf"(?<![\w-])(?:{_SHORTER})\s{{0,2}}\((?=[^()]{{0,1000}}{_BOX})"),
    re.compile(rf"\A\s{{0,20}}\[?(?:{_SHORTER})\s{{0,2}}\(\s{{0,9}}{_FOUR}\s{{0,9}}\)\]?\s{{0,20}}\Z"),
)
"""Any of them is a call, or an attempt at one."""
_NAMED_JSON = re.compile(rf"(?<![\w-])({_ANY}){_BETWEEN}(?=\{{)")
_PYTHON = re.compile(rf"(?<![\w-])({_ANY}|{_SHORTER})\s{{0,2}}\(([^()]{{0,1000}})\)")


@dataclass(frozen=True, slots=True)
class Written:
    """What a text has of calls."""

    calls: tuple[Call, ...] = ()
    """Those that can be read."""
    attempted: bool = False
    """Whether it has a call, readable or not."""


def calls_written(text: str) -> Written:
    """The calls in `text`, in whatever form. Names and arguments are the policy's."""
    if not _HINT.search(text):
        return Written()
    for read in (_in_json, _in_xml, _after_name, _in_python):
        if calls := tuple(read(text)):
            return Written(calls, attempted=True)
    attempted = any(sign.search(text) for sign in _SIGNS)
    return Written(attempted=attempted or bool(json_values(text, lambda found: bool(list(_named(found))))))


def _in_json(text: str) -> Iterator[Call]:
    for value in json_values(text, lambda found: any(args is not None for _, args in _named(found))):
        yield from (Call(name, args, text) for name, args in _named(value) if args is not None)


def _in_xml(text: str) -> Iterator[Call]:
    for call in xml_calls(text):
        name = _bare(call.name)
        if not call.error and (name in NAMES or _SHORT.fullmatch(name)):
            yield Call(name, call.args, call.text)


def _after_name(text: str) -> Iterator[Call]:
    for found in _NAMED_JSON.finditer(text):
        value = json_at(text, found.end())
        if value and isinstance(value[0], dict) and _has_box(value[0]):
            yield Call(found[1], value[0], text[found.start() : value[1]])


def _in_python(text: str) -> Iterator[Call]:
    for name, inside in _PYTHON.findall(text):
        if (args := _keywords(inside)) and (name in NAMES or _has_box(args)):
            yield Call(name, args, f"{name}({inside})")


def _keywords(inside: str) -> dict[str, Any] | None:
    """The arguments of a call in Python, all of them by name and literal; None where they are anything else."""
    try:
        (call,) = (node for node in ast.walk(ast.parse(f"f({inside})", mode="eval")) if isinstance(node, ast.Call))
        if call.args:
            return None
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _named(value: Any, depth: int = _DEEPEST) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The tools that a JSON value calls, with their arguments; None for those that cannot be read."""
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value[:100]:
            yield from _named(item, depth - 1)
        return
    if not isinstance(value, dict):
        return
    for wrapper in _WRAPPERS:
        inside = value.get(wrapper)
        if isinstance(inside, dict | list) and (found := list(_named(inside, depth - 1))):
            yield from found
            return
    if len(value) == 1:
        ((only, inside),) = value.items()
        if _bare(only) in NAMES:
            yield _bare(only), object_of(inside)
            return
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if name is None:
        return
    name = _bare(name)
    offered = name in NAMES
    if not offered and not _SHORT.fullmatch(name):
        return
    beside = {key: value[key] for key in value if key not in (*_NAME_KEYS, "id", "type")}
    key = next((key for key in _ARGUMENT_KEYS if key in value), None)
    args = object_of(value[key]) if key else beside if _BOX_KEYS & beside.keys() else None
    if offered or (args is not None and _has_box(args)):
        yield name, args


def _has_box(args: dict[str, Any]) -> bool:
    """Whether the arguments have a box: four numbers, or their names."""
    boxes = [args[key] for key in _BOX_KEYS & args.keys()]
    return any(isinstance(box, dict) or (isinstance(box, list) and len(box) >= 2) for box in boxes) or (
        {"x1", "y1", "x2", "y2"} <= args.keys()
    )


def _bare(name: str) -> str:
    """A tool's name without what servers and models put before and after it: `functions.zoom:0`."""
    return name.strip().rpartition(".")[2].partition(":")[0].lower()
