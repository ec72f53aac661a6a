"""Tool calls in the text of a reply, in the form that Qwen's chat templates teach."""

from __future__ import annotations

import json
import re
import uuid

from langchain_core.messages import InvalidToolCall, ToolCall, ToolCallChunk

from cof_agent.dialects.json_calls import UNREADABLE

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.S)


def read_calls(text: str) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """The calls in `text` after its thoughts: JSON objects with `name` and `arguments` between `<tool_call>` tags.

    Anything else between such tags is an invalid call, which says what is wrong with it.
    """
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for inside in _CALL.findall(text.rpartition("</think>")[2]):
        written, number = inside.strip(), f"call_{uuid.uuid4().hex[:16]}"
        try:
            value = json.loads(written)
        except (ValueError, RecursionError) as error:
            invalid.append(_invalid(written, number, f"the call is not JSON: {error}"))
            continue
        arguments = value.get("arguments") if isinstance(value, dict) else None
        if isinstance(arguments, dict) and isinstance(value.get("name"), str):
            calls.append(ToolCall(name=value["name"], args=arguments, id=number, type="tool_call"))
        else:
            invalid.append(_invalid(written, number, UNREADABLE))
    return calls, invalid


def call_chunks(text: str) -> list[ToolCallChunk]:
    """The same calls for the last chunk of a stream. What is wrong with an invalid one is not said there."""
    calls, invalid = read_calls(text)
    written = [(call["name"], json.dumps(call["args"]), call["id"]) for call in calls]
    # LangChain mends what is almost JSON into calls without a name; a quoted text stays invalid.
    written += [("", json.dumps(call["args"]), call["id"]) for call in invalid]
    return [
        ToolCallChunk(name=name or None, args=args, id=number, index=index, type="tool_call_chunk")
        for index, (name, args, number) in enumerate(written)
    ]


def _invalid(written: str, number: str, error: str) -> InvalidToolCall:
    return InvalidToolCall(name=None, args=written, id=number, error=error, type="invalid_tool_call")
