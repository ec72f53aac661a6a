"""The friendly front of the loop: ask a question about an image."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.types import Checkpointer, Command, StreamMode
from pydantic import BaseModel

from cof_agent.agent.batch import Question, answer_all
from cof_agent.agent.result import FailedQuestion, FocusResult
from cof_agent.agent.trajectory import Trajectory
from cof_agent.agent.trajectory_file import prepare_directory, save_trajectory
from cof_agent.errors import ConfigError, TrajectoryError, WaitingError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import ImageSource, open_image
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.views import RegionPixels, View, ViewEvent, keep_original
from cof_agent.loop.answer_schema import ANSWER_MODEL, answer_model, parse_answer, schema_text
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.graph import FocusGraph, as_policy, build_graph
from cof_agent.loop.overview import check_question
from cof_agent.loop.pregel import waits_for
from cof_agent.loop.resumption import resumption
from cof_agent.loop.review import Decision, Request
from cof_agent.loop.state import FocusInput
from cof_agent.policies.loading import load_policy
from cof_agent.policies.policy import Policy

__all__ = ["ChainOfFocus", "Event", "FailedQuestion", "FocusResult", "Question", "Request", "ViewEvent"]

Event: TypeAlias = ViewEvent | Request | FocusResult

_Given: TypeAlias = FocusInput | Command[Any] | None

_MODES: list[StreamMode] = ["custom", "values"]


class ChainOfFocus:
    """Answers questions about images by looking closely.

    `policy` is a spec for `load_policy`, a `Policy`, or any LangChain chat model. `save` names a directory to which
    every run appends its trajectory. With a LangGraph `checkpointer`, questions with the same `thread_id` form one
    conversation about one image. The default store keeps images in memory, the oldest dropped beyond its limit.
    `region_pixels` replaces what regions show, to test whether a policy uses them.
    """

    def __init__(
        self,
        policy: str | Policy | BaseChatModel = "reader",
        *,
        config: FocusConfig | None = None,
        store: ImageStore | None = None,
        limits: ImageLimits | None = None,
        checkpointer: Checkpointer = None,
        save: str | Path | None = None,
        region_pixels: RegionPixels | None = None,
    ) -> None:
        self.store: ImageStore = store if store is not None else MemoryStore()
        self.limits = limits or ImageLimits()
        self.config = FocusConfig.parse(config)
        self.save = save
        self._keeps_threads = checkpointer is not None
        self.policy = as_policy(load_policy(policy) if isinstance(policy, str) else policy)
        self.graph: FocusGraph = build_graph(
            self.policy,
            config=self.config,
            store=self.store,
            limits=self.limits,
            checkpointer=checkpointer,
            region_pixels=region_pixels,
        )

    def ask(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """Answer one question.

        `image` is a path, a URL (`http(s):`, `file:`, `data:`), encoded bytes or a PIL image; None goes on with the
        image of `thread_id`. `config` replaces the agent's limits. With a `schema` the answer is to be JSON that fits
        that Pydantic model: the policy is told, asked once more if it does not fit, and the result's `parsed` holds
        the value; a run whose answer does not fit the second time has failed.

        Raises ImageError for an image that cannot be opened, ConfigError for bad arguments, TrajectoryError for a
        `save` that cannot be written, WaitingError where the limits have a person asked and StoreError where the store
        cannot keep an image or has lost it (`resume` goes on once that is mended); whatever else happens in the
        run is in the result's `status`.
        """
        return _end(list(self.stream(image, question, config=config, thread_id=thread_id, schema=schema)))

    async def aask(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """`ask` for asyncio."""
        events = [
            event async for event in self.astream(image, question, config=config, thread_id=thread_id, schema=schema)
        ]
        return _end(events)

    def stream(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> Iterator[Event]:
        """Like `ask`, but yields each view as it is shown and the result last.

        Where a person is to decide, the last event is a `Request`: `resume` goes on with the decision.
        """
        given, settings, thread_id = self._start(image, question, thread_id, schema)
        yield from self._events(given, settings, config, thread_id, schema)

    async def astream(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> AsyncIterator[Event]:
        """`stream` for asyncio."""
        begin = partial(self._start, image, question, thread_id, schema)
        async for event in self._aevents(begin, config, schema):
            yield event

    def resume(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """Go on with a run that waits for a person's `decision`, or, without one, that was cut short.

        What was done is not repeated, and the limits are those that it began under; give the `schema` again, if it had
        one. Raises ConfigError where there is nothing to go on with, and else as `ask` does.
        """
        return _end(list(self.stream_resumed(thread_id, decision, schema=schema)))

    async def aresume(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """`resume` for asyncio."""
        return _end([event async for event in self.astream_resumed(thread_id, decision, schema=schema)])

    def stream_resumed(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> Iterator[Event]:
        """Like `resume`, but yields what `stream` does."""
        settings = self._thread(thread_id, schema)
        command, config = resumption(thread_id, self.graph.get_state(settings), decision)
        yield from self._events(command, settings, config, thread_id, schema)

    async def astream_resumed(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> AsyncIterator[Event]:
        """`stream_resumed` for asyncio."""
        settings = self._thread(thread_id, schema)
        command, config = resumption(thread_id, await self.graph.aget_state(settings), decision)
        async for event in self._aevents(lambda: (command, settings, thread_id), config, schema):
            yield event

    async def abatch(
        self,
        questions: Iterable[Question],
        *,
        concurrency: int = 16,
        config: FocusConfig | None = None,
        schema: type[BaseModel] | None = None,
    ) -> list[FocusResult | FailedQuestion]:
        """Answer many questions over this one policy, at most `concurrency` at a time; results in their order.

        What `ask` would raise becomes a `FailedQuestion` in the place of that question's result. `questions`
        is read as places become free, so it may be a generator. Raises ConfigError for a concurrency below 1.
        """
        (config or self.config).check_asks_nobody("a batch")

        async def ask(image: ImageSource, question: str, threads: Executor) -> FocusResult:
            begin = partial(self._start, image, question, None, schema)
            return _end([event async for event in self._aevents(begin, config, schema, threads)])

        return await answer_all(ask, questions, concurrency, self.policy.name)

    def _events(
        self,
        given: _Given,
        settings: RunnableConfig,
        config: FocusConfig | None,
        thread_id: str | None,
        schema: type[BaseModel] | None,
    ) -> Iterator[Event]:
        state: dict[str, Any] = {}
        for part in self.graph.stream(given, settings, context=config, stream_mode=_MODES):
            mode, value = cast(tuple[str, dict[str, Any]], part)
            if mode == "values":
                state = value
            else:
                yield from _view_event(value)
        yield self._result(state, thread_id, schema)

    async def _aevents(
        self,
        begin: Callable[[], tuple[_Given, RunnableConfig, str | None]],
        config: FocusConfig | None,
        schema: type[BaseModel] | None,
        threads: Executor | None = None,
    ) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        given, settings, thread_id = await loop.run_in_executor(threads, begin)
        state: dict[str, Any] = {}
        async for part in self.graph.astream(given, settings, context=config, stream_mode=_MODES):
            mode, value = cast(tuple[str, dict[str, Any]], part)
            if mode == "values":
                state = value
            else:
                for event in _view_event(value):
                    yield event
        ending = partial(self._result, state, thread_id, schema)
        yield await loop.run_in_executor(threads, ending) if self.save is not None else ending()

    def _start(
        self, image: ImageSource | None, question: str, thread_id: str | None, schema: type[BaseModel] | None
    ) -> tuple[_Given, RunnableConfig, str | None]:
        check_question(question)
        if image is None and thread_id is None:
            raise ConfigError("there is no image: give one, or the thread_id of a conversation that has one")
        if self._keeps_threads:
            thread_id = thread_id or uuid.uuid4().hex
        settings = self._thread(thread_id, schema)
        if self.save is not None:
            prepare_directory(self.save)
        given = FocusInput(question=question)
        if image is not None:
            given["image"] = keep_original(open_image(image, limits=self.limits), self.store)
        return given, settings, thread_id

    def _thread(self, thread_id: str | None, schema: type[BaseModel] | None) -> RunnableConfig:
        if thread_id is not None and not self._keeps_threads:
            raise ConfigError("a thread_id needs a checkpointer: ChainOfFocus(checkpointer=InMemorySaver())")
        settings = RunnableConfig(configurable={"thread_id": thread_id} if thread_id else {})
        if schema is not None:
            settings["configurable"][ANSWER_MODEL] = schema
            if model := answer_model(settings):
                schema_text(model)
        return settings

    def _result(
        self, state: dict[str, Any], thread_id: str | None, schema: type[BaseModel] | None
    ) -> FocusResult | Request:
        if (waiting := waits_for(state)) is not None:
            return Request.from_json(waiting, thread_id)
        trajectory = Trajectory.from_state(state)
        saved, save_error = None, None
        if self.save is not None:
            try:
                saved = save_trajectory(trajectory, self.save, self.store)
            except TrajectoryError as error:  # the answer is there and must not be lost
                save_error = str(error)
        parsed = parse_answer(schema, trajectory.answer) if schema and trajectory.answer is not None else None
        return FocusResult(trajectory, self.store, saved, save_error, thread_id, parsed)


def _end(events: list[Event]) -> FocusResult:
    if isinstance(end := events[-1], Request):
        raise WaitingError(
            f"the run waits for a person: {end.describe()}; go on with resume({end.thread_id!r}, decision), "
            "or use stream(), whose last event is then the request"
        )
    return cast(FocusResult, end)


def _view_event(value: dict[str, Any]) -> Iterator[ViewEvent]:
    if value.get("type") == "view":
        yield ViewEvent(View.from_json(value["view"]), value["thought"])
