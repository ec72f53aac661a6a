"""The tool calls in the text of a reply, as LangChain has them; the text has the form that Qwen's templates teach."""

from __future__ import annotations

import json
import re
import uuid

from langchain_core.messages import InvalidToolCall, ToolCall, ToolCallChunk

from cof_agent.dialects import json_calls
from cof_agent.dialects.xml_calls import FUNCTION_TAG, xml_calls

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.S)


def read_calls(text: str) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """The calls in `text` after its thoughts: what stands between `<tool_call>` tags.

    A call is a JSON object with `name` and `arguments`, or XML as Qwen3.5's templates teach it. Anything else between
    such tags is an invalid call, which says what is wrong with it.
    """
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for inside in _CALL.findall(text.rpartition("</think>")[2]):
        in_xml = inside.lstrip().startswith(FUNCTION_TAG)
        for call in xml_calls(inside) if in_xml else json_calls.read_calls(inside.strip(), strict=True):
            number = f"call_{uuid.uuid4().hex[:16]}"
            if call.error is None:
                calls.append(ToolCall(name=call.name, args=call.args, id=number, type="tool_call"))
            else:
                invalid.append(
                    InvalidToolCall(name=None, args=call.text, id=number, error=call.error, type="invalid_tool_call")
                )
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
