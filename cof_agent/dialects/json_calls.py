"""Calls as JSON objects with a name and arguments, and how a system turn tells of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cof_agent.dialects.lenient_json import json_values, object_of
from cof_agent.dialects.turn import Call
from cof_agent.dialects.xml_calls import FUNCTION_TAG, xml_calls

UNREADABLE = 'the call is not a JSON object with "name" and "arguments"'

BOX: Mapping[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
"""JSON schema of a box; a description is to be added."""

BOX_KEYS = frozenset(
    (
        *("bbox_2d", "bbox", "box", "box_2d", "boxes", "bounding_box", "region", "coordinates", "coords", "x1", "xmin"),
        *("rect", "rectangle", "roi", "area", "bounds", "position"),
    )
)
"""Keys under which models write a box."""
_CORNERS = (
    {"x1", "y1", "x2", "y2"},
    {"xmin", "ymin", "xmax", "ymax"},
    {"x_min", "y_min", "x_max", "y_max"},
    {"left", "top", "right", "bottom"},
    {"left", "top", "width", "height"},
    {"x", "y", "w", "h"},
    {"x", "y", "width", "height"},
)
"""Names that the four numbers of a box have."""
FOUR = r"[\[(]?(?:\s{0,9}[-+\d.]{1,20}\s{0,9},){3}\s{0,9}[-+\d.]{1,20}\s{0,9}[\])]?"
"""Four numbers in text, in brackets or not."""


def read_calls(inside: str, *, strict: bool = False) -> Iterator[Call]:
    """The calls between one pair of tags: one as a rule, but some models write several, or a list.

    What is not quite JSON is mended; arguments that are a text with JSON are read, and so are `parameters`, a call
    inside of `function`, and Qwen's XML. `strict`: one JSON object, its arguments an object, and nothing else.
    """
    if not strict and FUNCTION_TAG in inside:
        yield from xml_calls(inside)
        return
    try:
        values = [json.loads(inside)] if strict else _lenient(inside)
    except (ValueError, RecursionError) as error:
        yield Call("", {}, inside, f"the call is not JSON: {error}")
        return
    for value in values:
        name, arguments = _name_and_arguments(value, strict)
        if isinstance(name, str) and isinstance(arguments, dict):
            yield Call(name, arguments, inside)
        else:
            yield Call(name if isinstance(name, str) else "", {}, inside, UNREADABLE)


def _name_and_arguments(value: Any, strict: bool) -> tuple[Any, Any]:
    if not isinstance(value, dict):
        return None, None
    if strict:
        return value.get("name"), value.get("arguments")
    function = value.get("function")
    value = function if isinstance(function, dict) and "name" not in value else value
    given = next((value[key] for key in ("arguments", "parameters") if value.get(key) is not None), None)
    return value.get("name"), object_of(given)


def json_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as a JSON object between its tags."""
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def _lenient(inside: str) -> list[Any]:
    values = json_values(inside, _is_call)
    return [item for value in values for item in (value if isinstance(value, list) else [value])] or [None]


def _is_call(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_one_call, value))
    return _is_one_call(value)


def _is_one_call(value: Any) -> bool:
    return isinstance(value, dict) and ("name" in value or isinstance(value.get("function"), dict))


def with_tools(task: str, schemas: Sequence[Mapping[str, Any]]) -> str:
    """The system turn: the task, the schemas, and how to call. A task that has `<tools>` itself stands as it is."""
    if "<tools>" in task:
        return task
    lines = "\n".join(json.dumps(schema) for schema in schemas)
    return (
        f"{task}\n\n# Tools\n\nThese tools may be called; each line inside <tools></tools> is the "
        f"schema of one:\n<tools>\n{lines}\n</tools>\n\nTo call one, write its name and arguments as a JSON object "
        'inside <tool_call></tool_call>:\n<tool_call>\n{"name": "…", "arguments": {…}}\n</tool_call>'
    )


def function(name: str, description: str, arguments: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """The schema of a tool, as OpenAI writes it."""
    parameters = {"type": "object", "properties": arguments, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def has_box(args: dict[str, Any]) -> bool:
    """Whether the arguments have a box."""
    return is_box(args) or any(is_box(args[key]) for key in BOX_KEYS & args.keys())


def is_box(value: Any) -> bool:
    """Whether `value` is four numbers: in a list, as two corners, by name, or as text; or a list of such."""
    if isinstance(value, str):
        return len(value) < 200 and bool(_FOUR_ALONE.fullmatch(value))
    if isinstance(value, dict):
        return any(names <= value.keys() and all(map(_is_number, map(value.get, names))) for names in _CORNERS)
    if not isinstance(value, list | tuple) or not value:
        return False
    if len(value) == 4 and all(map(_is_number, value)):
        return True
    pairs = all(isinstance(item, list | tuple) and len(item) == 2 and all(map(_is_number, item)) for item in value)
    return (len(value) == 2 and pairs) or (isinstance(value[0], list | tuple | dict) and not pairs and is_box(value[0]))


_FOUR_ALONE = re.compile(rf"\s{{0,9}}{FOUR}\s{{0,9}}")


def _is_number(value: Any) -> bool:
    """Whether `value` is a number, or the text of one."""
    if isinstance(value, str):
        return bool(re.fullmatch(r"\s{0,9}[-+\d.]{1,20}\s{0,9}", value))
    return isinstance(value, int | float) and not isinstance(value, bool)
