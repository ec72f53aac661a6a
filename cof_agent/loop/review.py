"""A person in the loop: what they are asked, and what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cof_agent.errors import ConfigError, validated
from cof_agent.images.display_name import nth_image
from cof_agent.images.geometry import Box
from cof_agent.images.views import SCHEMA, ViewKind
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.ending import Ending
from cof_agent.loop.looking import PlannedRegion, Review
from cof_agent.loop.pregel import keeps_runs
from cof_agent.loop.state import FocusState, originals_of
from cof_agent.loop.transcript import json_safe, question_of


class Decision(BaseModel):
    """What a person decides: as JSON the value of `Command(resume=…)`, in every host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "edit", "reject"]
    """Go on (at the end: without an answer), look at another `box`, or not at all for a `reason` told to the policy."""
    box: Annotated[list[int], Field(min_length=4, max_length=4)] | None = None
    """With `edit`: x1, y1, x2, y2 in upright pixels of the image that the request names. It is enlarged as the policy's
    own would be."""
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


@dataclass(frozen=True, slots=True)
class Request:
    """What a run waits for: a person's decision."""

    ask: Literal["zoom", "end"]
    """Before a region is shown, or before a run ends without an answer."""
    question: str
    problem: str | None
    """What was wrong with the decision before, if it could not be carried out."""
    thread_id: str | None = None
    """The conversation to resume."""
    thought: str | None = None
    """Of a zoom: what the policy was thinking when it asked for it."""
    kind: ViewKind | None = None
    label: str | None = None
    box: Box | None = None
    """Of a zoom: what the policy asked for, in original upright pixels."""
    region: Box | None = None
    """Of a zoom: what would be shown, in original upright pixels."""
    image_index: int = 0
    """Of a zoom: which of the question's images it is in, counted from 0."""
    image: str | None = None
    """The name of that image, without passwords; at an end, of the first one."""
    image_count: int = 1
    """How many images the question is about."""
    status: str | None = None
    """Of an end: how the run would end, and why."""
    stop_reason: str | None = None
    message: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], thread_id: str | None = None) -> Request:
        """Rebuild from the value of LangGraph's interrupt. Raises ConfigError for any other value."""
        if not isinstance(value, Mapping) or value.get("schema") != SCHEMA or "ask" not in value:
            raise ConfigError(f"no request of schema {SCHEMA} to a person: {value!r:.80}")
        names = {field.name for field in fields(cls)} & value.keys()
        read: dict[str, Any] = {name: Box(*value[name]) for name in names & {"box", "region"}}
        if isinstance(value.get("image"), Mapping):
            read["image"] = value["image"].get("source")
        return cls(thread_id=thread_id, **{name: value[name] for name in names} | read)

    def describe(self) -> str:
        """One line for people."""
        if self.box is None:
            return f"end as {self.status} ({self.message})?"
        label = f" “{self.label}”" if self.label else ""
        which = nth_image(self.image_index, self.image_count)
        where = f" in {which} ({self.image})" if self.image_count > 1 else ""
        return f"{self.kind}{label} into {self.box.as_list()}{where}?"


def check_can_ask(config: FocusConfig, settings: RunnableConfig) -> None:
    """Raise ConfigError where a person would be asked in vain, because nothing keeps the run that waits for them."""
    if config.asks and not keeps_runs(settings):
        raise ConfigError(
            "ask_before_zoom and ask_at_end need a checkpointer, or a run that waits cannot be resumed: "
            "compile the outermost graph with one, and give a thread_id"
        )


def zoom_review(state: FocusState, thought: str | None) -> Review:
    """Asks a person, by LangGraph's `interrupt`, about a region that the policy wants after `thought`."""

    def review(wanted: PlannedRegion, problem: str | None) -> Box | str | None:
        decision = _asked(
            state,
            problem,
            ask="zoom",
            thought=thought,
            kind=wanted.kind,
            label=wanted.label,
            image_index=wanted.image_index,
            box=wanted.box.as_list(),
            region=wanted.region.as_list(),
        )
        return Box(*decision.box) if decision.box else decision.reason

    return review


def end_review(state: FocusState, ending: Ending) -> str | None:
    """Ask a person about a run that ends without an answer: None ends it; else the policy is told this, and goes on."""
    problem, about = None, ending.as_state()
    while True:
        asked = {name: about[name] for name in ("status", "stop_reason", "message")}
        decision = _asked(state, problem, ask="end", **asked)
        if decision.decision != "edit":
            return decision.reason
        problem = 'there is no region to edit: "approve" lets it end, "reject" with a reason lets the policy try again'


def another_round(state: FocusState, advice: str, reminder: str) -> dict[str, Any]:
    """What changes where a person has the policy try again: it is told their advice, and the limits count anew."""
    said = HumanMessage(json_safe(f"{advice}\n\n{reminder}".strip()))
    unended = dict.fromkeys(("closing", "misfit", "status", "stop_reason", "message"))
    return {"messages": [said], "refused_in_row": 0, "granted": (state.get("granted") or 0) + 1} | unended


def _asked(state: FocusState, problem: str | None, *, ask: str, **about: Any) -> Decision:
    originals = originals_of(state)
    original = originals[about.get("image_index", 0)]
    value = {
        "schema": SCHEMA,
        "ask": ask,
        "question": question_of(state["messages"][state["first_message"]]),
        "image": {name: original[name] for name in ("source", "width", "height")},
        "image_count": len(originals),
        **about,
        "problem": problem,
    }
    reply: Decision = interrupt(json_safe(value), response_schema=Decision)
    return reply
