"""Calls in XML: `<function=NAME><parameter=KEY>value</parameter></function>`, as Qwen's coders and Qwen3.5 write them.

Also `<invoke name="NAME"><parameter name="KEY">value</parameter></invoke>`, as Claude and DeepSeek do, and a JSON
object in place of the parameters, as Llama 3.1 does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cof_agent.dialects.lenient_json import MAX_CHARACTERS, object_of
from cof_agent.dialects.turn import Call

FUNCTION_TAG = "<function="

_CALL = re.compile(
    r"<(?:[\w.-]{1,20}:)?(?:function=|(?:invoke|function)\s{1,20}name=)[\"']?([\w.:-]{1,80})[\"']?\s*>"
    r"(.*?)(</(?:[\w.-]{1,20}:)?(?:function|invoke)>|(?=<function=|<invoke\s)|\Z)",
    re.S,
)
_PARAMETER = re.compile(
    r"<(?:[\w.-]{1,20}:)?parameter(?:=|\s{1,20}name=)[\"']?([\w.-]{1,80})[\"']?[^<>]{0,80}>"
    r"(.*?)</(?:[\w.-]{1,20}:)?parameter>",
    re.S,
)

_OPEN = "the call is not closed"


def xml_calls(text: str) -> Iterator[Call]:
    """The calls in `text`. One that is not closed is a call with an `error`."""
    for name, inside, end in _CALL.findall(text):
        yield Call(name, _arguments(inside), inside) if end else Call(name, {}, inside, _OPEN)


def xml_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as the chat templates of Qwen's coders and Qwen3.5 write it: texts as they are, all else as JSON."""
    given = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in arguments.items()
    }
    parameters = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in given.items())
    return f"<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>"


def _arguments(inside: str) -> dict[str, Any]:
    given = {key: _value(value.strip()) for key, value in _PARAMETER.findall(inside)}
    return given or object_of(inside) or {}


def _value(written: str) -> Any:
    """A parameter: JSON where it is some, else text."""
    try:
        return json.loads(written) if len(written) <= MAX_CHARACTERS else written
    except (ValueError, RecursionError):
        return written
