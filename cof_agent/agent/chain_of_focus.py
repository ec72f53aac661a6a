"""The friendly front of the loop: ask a question about an image."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.types import Checkpointer, Command, StreamMode
from pydantic import BaseModel

from cof_agent.agent.ask import Ask, GraphRun, Images
from cof_agent.agent.batch import Question, answer_all
from cof_agent.agent.result import FailedQuestion, FocusResult
from cof_agent.agent.thread_locks import athread_lock, thread_lock
from cof_agent.agent.trajectory import Trajectory
from cof_agent.agent.trajectory_file import prepare_directory, save_trajectory
from cof_agent.dialects.registry import check_names_images
from cof_agent.errors import ConfigError, TrajectoryError, WaitingError
from cof_agent.images.codecs.metadata import stripped
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import ImageSource, open_image
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.time_limit import images_within
from cof_agent.images.views import RegionPixels, View, ViewEvent, keep_original
from cof_agent.loop.answer_schema import parse_answer
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.graph import FocusGraph, as_policy, build_graph
from cof_agent.loop.overview import check_question, images_of, naming
from cof_agent.loop.pregel import waits_for
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
    conversation. The default store keeps images in memory, the oldest dropped beyond its limit. With `strip_metadata`
    images are kept without EXIF, GPS and the like, under the hash of what is left.
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
        strip_metadata: bool = False,
        region_pixels: RegionPixels | None = None,
    ) -> None:
        self.store: ImageStore = store if store is not None else MemoryStore()
        self.limits = limits or ImageLimits()
        self.config = FocusConfig.parse(config)
        self.save, self.strip_metadata = save, strip_metadata
        self._keeps_threads, self._saver = checkpointer is not None, checkpointer
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
        image: Images | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """Answer one question.

        `image` is a path, a URL (`http(s):`, `file:`, `data:`), encoded bytes or a PIL image, or a list of these; None
        goes on with the images of `thread_id`. `config` replaces the agent's limits. With a `schema` the answer is to
        be JSON that fits that Pydantic model: the policy is told, asked once more if it does not fit, and the result's
        `parsed` holds the value; a run whose answer does not fit the second time has failed.

        Raises ImageError for an image that cannot be opened, ConfigError for bad arguments, TrajectoryError for a
        `save` that cannot be written, WaitingError where the limits have a person asked, LockedError where something
        else is asked in `thread_id` at the same time, and StoreError where the store cannot keep an image or has lost
        it (`resume` goes on once that is mended); whatever else happens in the run is in the result's `status`.
        """
        return _end(list(self._stream(Ask(image, question, config, thread_id, schema))))

    async def aask(
        self,
        image: Images | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """`ask` for asyncio."""
        return _end([event async for event in self._astream(Ask(image, question, config, thread_id, schema))])

    def stream(
        self,
        image: Images | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> Iterator[Event]:
        """Like `ask`, but yields each view as it is shown and the result last.

        Where a person is to decide, the last event is a `Request`: `resume` goes on with the decision.
        """
        return self._stream(Ask(image, question, config, thread_id, schema))

    def astream(
        self,
        image: Images | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
        schema: type[BaseModel] | None = None,
    ) -> AsyncIterator[Event]:
        """`stream` for asyncio."""
        return self._astream(Ask(image, question, config, thread_id, schema))

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
        return _end(list(self._stream(Ask(thread_id=thread_id, schema=schema, decision=decision, resumes=True))))

    async def aresume(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> FocusResult:
        """`resume` for asyncio."""
        going_on = Ask(thread_id=thread_id, schema=schema, decision=decision, resumes=True)
        return _end([event async for event in self._astream(going_on)])

    def stream_resumed(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> Iterator[Event]:
        """Like `resume`, but yields what `stream` does."""
        return self._stream(Ask(thread_id=thread_id, schema=schema, decision=decision, resumes=True))

    def astream_resumed(
        self,
        thread_id: str,
        decision: Decision | Mapping[str, Any] | None = None,
        *,
        schema: type[BaseModel] | None = None,
    ) -> AsyncIterator[Event]:
        """`stream_resumed` for asyncio."""
        return self._astream(Ask(thread_id=thread_id, schema=schema, decision=decision, resumes=True))

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

        async def ask(image: Images, question: str, threads: Executor) -> FocusResult:
            asked = Ask(image, question, config, None, schema)
            return _end([event async for event in self._astream(asked, threads)])

        return await answer_all(ask, questions, concurrency, self.policy.name)

    def _stream(self, ask: Ask) -> Iterator[Event]:
        with thread_lock(self._saver, ask.thread_id):
            run = ask.resumed(self.graph.get_state(self._settings(ask))) if ask.resumes else self._begun(ask)
            settings, state = self._settings(run.ask), dict[str, Any]()
            for part in self.graph.stream(run.given, settings, context=run.ask.config, stream_mode=_MODES):
                mode, value = cast(tuple[str, dict[str, Any]], part)
                if mode == "values":
                    state = value
                else:
                    yield from _view_event(value)
        yield self._result(state, run.ask)

    async def _astream(self, ask: Ask, threads: Executor | None = None) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        async with athread_lock(self._saver, ask.thread_id):
            if ask.resumes:
                run = ask.resumed(await self.graph.aget_state(self._settings(ask)))
            else:
                run = await loop.run_in_executor(threads, self._begun, ask)
            settings, state = self._settings(run.ask), dict[str, Any]()
            async for part in self.graph.astream(run.given, settings, context=run.ask.config, stream_mode=_MODES):
                mode, value = cast(tuple[str, dict[str, Any]], part)
                if mode == "values":
                    state = value
                else:
                    for event in _view_event(value):
                        yield event
        ending = partial(self._result, state, run.ask)
        yield await loop.run_in_executor(threads, ending) if self.save is not None else ending()

    def _begun(self, ask: Ask) -> GraphRun:
        """A new question: checked, and its images opened and kept."""
        question = check_question(ask.question)
        if ask.image is None and ask.thread_id is None:
            raise ConfigError("there is no image: give one, or the thread_id of a conversation that has one")
        if self._keeps_threads:
            ask = replace(ask, thread_id=ask.thread_id or uuid.uuid4().hex)
        self._settings(ask)
        if self.save is not None:
            prepare_directory(self.save)
        given = FocusInput(question=question)
        if ask.image is not None:
            with images_within((ask.config or self.config).max_seconds):
                check_names_images(self.policy.profile, len(images := images_of(ask.image)), self.policy.name)
                given["image"] = [naming(at, len(images), partial(self._keep, one)) for at, one in enumerate(images)]
        return GraphRun(ask, given)

    def _keep(self, image: ImageSource) -> dict[str, Any]:
        source = open_image(image, limits=self.limits)
        return keep_original(stripped(source, self.limits) if self.strip_metadata else source, self.store)

    def _settings(self, ask: Ask) -> RunnableConfig:
        if ask.thread_id is not None and not self._keeps_threads:
            raise ConfigError("a thread_id needs a checkpointer: ChainOfFocus(checkpointer=InMemorySaver())")
        return ask.settings

    def _result(self, state: dict[str, Any], ask: Ask) -> FocusResult | Request:
        if (waiting := waits_for(state)) is not None:
            return Request.from_json(waiting, ask.thread_id)
        trajectory = Trajectory.from_state(state)
        saved, save_error = None, None
        if self.save is not None:
            try:
                saved = save_trajectory(trajectory, self.save, self.store)
            except TrajectoryError as error:  # the answer is there and must not be lost
                save_error = str(error)
        parsed = None
        if ask.schema and trajectory.answer is not None:
            parsed = parse_answer(ask.schema, trajectory.answer)
        return FocusResult(trajectory, self.store, saved, save_error, ask.thread_id, parsed)


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
