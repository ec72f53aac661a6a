"""One policy call that ends in time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import TypeAlias

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig

from cof_agent.deadline import OutOfTimeError, deadline
from cof_agent.errors import PolicyError

__all__ = ["Model", "OutOfTimeError", "acall", "call"]

Model: TypeAlias = Runnable[LanguageModelInput, AIMessage]
"""A chat model, bare or with tools bound to it."""


def call(model: Model, prompt: Sequence[BaseMessage], config: RunnableConfig, seconds: float) -> AIMessage:
    """What `model` replies to `prompt`. Raises OutOfTimeError after `seconds`.

    Python cannot stop a thread: the abandoned call may go on in a daemon thread of its own.
    """
    if seconds <= 0:
        raise _out_of_time(seconds)
    with deadline(seconds):
        reply = _in_thread(model, prompt, config)
    if not wait([reply], timeout=min(seconds, threading.TIMEOUT_MAX)).done:
        raise _out_of_time(seconds)
    return _checked(reply.result())


async def acall(model: Model, prompt: Sequence[BaseMessage], config: RunnableConfig, seconds: float) -> AIMessage:
    """:func:`call` for asyncio; a call that runs out of time is cancelled."""
    if seconds <= 0:
        raise _out_of_time(seconds)
    try:
        async with asyncio.timeout(seconds) as limit:
            with deadline(seconds):
                if _is_async(model):
                    return _checked(await model.ainvoke(list(prompt), config))
                # LangChain would use asyncio's own threads, and the process could not end before an abandoned call.
                return _checked(await asyncio.wrap_future(_in_thread(model, prompt, config)))
    except TimeoutError as error:
        if not limit.expired():
            raise  # the policy's own
        raise _out_of_time(seconds) from error


def _out_of_time(seconds: float) -> OutOfTimeError:
    return OutOfTimeError(f"the policy did not reply within the {max(seconds, 0.0):.1f} seconds that were left")


def _in_thread(model: Model, prompt: Sequence[BaseMessage], config: RunnableConfig) -> Future[BaseMessage]:
    reply: Future[BaseMessage] = Future()
    reply.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            reply.set_result(context.run(model.invoke, list(prompt), config))
        except BaseException as error:  # whatever it is belongs to the caller's thread
            reply.set_exception(error)

    threading.Thread(target=work, name="cof-policy-call", daemon=True).start()
    return reply


def _is_async(model: Model) -> bool:
    """Whether the model has an asyncio implementation of its own."""
    own = type(model.bound if isinstance(model, RunnableBinding) else model)
    if not issubclass(own, BaseChatModel):
        return True
    return own._agenerate is not BaseChatModel._agenerate or own._astream is not BaseChatModel._astream


def _checked(message: BaseMessage) -> AIMessage:
    if not isinstance(message, AIMessage):
        raise PolicyError(f"the policy replied with a {type(message).__name__}, not an AIMessage")
    return message
