"""One question as it is asked of an agent, or the run of a thread that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot
from pydantic import BaseModel

from cof_agent.images.opening import ImageSource
from cof_agent.loop.answer_schema import ANSWER_MODEL, answer_model, schema_text
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.resumption import resumption
from cof_agent.loop.review import Decision
from cof_agent.loop.state import FocusInput

Images: TypeAlias = "ImageSource | Sequence[ImageSource]"
"""One image, or a list or tuple of several that a question is about."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked, and how."""

    image: Images | None = field(default=None, repr=False)  # whose address may hold a password
    """None: the images of the thread."""
    question: object = None
    config: FocusConfig | None = None
    """Limits in place of the agent's."""
    thread_id: str | None = None
    schema: type[BaseModel] | None = None
    """What the answer must fit."""
    decision: Decision | Mapping[str, Any] | None = None
    """Of a run that goes on: what a person has decided."""
    resumes: bool = False
    """Whether nothing new is asked, and the run of `thread_id` goes on."""

    @property
    def settings(self) -> RunnableConfig:
        """LangGraph's settings. Raises ConfigError for a schema that is none or that JSON cannot describe."""
        settings = RunnableConfig(configurable={"thread_id": self.thread_id} if self.thread_id else {})
        if self.schema is not None:
            settings["configurable"][ANSWER_MODEL] = self.schema
            if model := answer_model(settings):
                schema_text(model)
        return settings

    def resumed(self, snapshot: StateSnapshot) -> GraphRun:
        """The run of the thread as it goes on. Raises ConfigError where there is nothing to go on with."""
        command, config = resumption(self.thread_id or "", snapshot, self.decision)
        return GraphRun(replace(self, config=config), command)


@dataclass(frozen=True, slots=True)
class GraphRun:
    """What the graph is run with."""

    ask: Ask
    given: FocusInput | Command[Any] | None
