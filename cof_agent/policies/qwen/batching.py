"""Calls that arrive together are run together."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import BaseMessage

from cof_agent.errors import CofError, PolicyError
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.qwen.engine import Engine, Generation
from cof_agent.policies.qwen.reply import Limits, Reply
from cof_agent.policies.qwen.sampling import Sampler, Sampling

CLOSE_SECONDS = 10.0
"""How long the end of the process waits for the model: it ends after the token that it is at."""

IDLE_SECONDS = 2.0
"""How long the thread stays when there is nothing to do."""


@dataclass(slots=True, eq=False)
class GenerationRequest:
    """One call of the model."""

    messages: Sequence[BaseMessage]
    tools: Sequence[dict[str, Any]]
    sampling: Sampling
    limits: Limits
    ends_at: float
    """Monotonic time after which nobody waits for the reply."""
    record: bool = False
    on_text: Callable[[str], None] | None = None
    future: Future[Reply] = field(default_factory=Future)
    """Gets the reply, or what went wrong. Cancelling it ends the reply."""

    @property
    def unwanted(self) -> bool:
        return self.future.done() or time.monotonic() >= self.ends_at

    @property
    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    def succeed(self, reply: Reply) -> None:
        try:
            self.future.set_result(reply)
        except InvalidStateError:
            return  # the caller went away

    def fail(self, error: BaseException) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return


class Worker:
    """Runs requests of one model in a thread of its own, one batch at a time, in the order of arrival.

    What waits when the model becomes free is one batch, up to `max_batch` requests; nothing waits for others to come.

    Each request ends on its own: as soon as its reply is written or its time is up, whatever the batch still does.
    """

    def __init__(self, engine: Engine, max_batch: int) -> None:
        self.engine, self.max_batch = engine, max_batch
        self._waiting: deque[list[GenerationRequest]] = deque()
        self._changed = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None
        self._batch: list[GenerationRequest] = []
        self._closing = False

    def submit(self, requests: Sequence[GenerationRequest]) -> None:
        """Queue requests; several given at once are one batch."""
        if not requests:
            return
        with self._changed:
            self._waiting.append(list(requests))
            self._changed.notify_all()
            if not self._running:
                self._running = True
                atexit.register(self.close)  # a thread that is inside of torch when Python ends aborts the process
                self._thread = threading.Thread(target=self._work, name="cof-qwen", daemon=True)
                self._thread.start()

    def close(self, why: str = "the process is ending") -> None:
        """End all that runs or waits, and the thread; return when it has ended, or after `CLOSE_SECONDS`."""
        with self._changed:
            self._closing = True
            self._fail_all(why)
            self._changed.notify_all()
        if self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            while self._next():
                self._serve(self._batch)
        except BaseException:  # goes on to where threads report; but no caller may wait for this one
            with self._changed:
                self._ended()
                self._fail_all("the thread that runs the model has ended")
            raise

    def _ended(self) -> None:
        self._running = self._closing = False
        atexit.unregister(self.close)

    def _fail_all(self, why: str) -> None:
        for request in [*self._batch, *(request for batch in self._waiting for request in batch)]:
            request.fail(PolicyError(why))
        self._waiting.clear()

    def _next(self) -> bool:
        """Take the next batch; False when there was nothing to do for a while, and the thread is to end."""
        with self._changed:
            self._batch = []
            self._changed.wait_for(lambda: self._waiting or self._closing, IDLE_SECONDS)
            if not self._waiting:
                self._ended()
                return False
            batch = self._batch = self._waiting.popleft()
            given_together = len(batch) > 1
            while not given_together and len(batch) < self.max_batch and self._waiting and len(self._waiting[0]) == 1:
                batch += self._waiting.popleft()
            return True

    def _serve(self, requests: Sequence[GenerationRequest]) -> None:
        begun = [(request, task) for request in requests if (task := self._begun(request))]
        if not begun:
            return
        try:
            self.engine.run([task for _, task in begun])
        except Exception as error:  # whatever it is belongs to the callers
            for request, task in begun:
                if request.future.done():
                    continue
                if len(begun) == 1 or task.reply.begun:
                    request.fail(error)
                else:
                    self._serve([request])  # alone: one conversation must not take the others with it

    def _begun(self, request: GenerationRequest) -> Generation | None:
        if request.future.cancelled():
            return None
        if request.unwanted:
            request.fail(_out_of_time())
            return None
        try:
            return self._task(request)
        except CofError as error:
            request.fail(error)
        except Exception as error:  # as above; the others of the batch go on
            request.fail(error)
        return None

    def _task(self, request: GenerationRequest) -> Generation:
        prompt = self.engine.writer.write(request.messages, request.tools)
        limits = request.limits
        room = min(limits.max_new_tokens, self.engine.room(prompt))
        reply = Reply(
            self.engine.writer.tokenizer,
            Limits(room, limits.stop, limits.stop_after, limits.ends),
            logprobs=[] if request.record else None,
            on_text=request.on_text,
            should_end=lambda: request.unwanted,
            silent=self.engine.checkpoint.structure,
        )

        def done() -> None:
            if reply.finish_reason == "abandoned":
                request.fail(_out_of_time())
            else:
                request.succeed(reply)

        reply.on_done = done
        sampler = Sampler(request.sampling, prompt.ids)
        reply.seed = sampler.seed if sampler.draws else None
        return Generation(prompt, reply, sampler)


def _out_of_time() -> OutOfTimeError:
    return OutOfTimeError("the local model did not end its turn within the time that was left")
