"""One policy call that ends in time, asked again where the failure may pass."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeAlias

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.errors import GraphBubbleUp

from cof_agent.errors import CofError, PolicyError
from cof_agent.policies.deadline import OutOfTimeError, deadline, seconds_left
from cof_agent.policies.endpoint_errors import check_ended, is_endpoint, read_failure
from cof_agent.policies.html_words import without_page
from cof_agent.policies.redaction import hide, secrets_of
from cof_agent.policies.retry import Retry

__all__ = ["Model", "OutOfTimeError", "Prompt", "PromptError", "acall", "call", "is_async"]

Model: TypeAlias = Runnable[LanguageModelInput, AIMessage]
"""A chat model, bare or with tools bound to it."""

Prompt: TypeAlias = "Sequence[BaseMessage] | Callable[[], Sequence[BaseMessage]]"
"""Messages, or what makes them. Those with images inlined are large, and calls that wait for their turn, hundreds of
them perhaps, would each hold some: they are made where the model runs, and are gone when it has replied."""

log = logging.getLogger(__name__)

MAX_SHOWN = 20_000
"""Characters of a model's own error that are looked at."""

_UNREAD = (ValueError, TypeError, LookupError, AttributeError)
"""What the classes of LangChain raise for replies of a form that they do not expect."""


class PromptError(Exception):
    """The prompt could not be made, for the reason in its cause: no failure of the policy."""


def call(
    model: Model,
    prompt: Prompt,
    config: RunnableConfig,
    seconds: float,
    retry: Retry | None = None,
) -> AIMessage:
    """What `model` replies to `prompt`, within `seconds`, pauses between attempts included.

    Raises OutOfTimeError after `seconds` and PolicyError, in the server's words and without secrets, when an endpoint
    refused the call or went on failing; PromptError when the prompt could not be made. What else the model raises comes
    through.

    Python cannot stop a thread: an abandoned call may go on in a daemon thread of its own, until its next token.
    """
    attempts = _Attempts(model, seconds, retry or Retry())
    while True:
        left = attempts.left()
        try:
            with deadline(left):
                reply = _in_thread(model, prompt, config)
            if wait([reply], timeout=min(left, threading.TIMEOUT_MAX)).done:
                return attempts.checked(reply.result())
            raise attempts.out_of_time()
        except Exception as error:  # a policy is foreign code
            verdict = attempts.failed(error)
        if isinstance(verdict, Exception):
            raise verdict  # out here, or the traceback would show the client's error, which may hold the key
        time.sleep(verdict)


async def acall(
    model: Model,
    prompt: Prompt,
    config: RunnableConfig,
    seconds: float,
    retry: Retry | None = None,
) -> AIMessage:
    """`call` for asyncio; a call that runs out of time is cancelled."""
    attempts = _Attempts(model, seconds, retry or Retry())
    try:
        async with asyncio.timeout(attempts.left()) as limit:
            while True:
                try:
                    with deadline(attempts.left()):
                        return attempts.checked(await _reply(model, prompt, config))
                except Exception as error:  # as above
                    verdict = attempts.failed(error)
                if isinstance(verdict, Exception):
                    raise verdict
                await asyncio.sleep(verdict)
    except TimeoutError:
        if not limit.expired():
            raise  # the policy's own
    raise attempts.out_of_time()


class _Attempts:
    """The attempts at one reply."""

    def __init__(self, model: Model, seconds: float, retry: Retry) -> None:
        self._model: object = model.bound if isinstance(model, RunnableBinding) else model
        self._seconds, self._ends, self._retry = seconds, time.monotonic() + seconds, retry
        self._failures, self._last = 0, ""

    def left(self) -> float:
        """The seconds that are left. Raises OutOfTimeError when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self.out_of_time()
        return left

    def out_of_time(self) -> OutOfTimeError:
        message = f"the policy did not reply within the {max(self._seconds, 0.0):.1f} seconds that were left"
        return OutOfTimeError(f"{message} (what failed before: {self._last})" if self._last else message)

    def checked(self, message: BaseMessage) -> AIMessage:
        if not isinstance(message, AIMessage):
            raise PolicyError(f"the policy replied with a {type(message).__name__}, not an AIMessage")
        check_ended(message, type(self._model))
        return message

    def failed(self, error: Exception) -> float | Exception:
        """Seconds to wait before the next attempt, or what to raise."""
        if isinstance(error, GraphBubbleUp | OutOfTimeError | PromptError):
            return self.out_of_time() if isinstance(error, _NobodyWaitsError) else error
        secrets = secrets_of(self._model)
        trouble = read_failure(error, endpoint=is_endpoint(type(self._model)), secrets=secrets)
        if trouble is None:
            text = f"{type(error).__name__}: {error}"
            readable = without_page(hide(text[:MAX_SHOWN], secrets))
            if is_endpoint(type(self._model)) and isinstance(error, _UNREAD) and not isinstance(error, CofError):
                return PolicyError(f"the reply of the endpoint cannot be read: {readable}")
            return error if readable == text else PolicyError(readable)
        self._failures, self._last = self._failures + 1, trouble.words
        verdict = self._retry.after(trouble, self._failures, max(0.0, self._ends - time.monotonic()))
        if not isinstance(verdict, Exception):
            log.warning(
                "attempt %d of %d failed, the next in %.1f seconds: %s",
                self._failures, self._retry.retries + 1, verdict, trouble.words,
            )  # fmt: skip
        return verdict


class _NobodyWaitsError(OutOfTimeError):
    """The end of a streamed reply after its time."""


class _Stop(BaseCallbackHandler):
    """Ends a streamed reply that nobody waits for any more: it would hold a thread, and cost money."""

    raise_error = True
    run_inline = True

    def on_llm_new_token(self, token: object, **kwargs: Any) -> None:
        left = seconds_left()
        if left is not None and left <= 0:
            raise _NobodyWaitsError("nobody waits for this reply any more")


def _made(prompt: Prompt) -> list[BaseMessage]:
    try:
        return list(prompt() if callable(prompt) else prompt)
    except Exception as error:
        raise PromptError(str(error)) from error


def _in_thread(model: Model, prompt: Prompt, config: RunnableConfig) -> Future[BaseMessage]:
    reply: Future[BaseMessage] = Future()
    reply.set_running_or_notify_cancel()
    context = contextvars.copy_context()
    stopping = merge_configs(config, {"callbacks": [_Stop()]})

    def work() -> None:
        try:
            reply.set_result(context.run(lambda: model.invoke(_made(prompt), stopping)))
        except BaseException as error:  # whatever it is belongs to the caller's thread
            reply.set_exception(error)

    threading.Thread(target=work, name="cof-policy-call", daemon=True).start()
    return reply


async def _reply(model: Model, prompt: Prompt, config: RunnableConfig) -> BaseMessage:
    if is_async(model):
        # Cancelling may be lost on the way: asyncio.wait_for before Python 3.12 drops it when a piece has just come.
        return await model.ainvoke(_made(prompt), merge_configs(config, {"callbacks": [_Stop()]}))
    # LangChain would use asyncio's own threads, and the process could not end before an abandoned call.
    return await asyncio.wrap_future(_in_thread(model, prompt, config))


def is_async(model: Model) -> bool:
    """Whether the model has an asyncio implementation of its own."""
    own = type(model.bound if isinstance(model, RunnableBinding) else model)
    if not issubclass(own, BaseChatModel):
        return True
    return own._agenerate is not BaseChatModel._agenerate or own._astream is not BaseChatModel._astream
