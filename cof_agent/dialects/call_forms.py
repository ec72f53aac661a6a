"""Calls outside of the form that a dialect has for them: plain JSON, XML, Python, and other families' marks.

Text is a call, or an attempt at one, where it has the structure of a call and names a tool that looks closer. Prose
that speaks of a zoom lens, and JSON with a `name` of something else, is neither.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

from cof_agent.dialects.json_calls import BOX_KEYS, FOUR, has_box, is_box
from cof_agent.dialects.lenient_json import json_at, json_values, object_of
from cof_agent.dialects.tools import CROP, ZOOM
from cof_agent.dialects.turn import Call
from cof_agent.dialects.xml_calls import xml_calls

NAMES = (ZOOM, CROP, "crop_image_normalized")
"""The tools' names, those of the dialects' own included: no other text has them by accident."""

_SPELLED = re.compile(
    r"image\\?[_-]?zoom\\?[_-]?in\\?[_-]?tool|image\\?[_-]?crop\\?[_-]?tool|crop\\?[_-]?image\\?[_-]?normalized", re.I
)
"""The tools' names in other spellings: capitals, hyphens, without marks, and as Markdown escapes them."""

_SHORT = re.compile(r"(?:image_?)?(?:zoom|crop)(?:_?(?:in|image|region|tool)){0,3}|grounding|magnify")
"""Names that policies make of these. They are words too, so the arguments must have a box."""

_NAME_KEYS = (
    *("name", "tool", "tool_name", "function", "function_name", "action", "recipient_name"),
    *("tool_to_use", "command", "operation"),
)
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
_BOX_KEY = rf"\b(?:{'|'.join(sorted(BOX_KEYS))})[\"']?\s{{0,9}}[=:]\s{{0,9}}"
_BOX = rf"{_BOX_KEY}[\"']?[\[({{\d]"
_BETWEEN = r"(?::\d{1,9})?(?:[\s:=`]|json\b|\[ARGS\]|Action Input|Arguments|<[|｜][^<>]{1,40}[|｜]>){0,12}"
"""What may stand between a tool's name and the JSON of its arguments."""

