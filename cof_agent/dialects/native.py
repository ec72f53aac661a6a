"""Provider-native tool calls, for any chat model that binds tools.

Many endpoints accept no image in a tool message, so the text of an observation stays there and the region follows in
a user message. `<think>` and `<answer>` are read where a model writes them; without them plain text is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from cof_agent.dialects import cof
from cof_agent.dialects.turn import Call, Turn
from cof_agent.profile import Profile

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)


class NativeDialect:
    """See the module."""

    binds_tools = True
    call_end = None

    def parse(self, message: AIMessage) -> Turn:
        tagged = cof.DIALECT.parse(AIMessage(message.text))
        calls = [Call(call["name"], call["args"], id=call["id"]) for call in message.tool_calls]
        calls += [
            Call(call["name"] or "", {}, call["args"] or "", call["error"] or cof.UNREADABLE, call["id"])
            for call in message.invalid_tool_calls
        ]
        calls = calls or list(tagged.calls)  # a server without a parser for tool calls hands them on as text
        plain = _THOUGHT.sub("", message.text).strip()
        answer = tagged.answer or (plain if plain and not calls else None)
        return Turn(tagged.thought, tuple(calls), answer, tagged.pointed)

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        rendered: list[BaseMessage] = [SystemMessage(profile.prompts.task if tools else profile.prompts.direct)]
        regions: list[Any] = []
        for message in messages:
            blocks = cof.blocks_of(message)
            if isinstance(message, ToolMessage):
                regions += [block for block in blocks if block["type"] == "image"]
                text = " ".join(block["text"] for block in blocks if block["type"] == "text")
                rendered.append(
                    ToolMessage(text, tool_call_id=message.tool_call_id, name=message.name, status=message.status)
                )
                continue
            if isinstance(message, AIMessage):
                if regions:
                    rendered.append(HumanMessage(regions))
                rendered.append(
                    AIMessage(
                        message.text, tool_calls=message.tool_calls, invalid_tool_calls=message.invalid_tool_calls
                    )
                )
            else:
                rendered.append(HumanMessage([*regions, *blocks]))
            regions = []
        return [*rendered, HumanMessage(regions)] if regions else rendered


DIALECT = NativeDialect()
PROFILE = Profile(dialect="native")
