"""A person in the loop: what they are asked, and what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from langgraph.runtime import get_runtime
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cof_agent.config import FocusConfig
from cof_agent.errors import ConfigError
from cof_agent.geometry import Box
from cof_agent.state import FocusState
from cof_agent.tools import Review, Wanted
from cof_agent.transcript import question_of, storable
from cof_agent.validation import validated
from cof_agent.views import SCHEMA


class Decision(BaseModel):
    """What a person decides: as JSON the value of `Command(resume=…)`, in every host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "edit", "reject"]
    """Go on (at the end: without an answer), look at another `box`, or do not, for a `reason` that the policy is told."""
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    """With `edit`: x1, y1, x2, y2 in original upright pixels. It is enlarged as the policy's own would be."""
    reason: str | None = None
    """With `reject`. At the end the policy then tries again, and its limits are granted once more."""

    @model_validator(mode="after")
    def _check(self) -> Decision:
        if (self.box is not None) != (self.decision == "edit"):
            raise ValueError('a box [x1, y1, x2, y2] goes with "edit", and only with it')
        if bool(self.reason and self.reason.strip()) != (self.decision == "reject"):
            raise ValueError('a reason goes with "reject", and only with it')
        if self.box is not None:
            Box(*self.box)
        return self

    @classmethod
    def parse(cls, value: Decision | Mapping[str, Any]) -> Decision:
        """A decision from its names and values. Raises ConfigError that names the field."""
        return value if isinstance(value, Decision) else validated(cls, value, "the decision")


def check_can_ask(config: FocusConfig) -> None:
    """Raise ConfigError where a person would be asked in vain, because nothing keeps the run that waits for them."""
    info = get_runtime().execution_info
    if config.asks and (info is None or info.thread_id is None):
        raise ConfigError(
            "ask_before_zoom and ask_at_end need a checkpointer and a thread_id, or a run that waits cannot be resumed: "
            "compile the outermost graph with one"
        )


def zoom_review(state: FocusState, thought: str | None) -> Review:
    """Asks a person, by LangGraph's `interrupt`, about a region that the policy wants after `thought`."""

    def review(wanted: Wanted, problem: str | None) -> Box | str | None:
        decision = _asked(
            state,
            problem,
            ask="zoom",
            thought=thought,
            kind=wanted.kind,
            label=wanted.label,
            box=wanted.box.as_list(),
            region=wanted.region.as_list(),
        )
        return Box(*decision.box) if decision.box else decision.reason

    return review


def end_review(state: FocusState, ending: Mapping[str, Any]) -> str | None:
    """Ask a person about a run that ends without an answer: None lets it end, else the policy tries again, told this."""
    problem = None
    while True:
        asked = {name: ending[name] for name in ("status", "stop_reason", "message")}
        decision = _asked(state, problem, ask="end", **asked)
        if decision.decision != "edit":
            return decision.reason
        problem = 'there is no region to change: "approve" lets it end, "reject" with a reason lets the policy try again'


def _asked(state: FocusState, problem: str | None, *, ask: str, **about: Any) -> Decision:
    original = state["original"]
    value = {
        "schema": SCHEMA,
        "ask": ask,
        "question": question_of(state["messages"][state["first_message"]]),
        "image": {name: original[name] for name in ("source", "width", "height")},
        **about,
        "problem": problem,
    }
    reply: Decision = interrupt(storable(value), response_schema=Decision)
    return reply
