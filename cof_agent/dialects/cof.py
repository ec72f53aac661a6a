"""The dialect of Chain-of-Focus: `<think>`, `<tool_call>` with JSON, `<answer>`; regions come back in user turns.

Reads sloppy text too: unclosed tags, code fences, single quotes, trailing commas, text around the JSON.
"""

from __future__ import annotations

import ast
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

_THINK = re.compile(r"<think>(.*?)(?:</think>|(?=<tool_call>|<answer>)|\Z)", re.S)
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>|<answer>|<think>)|\Z)", re.S)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|(?=<tool_call>|<answer>|<think>)|\Z)", re.S)
_FENCE = re.compile(r"```\w*")
_TRAILING_COMMA = re.compile(r",(\s*[\]}])")
_POINTED = re.compile(r'"bbox_2d"\s*:\s*\[\s*([-\d.,\s]+?)\s*\]')


class CofDialect:
    """See the module."""

    def parse(self, message: AIMessage) -> Turn:
        text = message.text
        thought = "\n".join(match.strip() for match in _THINK.findall(text))
        said = _THINK.sub("", text)
        calls = tuple(call for inside in _CALL.findall(said) for call in _calls(inside))
        answer = next((match.strip() for match in _ANSWER.findall(said) if match.strip()), None)
        return Turn(thought, calls, answer, tuple(_pointed(answer or "")))

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        rendered: list[BaseMessage] = [SystemMessage(_system(profile, tools))]
        for position, message in enumerate(messages):
            if isinstance(message, AIMessage):
                rendered.append(AIMessage(message.text))
                continue
            blocks = _blocks(message)
            if isinstance(message, ToolMessage):
                last = position + 1 == len(messages) or not isinstance(messages[position + 1], ToolMessage)
                images = [block for block in blocks if block["type"] == "image"]
                if images and CROP not in profile.tools:
                    blocks = images  # the numbers of views matter only to a tool that takes one
                if last:
                    blocks.append({"type": "text", "text": profile.prompts.reminder})
            if isinstance(rendered[-1], HumanMessage):
                blocks = [*_blocks(rendered.pop()), *blocks]
            rendered.append(HumanMessage(blocks))
        return rendered


DIALECT = CofDialect()


def _system(profile: Profile, tools: bool) -> str:
    if not tools:
        return profile.prompts.direct
    schemas = "\n".join(json.dumps(convert_to_openai_tool(tool)) for tool in image_tools(profile))
    return (
        f"{profile.prompts.task}\n\n# Tools\n\nThese tools may be called; each line inside <tools></tools> is the "
        f"schema of one:\n<tools>\n{schemas}\n</tools>\n\nTo call one, write its name and arguments as a JSON object "
        'inside <tool_call></tool_call>:\n<tool_call>\n{"name": "…", "arguments": {…}}\n</tool_call>'
    )


def _blocks(message: BaseMessage) -> list[Any]:
    content = message.content
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _calls(inside: str) -> Iterator[Call]:
    """The calls between one pair of tags: one as a rule, but some models write a list."""
    value = _lenient_json(inside)
    for item in value if isinstance(value, list) and value else [value]:
        name = item.get("name") if isinstance(item, dict) else None
        arguments = item.get("arguments") if isinstance(item, dict) else None
        if isinstance(arguments, str):
            arguments = _lenient_json(arguments)
        if isinstance(name, str) and isinstance(arguments, dict) and all(isinstance(key, str) for key in arguments):
            yield Call(name, arguments, inside)
        else:
            yield Call(name if isinstance(name, str) else "", {}, inside, _UNREADABLE)


_UNREADABLE = 'the call is not a JSON object with "name" and "arguments"'


def _lenient_json(text: str) -> Any:
    """The JSON value in `text`, or None."""
    text = _FENCE.sub("", text).strip()
    start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    if start < 0 or len(text) > MAX_CALL_CHARACTERS:
        return None
    text = text[start:]
    end = max(text.rfind("}"), text.rfind("]")) + 1
    mended = _TRAILING_COMMA.sub(r"\1", text)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: json.JSONDecoder().raw_decode(text)[0],
        lambda: json.JSONDecoder().raw_decode(mended)[0],
        lambda: _plain(ast.literal_eval(text[:end])),
    )
    for attempt in attempts:
        try:
            return attempt()
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _plain(value: Any) -> Any:
    """`value` if JSON can hold it (a Python literal may be a set or bytes). Raises TypeError or ValueError."""
    return json.loads(json.dumps(value))


def _pointed(answer: str) -> Iterator[Corners]:
    for match in _POINTED.findall(answer):
        numbers = match.replace(",", " ").split()
        try:
            x1, y1, x2, y2 = map(float, numbers)
        except ValueError:
            continue
        yield x1, y1, x2, y2
