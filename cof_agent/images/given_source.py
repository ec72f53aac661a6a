"""Calls of a source that a program gave as an object: whatever it does, they end, and with errors that name it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

from cof_agent.errors import CofError, ImageError
from cof_agent.images.time_limit import time_limit

_Answer = TypeVar("_Answer")


def call_source(call: Callable[[], _Answer], name: str) -> _Answer:
    """What `call`, a method of the source that messages call `name`, answers.

    Raises ImageError where it fails, or takes longer than the run has left, or 300 seconds. Such a call is left alone.
    """
    answers: SimpleQueue[Callable[[], _Answer]] = SimpleQueue()
    context = copy_context()

    def work() -> None:
        try:
            answer = context.run(call)
        except BaseException as error:
            answers.put(_raising(error, name))
        else:
            answers.put(lambda: answer)

    limit = time_limit(None, name)
    threading.Thread(target=work, name="cof-agent-source", daemon=True).start()
    try:
        answered = answers.get(timeout=limit.left())
    except Empty:
        raise limit.error("rendering", "mend the source") from None
    return answered()


def _raising(error: BaseException, name: str) -> Callable[[], NoReturn]:
    def answered() -> NoReturn:
        if isinstance(error, CofError):
            raise error
        raise ImageError(f"{name} failed ({type(error).__name__}: {error!s:.300}): mend the source") from error

    return answered
