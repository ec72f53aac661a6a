"""The policy's turns as standard LangChain messages."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

from cof_agent.dialects import Turn


def as_message(reply: AIMessage, turn: Turn) -> AIMessage:
    """The policy's reply with its own text verbatim and the calls of `turn` as standard tool calls."""
    calls = [(call.id or f"{reply.id or 'call'}-{position}", call) for position, call in enumerate(turn.calls)]
    return AIMessage(
        content=reply.content,
        id=reply.id,
        tool_calls=[tool_call(name=call.name, args=call.args, id=id_) for id_, call in calls if not call.error],
        invalid_tool_calls=[
            invalid_tool_call(name=call.name or None, args=call.text, id=id_, error=call.error)
            for id_, call in calls
            if call.error
        ],
        additional_kwargs=reply.additional_kwargs,
        response_metadata=reply.response_metadata,
        usage_metadata=reply.usage_metadata,
    )


def last_turn(messages: Sequence[BaseMessage]) -> AIMessage | None:
    """The newest policy turn, if there is one."""
    return next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)


def pending_call(messages: Sequence[AnyMessage]) -> ToolCall | InvalidToolCall | None:
    """The first call of the newest policy turn that no observation has followed yet."""
    turn = last_turn(messages)
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    calls: list[ToolCall | InvalidToolCall] = [*turn.tool_calls, *turn.invalid_tool_calls] if turn else []
    return next((call for call in calls if call["id"] not in done), None)