_HINT = re.compile(
    r"zoom|crop|grounding|magnify|TOOL_CALLS|python_tag|<function|<invoke|:invoke|tool.?calls?|function_call"
    r"|bbox_2d|image_|<[|\w=]{3,20}\Z",
    re.I,
)
"""Text without any of it has no call: most text."""
_MARK = (
    r"(?:\[TOOL_CALLS\]|<\|python_tag\|>|<function=[\w.:-]{1,80}>?|<(?:[\w.-]{1,20}:)?invoke\s{1,20}name=|<function_calls?>"
    r"|<[|｜]tool[▁_ ]calls?(?:[▁_ ]\w{1,20}){0,3}[|｜]>|<tool_calls?>)"
)
"""Marks of other families' calls: Mistral, Llama 3, Qwen's coders, Claude, DeepSeek, Kimi."""
_BEGUN = ("<tool_calls>", "<tool_call>", "<grounding>", "<|image_zoomin|>", "<function=", "<invoke")
_BROKEN = re.compile(r"<[|\w=]{4,20}\Z")
_BROKEN_NAME = re.compile(rf"{_KEY}([\w.-]{{1,40}})(?:\Z|\s{{0,9}}</answer>)")
_ANSWERED = re.compile(r"<answer>|\\boxed")
_NAMING = r"(?:(?:tool|function)?[_ ]?name|tool|function|action|call)"
_QUOTES = r"[`\"'*\s]{0,9}"
_LINE = r"(?:^|[>{])[ \t`*>-]{0,9}\[?"
"""Where a call begins that stands alone: on its line, or between marks."""
_INTENT = re.compile(
    r"\b(?:let me|let us|let's|let’s|I['’]ll|I will|I need|I want|I should|I must|I am going|I['’]m going|going to"
    rf"|need to|calling|next,|now)\b[^.!?\n<]{{0,120}}\b(?:{_ANY})\b[^.!?\n<]{{0,200}}[.!?…:`*\s]{{0,9}}\Z",
    re.I,
)
"""A turn that ends with the wish to use a tool."""
_ZOOM_IN = "<|image_zoomin|>"
_LAST = 600
"""Characters at the end of a text in which such a wish is looked for."""
_SIGNS = (
    re.compile(rf"{_MARK}\s{{0,20}}(?:\Z|[\[{{`\"']|<(?!/?answer)|[\w.:-]{{1,80}}\s{{0,9}}[\[({{<:=]|(?:{_ANY})\b)"),
    re.compile(r"<tool_calls?>[^<]{0,4000}</tool_calls?>"),
    re.compile(rf"{_KEY}(?:[\w-]{{1,40}}\.){{0,3}}(?:{_ANY})\b"),
    re.compile(rf"{_KEY}(?:{_SHORTER})[\"']\s{{0,20}},\s{{0,20}}{_ARGUMENTS}[^{{}}]{{0,200}}?{_BOX_KEY}", re.I),
    re.compile(rf"[\"'](?:{_ANY})[\"']\s{{0,20}}[,:}}][^<>]{{0,300}}?(?:{_BOX}|[\[(]{FOUR})"),
    re.compile(rf"<(?:{_ANY})(?:\s[^<>]{{0,400}}[=]|/?>\s{{0,20}}(?:[\[({{\d]|\Z|<(?!/?answer)))"),
    re.compile(rf"<\w{{1,20}}\s{{1,9}}(?:name|tool|id|function)\s?=\s?[\"']?(?:{_ANY})\b"),
    re.compile(rf"<{_NAMING}>{_QUOTES}(?:{_ANY}){_QUOTES}</{_NAMING}>", re.I),
    re.compile(rf"(?<![\w-])(?:{_ANY}){_QUOTES}<(?:arg_key|arguments|parameters?|args)\b"),
    re.compile(
        rf"(?<![\w-])(?:{_ANY})(?:[\s:=`]{{0,20}}[\[{{]|\(|\s{{1,20}}\(\s{{0,9}}(?:\w{{1,20}}\s{{0,5}}=|[\[({{\d]))"
    ),
    re.compile(rf"(?<![\w-])(?:{_ANY})\b[^.!?\n]{{0,80}}{_BOX}"),
    re.compile(
        rf"\b{_NAMING}[*_`]{{0,3}}\s{{0,9}}[:=]{_QUOTES}(?:{_ANY})\b[`\"'*,; \t]{{0,9}}"
        r"(?:\s{0,9}\Z|[({\[]|\s{0,9}\n[ \t*_-]{0,9}[\w ]{1,30}[*_`]{0,3}\s{0,3}[:=])",
        re.I,
    ),
    re.compile(rf"<(?:{_SHORTER})>\s{{0,9}}(?:{FOUR}|\{{)", re.I),
    re.compile(rf"<(?:{_SHORTER})\s[^<>]{{0,200}}{_BOX_KEY}", re.I),
    re.compile(
        rf"{_LINE}(?:{_SHORTER})[*`]{{0,3}}\s{{0,2}}\(\s{{0,9}}(?=\w{{1,20}}\s{{0,9}}=)(?=[^()]{{0,1000}}{_BOX})", re.M
    ),
    re.compile(
        rf"{_LINE}(?:{_SHORTER})\s{{0,2}}\(\s{{0,9}}{FOUR}\s{{0,9}}\)\]?[ \t`*.;]{{0,9}}(?:$|[<}}])", re.M | re.I
    ),
    re.compile(rf"(?<![\w-])(?:{_ANY}){_QUOTES}[:=]?\s{{0,9}}{FOUR}"),
    re.compile(rf"\A{_QUOTES}(?:{_ANY}){_QUOTES}\Z"),
    re.compile(rf"(?<![\w=-])(?<!= )(?:{_SHORTER})[*`]{{0,3}}\s?\(\s{{0,9}}bbox_2d\s?=", re.I),
    re.compile(
        rf"{_LINE}{_NAMING}[*_`]{{0,3}}\s?[:=]{_QUOTES}(?:{_SHORTER})\b{_QUOTES}[^<>]{{0,60}}?{_BOX}", re.M | re.I
    ),
)
"""Any of them is a call, or an attempt at one."""
_NAMED_JSON = re.compile(rf"(?<![\w-])({_ANY}){_BETWEEN}(?=\{{)")
_PYTHON = re.compile(rf"(?<![\w-])({_ANY})\s{{0,2}}\(([^()]{{0,1000}})\)")
_SHORT_PYTHON = re.compile(
    rf"{_LINE}({_SHORTER})\s{{0,2}}\(([^()]{{0,1000}})\)\]?[ \t`*.;]{{0,9}}(?:$|[<}}])", re.M | re.I
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a text has of calls."""

    calls: tuple[Call, ...] = ()
    """Those that can be read."""
    attempted: bool = False
    """Whether it has a call, readable or not."""


def calls_written(text: str) -> Written:
    """The calls in `text`, in whatever form. Names and arguments are the policy's."""
    if not _HINT.search(text := _as_usual(text)):
        return Written()
    for read in (_in_json, _in_xml, _after_name, _in_python):
        if calls := tuple(read(text)):
            return Written(calls, attempted=True)
    attempted = (
        any(sign.search(text) for sign in _SIGNS)
        or bool(_INTENT.search(text[-_LAST:]))
        or _broken_off(text)
        or _asks_for_box(text)
    )
    answered = bool(_ANSWERED.search(text))
    return Written(attempted=attempted or bool(json_values(text, lambda found: _attempts(found, answered))))


def _as_usual(text: str) -> str:
    """`text` with its tags and the tools' names written as they usually are."""
    text = text.translate(_WIDE)
    if "&lt;" in text or "&quot;" in text:
        text = unescape(text)
    return _SPELLED.sub(_usual_name, _BLANK_TAG.sub(lambda tag: f"<{tag[1]}{tag[2].lower()}>", text))


_WIDE = str.maketrans("＜＞", "<>")
_BLANK_TAG = re.compile(r"<\s{0,3}(/?)\s{0,3}(tool_calls?|grounding|function_calls?)\s{0,3}>", re.I)


def _usual_name(found: re.Match[str]) -> str:
    plain = re.sub(r"[\\_-]", "", found[0]).lower()
    return next(name for name in NAMES if name.replace("_", "") == plain)


def _broken_off(text: str) -> bool:
    """Whether `text` ends within the mark of a call, or within a tool's name."""
    tag, name = _BROKEN.search(text), _BROKEN_NAME.search(text[-_LAST:])
    begun = tag is not None and any(mark.startswith(tag[0]) for mark in _BEGUN)
    return begun or (name is not None and any(offered.startswith(_bare(name[1])) for offered in NAMES))


def _asks_for_box(text: str) -> bool:
    """Whether `text` has a box and then the first Chain-of-Focus's token, or ends with that token."""
    before, token, after = text.partition(_ZOOM_IN)
    return bool(token) and (not after.strip() or bool(re.search(FOUR, before[-200:])))


def _attempts(value: Any, answered: bool) -> bool:
    """Whether a JSON value is an attempt at a call; `answered`: the text has an answer's mark."""
    return bool(list(_named(value))) or _names_a_tool(value) or (not answered and _is_grounding(value))


def _is_grounding(value: Any) -> bool:
    """Whether a JSON value is a call of Mini-o3, without its tag."""
    source = value.get("source") if isinstance(value, dict) else None
    return isinstance(source, str) and "bbox_2d" in value and bool(_SOURCE.fullmatch(source))


_SOURCE = re.compile(r"\s*+(?:original_image|observation_\d{1,9})\s*+")


def _names_a_tool(value: Any, depth: int = 2 * _DEEPEST) -> bool:
    """Whether an object in a JSON value has a tool's name, as a key or as a text, beside or above a box."""
    if depth == 0 or not isinstance(value, dict | list):
        return False
    if isinstance(value, dict):
        texts = {_bare(text) for text in (*value, *value.values()) if isinstance(text, str) and len(text) < 100}
        if not texts.isdisjoint(NAMES) and _holds_box(value, depth):
            return True
    return any(_names_a_tool(item, depth - 1) for item in _items(value))


def _holds_box(value: Any, depth: int) -> bool:
    if is_box(value):
        return True
    return depth > 0 and isinstance(value, dict | list) and any(_holds_box(item, depth - 1) for item in _items(value))


def _items(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values() if isinstance(value, dict) else value)[:100]


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
        if value and isinstance(value[0], dict) and has_box(value[0]):
            yield Call(found[1], value[0], text[found.start() : value[1]])


def _in_python(text: str) -> Iterator[Call]:
    for name, inside in _PYTHON.findall(text) or _SHORT_PYTHON.findall(text):
        if (args := _keywords(inside)) and (name in NAMES or has_box(args)):
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
        if _bare(only) != "crop" and _SHORT.fullmatch(_bare(only)) and isinstance(inside, dict):  # crops grow, too
            if is_box(inside.get("bbox_2d")):
                yield _bare(only), inside
            return
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    if name is None:
        return
    name = _bare(name)
    beside = {key: value[key] for key in value if key not in (*_NAME_KEYS, "id", "type")}
    key = next((key for key in _ARGUMENT_KEYS if key in value), None)
    args = object_of(value[key]) if key else beside if BOX_KEYS & beside.keys() else None
    boxed = args is not None and (
        has_box(args) if _SHORT.fullmatch(name) else bool(key) and is_box(args.get("bbox_2d"))
    )
    if name in NAMES or boxed:
        yield name, args


def _bare(name: str) -> str:
    """A tool's name without what servers and models put before and after it: `functions.zoom:0`."""
    return name.strip().rpartition(".")[2].partition(":")[0].lower().replace("-", "_").replace(" ", "_")
