"""The dialect of Chain-of-Focus: `<think>`, `<tool_call>` with JSON, `<answer>`; regions come back in user turns.

Reads sloppy text too: unclosed tags, code fences, single quotes, trailing commas, text around the JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from cof_agent.dialects.turn import Call, Turn
from cof_agent.geometry import Corners
from cof_agent.profile import Profile
from cof_agent.tools import CROP, image_tools

MAX_CALL_CHARACTERS = 10_000
"""Longer text between call tags is not read as a call."""

_THINK = re.compile(r"<think>(?:((?:(?!<think>).)*?)</think>|(.*?)(?=<tool_call>|<answer>|<think>|\Z))", re.S)
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>|<answer>|<think>)|\Z)", re.S)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|(?=<tool_call>|<answer>|<think>)|\Z)", re.S)
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
_POINTED = re.compile(r'"bbox_2d"\s*:\s*\[([-+\d.,\s]{1,200})\]')

_JSON = json.JSONDecoder(strict=False)

_MAX_FAILURES = 20
"""Places in a text at which a value may start without being one."""


class CofDialect:
    """See the module."""

    binds_tools = False
    call_end = "</tool_call>"

    def parse(self, message: AIMessage) -> Turn:
        text = message.text
        thoughts = [closed or unclosed for closed, unclosed in _THINK.findall(text)]
        said = _THINK.sub("", text)
        calls = tuple(call for inside in _CALL.findall(said) for call in _calls(inside))
        answer = next((match.strip() for match in _ANSWER.findall(said) if match.strip()), None)
        if not calls and answer is None:  # some models forget to end the thought before they call
            found = (call for inside in _CALL.findall("\n".join(thoughts)) for call in _calls(inside))
            calls = tuple(call for call in found if not call.error)
        return Turn("\n".join(map(str.strip, thoughts)), calls, answer, tuple(_pointed(answer or "")))

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        rendered: list[BaseMessage] = [SystemMessage(_system(profile, tools))]
        for position, message in enumerate(messages):
            if isinstance(message, AIMessage):
                rendered.append(AIMessage(message.text))
                continue
            blocks = blocks_of(message)
            if isinstance(message, ToolMessage):
                last = position + 1 == len(messages) or not isinstance(messages[position + 1], ToolMessage)
                images = [block for block in blocks if block["type"] == "image"]
                if images and CROP not in profile.tools:
                    blocks = images  # the numbers of views matter only to a tool that takes one
                if last:
                    blocks.append({"type": "text", "text": profile.prompts.reminder})
            if isinstance(rendered[-1], HumanMessage):
                blocks = [*blocks_of(rendered.pop()), *blocks]
            rendered.append(HumanMessage(blocks))
        return rendered


DIALECT = CofDialect()
PROFILE = Profile()


def _system(profile: Profile, tools: bool) -> str:
    if not tools:
        return profile.prompts.direct
    schemas = "\n".join(json.dumps(convert_to_openai_tool(tool)) for tool in image_tools(profile))
    return (
        f"{profile.prompts.task}\n\n# Tools\n\nThese tools may be called; each line inside <tools></tools> is the "
        f"schema of one:\n<tools>\n{schemas}\n</tools>\n\nTo call one, write its name and arguments as a JSON object "
        'inside <tool_call></tool_call>:\n<tool_call>\n{"name": "…", "arguments": {…}}\n</tool_call>'
    )


def blocks_of(message: BaseMessage) -> list[Any]:
    """A message's content as blocks."""
    content = message.content
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _calls(inside: str) -> Iterator[Call]:
    """The calls between one pair of tags: one as a rule, but some models write several, or a list."""
    written = [item for value in _values(inside, _is_call) for item in (value if isinstance(value, list) else [value])]
    for item in written or [None]:
        name = item.get("name") if isinstance(item, dict) else None
        arguments = item.get("arguments") if isinstance(item, dict) else None
        if isinstance(arguments, str):
            arguments = next(iter(_values(arguments, lambda value: isinstance(value, dict))), None)
        if isinstance(name, str) and isinstance(arguments, dict):
            yield Call(name, arguments, inside)
        else:
            yield Call(name if isinstance(name, str) else "", {}, inside, UNREADABLE)


UNREADABLE = 'the call is not a JSON object with "name" and "arguments"'


def _is_call(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict) and "name" in item for item in value)
    return isinstance(value, dict) and "name" in value


def _values(text: str, wanted: Callable[[Any], bool]) -> list[Any]:
    """The JSON values in `text` that are `wanted`, one after the other, mended where they are not quite JSON."""
    text = _FENCE.sub("", text)
    if len(text) > MAX_CALL_CHARACTERS:
        return []
    return _decoded(text, wanted) or _decoded(_SLOPPY.sub(_mended, text), wanted)


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


def _pointed(answer: str) -> Iterator[Corners]:
    for match in _POINTED.findall(answer):
        try:
            x1, y1, x2, y2 = map(float, match.replace(",", " ").split())
        except ValueError:
            continue
        yield x1, y1, x2, y2
