"""The friendly front of the loop: ask a question about an image."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.types import Checkpointer, StreamMode

from cof_agent.config import FocusConfig
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.graph import FocusGraph, build_graph
from cof_agent.images import ImageLimits, ImageSource, open_image
from cof_agent.policies import Policy, load_policy
from cof_agent.state import FocusInput, Status, StopReason
from cof_agent.store import ImageStore, MemoryStore
from cof_agent.trajectory import EvidenceRecord, Trajectory, UsageRecord
from cof_agent.trajectory_file import prepare_directory, save_trajectory
from cof_agent.views import View, keep_original

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class ViewEvent:
    """A view, the moment the policy gets it."""

    view: View
    thought: str | None
    """What the policy was thinking when it asked for it; None for the overview."""


@dataclass(frozen=True, slots=True)
class FocusResult:
    """How one question ended. Everything about it derives from its `trajectory`."""

    trajectory: Trajectory
    store: ImageStore
    """Holds the original and the views."""
    saved: Path | None = None
    """The file its trajectory was appended to."""
    save_error: str | None = None
    """Why the trajectory could not be saved although it was to be."""
    thread_id: str | None = None
    """The conversation it belongs to, where a checkpointer keeps one."""

    @property
    def answer(self) -> str | None:
        """The policy's answer; None unless `status` is answered."""
        return self.trajectory.answer

    @property
    def status(self) -> Status:
        return self.trajectory.status

    @property
    def stop_reason(self) -> StopReason:
        return self.trajectory.stop_reason

    @property
    def message(self) -> str | None:
        """Why there is no answer."""
        return self.trajectory.message

    @property
    def views(self) -> tuple[View, ...]:
        return self.trajectory.views

    @property
    def evidence(self) -> tuple[EvidenceRecord, ...]:
        return self.trajectory.evidence

    @property
    def usage(self) -> UsageRecord:
        return self.trajectory.usage

    def view_image(self, index: int) -> Image:
        """View number `index` as the policy saw it, RGB, `views[index].shown` pixels."""
        from PIL import Image

        return Image.open(io.BytesIO(self.store.get(self.views[index].image))).convert("RGB")

    def to_json(self) -> dict[str, Any]:
        """What `cof-agent ask --json` prints."""
        run = self.trajectory
        return {
            "answer": run.answer,
            "status": run.status.value,
            "stop_reason": run.stop_reason.value,
            "message": run.message,
            "image": {"source": run.image.source, "width": run.image.width, "height": run.image.height},
            "views": [
                {
                    "index": view.index,
                    "kind": view.kind,
                    "box": view.box.as_list(),
                    "shown": list(view.shown),
                    "label": view.label,
                }
                for view in run.views
            ],
            "evidence": [item.model_dump(mode="json") for item in run.evidence],
            "usage": run.usage.model_dump(),
            "policy": run.policy,
            "dialect": run.dialect,
            "trajectory": str(self.saved) if self.saved else None,
        }


Event: TypeAlias = ViewEvent | FocusResult

_MODES: list[StreamMode] = ["custom", "values"]


class ChainOfFocus:
    """Answers questions about images by looking closely.

    `policy` is a spec for `load_policy`, a `Policy`, or any LangChain chat model. `save` names a directory to which
    every run appends its trajectory. With a LangGraph `checkpointer`, questions with the same `thread_id` form one
    conversation about one image. The default store keeps images in memory, the oldest dropped beyond its limit.
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
    ) -> None:
        self.store: ImageStore = store if store is not None else MemoryStore()
        self.limits = limits or ImageLimits()
        self.save = save
        self._keeps_threads = checkpointer is not None
        self.graph: FocusGraph = build_graph(
            load_policy(policy) if isinstance(policy, str) else policy,
            config=config,
            store=self.store,
            limits=self.limits,
            checkpointer=checkpointer,
        )

    def ask(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
    ) -> FocusResult:
        """Answer one question.

        `image` is a path, a URL (`http(s):`, `file:`, `data:`), encoded bytes or a PIL image; None goes on with the
        image of `thread_id`. `config` replaces the agent's limits.

        Raises ImageError for an image that cannot be opened, ConfigError for bad arguments and TrajectoryError for a
        `save` that cannot be written; whatever happens in the run itself is in the result's `status`.
        """
        return cast(FocusResult, list(self.stream(image, question, config=config, thread_id=thread_id))[-1])

    async def aask(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
    ) -> FocusResult:
        """:meth:`ask` for asyncio."""
        events = [event async for event in self.astream(image, question, config=config, thread_id=thread_id)]
        return cast(FocusResult, events[-1])

    def stream(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
    ) -> Iterator[Event]:
        """Like :meth:`ask`, but yields each view as it is shown and the result last."""
        given, settings, thread_id = self._start(image, question, thread_id)
        state: dict[str, Any] = {}
        for part in self.graph.stream(given, settings, context=config, stream_mode=_MODES):
            mode, value = cast(tuple[str, dict[str, Any]], part)
            if mode == "values":
                state = value
            else:
                yield from _view_event(value)
        yield self._result(state, thread_id)

    async def astream(
        self,
        image: ImageSource | None,
        question: str,
        *,
        config: FocusConfig | None = None,
        thread_id: str | None = None,
    ) -> AsyncIterator[Event]:
        """:meth:`stream` for asyncio."""
        import asyncio

        given, settings, thread_id = await asyncio.to_thread(self._start, image, question, thread_id)
        state: dict[str, Any] = {}
        async for part in self.graph.astream(given, settings, context=config, stream_mode=_MODES):
            mode, value = cast(tuple[str, dict[str, Any]], part)
            if mode == "values":
                state = value
            else:
                for event in _view_event(value):
                    yield event
        yield await asyncio.to_thread(self._result, state, thread_id)

    def _start(
        self, image: ImageSource | None, question: str, thread_id: str | None
    ) -> tuple[FocusInput, RunnableConfig, str | None]:
        if not isinstance(question, str) or not question.strip():
            raise ConfigError(f"the question must be a text that is not empty, not {question!r}")
        if thread_id is not None and not self._keeps_threads:
            raise ConfigError("a thread_id needs a checkpointer: ChainOfFocus(checkpointer=InMemorySaver())")
        if image is None and thread_id is None:
            raise ConfigError("there is no image: give one, or the thread_id of a conversation that has one")
        if self._keeps_threads:
            thread_id = thread_id or uuid.uuid4().hex
        if self.save is not None:
            prepare_directory(self.save)
        given = FocusInput(question=question)
        if image is not None:
            given["image"] = keep_original(open_image(image, limits=self.limits), self.store)
        return given, RunnableConfig(configurable={"thread_id": thread_id} if thread_id else {}), thread_id

    def _result(self, state: dict[str, Any], thread_id: str | None) -> FocusResult:
        trajectory = Trajectory.from_state(state)
        saved, save_error = None, None
        if self.save is not None:
            try:
                saved = save_trajectory(trajectory, self.save, self.store)
            except TrajectoryError as error:  # the answer is there and must not be lost
                save_error = str(error)
        return FocusResult(trajectory, self.store, saved, save_error, thread_id)


def _view_event(value: dict[str, Any]) -> Iterator[ViewEvent]:
    if value.get("type") == "view":
        yield ViewEvent(View.from_json(value["view"]), value["thought"])
