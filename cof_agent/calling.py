"""One policy call that ends in time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig

from cof_agent.errors import PolicyError


class OutOfTimeError(PolicyError):
    """The policy did not reply within the time the run has left."""


def call(model: BaseChatModel, prompt: Sequence[BaseMessage], config: RunnableConfig, seconds: float) -> AIMessage:
    """What `model` replies to `prompt`. Raises OutOfTimeError after `seconds`.

    Python cannot stop a thread: the abandoned call may go on in a daemon thread of its own.
    """
    done: Future[BaseMessage] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(model.invoke, list(prompt), config))
        except BaseException as error:  # whatever it is belongs to the caller's thread
            done.set_exception(error)

    threading.Thread(target=work, name="cof-policy-call", daemon=True).start()
    try:
        return _reply(done.result(timeout=seconds))
    except TimeoutError as error:
        if done.done():
            raise  # the policy's own
        raise OutOfTimeError(f"the policy did not reply within {seconds:.1f} seconds") from error


async def acall(
    model: BaseChatModel, prompt: Sequence[BaseMessage], config: RunnableConfig, seconds: float
) -> AIMessage:
    """:func:`call` for asyncio; a call that runs out of time is cancelled."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return _reply(await model.ainvoke(list(prompt), config))
    except TimeoutError as error:
        if not limit.expired():
            raise  # the policy's own
        raise OutOfTimeError(f"the policy did not reply within {seconds:.1f} seconds") from error


def _reply(message: BaseMessage) -> AIMessage:
    if not isinstance(message, AIMessage):
        raise PolicyError(f"the policy replied with a {type(message).__name__}, not an AIMessage")
    return message
