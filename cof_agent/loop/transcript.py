"""The policy's turns as standard LangChain messages."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

from cof_agent.dialects.turn import Turn
from cof_agent.images.views import View

_ORDER = "cof_call_order"
"""Key of a message's metadata: the ids of its calls as written, where readable and unreadable ones are mixed."""

_OVERVIEW = "view"
"""Key beside a question's content: the overview that it shows, as JSON. Regions are the artifacts of tool messages."""

_OVERVIEWS = "views"
"""The same where a question shows several: a list."""

_QUESTION = "question"
"""Key beside a question's content: its words, where the content has more."""

_DEEPEST = 32
"""Levels of nesting that a stored value may have."""


def as_message(reply: AIMessage, turn: Turn, earlier: Sequence[BaseMessage]) -> AIMessage:
    """The policy's reply with its own text verbatim and the calls of `turn` as standard tool calls.

    The message and its calls keep their ids unless these are missing or taken: some servers repeat theirs, and a
    message with the id of an `earlier` one would replace it.
    """
    id_ = _fresh(reply.id, {message.id for message in earlier}, uuid.uuid4().hex)
    number = sum(isinstance(message, AIMessage) for message in earlier) + 1
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    order: list[str] = []
    for position, call in enumerate(turn.calls):
        order.append(_fresh(call.id, order, f"call-{number}-{position}"))
        args, error = call.args, call.error
        try:
            args = json_safe(args)
        except ValueError as problem:
            error = error or str(problem)
        if error:
            bad.append(invalid_tool_call(name=call.name or None, args=json_safe(call.text), id=order[-1], error=error))
        else:
            good.append(tool_call(name=json_safe(call.name), args=args, id=order[-1]))
    mixed = {_ORDER: order} if good and bad else {}
    return AIMessage(
        content=json_safe(reply.content),
        id=id_,
        tool_calls=good,
        invalid_tool_calls=bad,
        additional_kwargs=reply.additional_kwargs,
        response_metadata=reply.response_metadata | mixed,
        usage_metadata=reply.usage_metadata,
    )


def as_question(blocks: list[Any], overviews: Sequence[View], question: str) -> HumanMessage:
    """A person's question; with the `overviews` where it shows new images. Its text may say more than the question."""
    shown = [view.to_json() for view in overviews]
    beside: dict[str, Any] = {_OVERVIEWS: shown} if len(shown) > 1 else {_OVERVIEW: shown[0]} if shown else {}
    message = HumanMessage(blocks, additional_kwargs=beside)
    if message.text != question:
        beside[_QUESTION] = question
        message = HumanMessage(blocks, additional_kwargs=beside)
    return message


def question_of(message: BaseMessage) -> str:
    """What was asked, without what the policy was told beside it."""
    return str(message.additional_kwargs.get(_QUESTION, message.text))


def view_of(message: ToolMessage) -> View | None:
    """The region that an observation shows; None where the call was refused."""
    return View.from_json(message.artifact) if message.artifact else None


def views_in(message: BaseMessage) -> list[View]:
    """The views that a message shows: the overviews of a question, the region of an observation."""
    if isinstance(message, ToolMessage):
        region = view_of(message)
        return [region] if region else []
    beside = message.additional_kwargs
    if isinstance(message, AIMessage) or not (beside.get(_OVERVIEWS) or beside.get(_OVERVIEW)):
        return []
    return [View.from_json(value) for value in beside.get(_OVERVIEWS) or [beside[_OVERVIEW]]]


def views_of(messages: Sequence[BaseMessage]) -> list[View]:
    """The views of a conversation, in order; the overviews first."""
    return [view for message in messages for view in views_in(message)]


def calls_of(turn: AIMessage) -> list[ToolCall | InvalidToolCall]:
    """The calls of a policy turn in the order in which they were written."""
    calls: list[ToolCall | InvalidToolCall] = [*turn.tool_calls, *turn.invalid_tool_calls]
    order = turn.response_metadata.get(_ORDER)
    return sorted(calls, key=lambda call: order.index(call["id"])) if order else calls


def last_turn(messages: Sequence[BaseMessage]) -> AIMessage | None:
    """The newest policy turn, if there is one."""
    return next((message for message in reversed(messages) if isinstance(message, AIMessage)), None)


def pending_calls(messages: Sequence[AnyMessage]) -> list[ToolCall | InvalidToolCall]:
    """The calls of the newest policy turn that no observation has followed yet, in order."""
    observed = 0
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            return calls_of(message)[observed:]
        observed += isinstance(message, ToolMessage)
    return []


def json_safe(value: Any, depth: int = _DEEPEST) -> Any:
    """`value` as every checkpointer and JSON file can hold it.

    Lone surrogates become "?"; numbers that are not finite or exceed 64 bits become text. Raises ValueError for
    values that are nested too deeply.
    """
    if depth == 0:
        raise ValueError(f"the values are nested more than {_DEEPEST} levels deep")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {json_safe(key): json_safe(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item, depth - 1) for item in value]
    too_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return str(value) if too_large or (isinstance(value, float) and not math.isfinite(value)) else value


def _fresh(id_: str | None, taken: Collection[str | None], otherwise: str) -> str:
    return id_ if id_ and id_ not in taken else otherwise
