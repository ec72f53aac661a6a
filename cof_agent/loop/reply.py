"""What a turn of the policy leads to. Whether a run looks, asks again or ends is decided here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.turn import Call, Turn
from cof_agent.images.views import View
from cof_agent.loop.answer_schema import schema_error
from cof_agent.loop.call import Progress
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.ending import Ending, conclude, final_answer, of_no_schema, without_answer
from cof_agent.loop.state import FocusState
from cof_agent.loop.trainer_loop import as_trainer
from cof_agent.loop.transcript import last_turn, pending_calls


@dataclass(frozen=True, slots=True)
class Look:
    """The calls of the turn are carried out, in order."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The policy is asked for another turn."""

    text: str | None = None
    """What it is told before."""
    refused: bool = False
    """Whether the turn counts as refused: the policy could have mended it."""
    schema_error: str | None = None
    """What was wrong with an answer that did not fit its schema."""


@dataclass(frozen=True, slots=True)
class Done:
    """The run is over."""

    ending: Ending
    by_turn: bool = True
    """Whether the turn itself says so, and state need not: a turn that somebody edits later ends as it then stands."""


Next: TypeAlias = Look | AskAgain | Done


@dataclass(frozen=True, slots=True)
class Situation:
    """What a turn is judged by."""

    progress: Progress
    """How far the run has come, the turn included; `closing` is the limit under which it was asked for."""
    limits: FocusConfig
    profile: Profile
    views: Sequence[View]
    """All views of the conversation; the overviews first."""
    call_end: str | None = None
    """The text that ends a call, as the dialect writes it."""
    schema: type[BaseModel] | None = None
    """What the answer must fit."""
    schema_error: str | None = None
    """What the policy was told of an earlier answer that did not fit."""
    unshown: frozenset[int] = frozenset()
    """Numbers of the views that the endpoint had no room for."""

    @property
    def images(self) -> int:
        """How many images the question is about."""
        return sum(view.is_overview for view in self.views)

    @property
    def offers_tools(self) -> bool:
        """Also in the closing turn, where calls are dropped: what the policy saw before must stay as it was."""
        return self.limits.max_zooms > 0 and bool(self.profile.tools)

    @property
    def too_early(self) -> bool:
        """Whether regions must be shown before an answer is taken."""
        return self.offers_tools and self.progress.usage["zooms"] < self.limits.min_zooms


def decide(turn: Turn, reply: AIMessage, at: Situation) -> Next:
    """What `turn` leads to. It was read from `reply`."""
    closing, prompts = at.progress.closing, at.profile.prompts
    asked_in_vain = bool(closing and turn.calls)
    if at.limits.trainer_loop:
        turn, ended = as_trainer(turn, reply.text, at.call_end, at.progress.usage, closing, at.limits)
        if ended:
            return Done(without_answer(ended, at.limits), by_turn=False)
    elif closing:
        turn = replace(turn, calls=())
    elif at.profile.stop_after_call:
        turn = replace(turn, calls=turn.calls[:1])
    if turn.calls:
        return Look(turn.calls)
    answer = final_answer(turn, closing)
    if not closing and not answer:
        return AskAgain(_what_is_wrong(turn, prompts.format_error), refused=True)
    if not closing and at.too_early:
        return AskAgain(prompts.look_first, refused=True)
    if at.schema and answer is not None and (wrong := schema_error(at.schema, answer)):
        if at.schema_error:
            return Done(of_no_schema(at.schema, answer, wrong, at.schema_error), by_turn=False)
        return AskAgain(f"{prompts.misfit} {wrong}", schema_error=wrong)
    return Done(ending_of(turn, reply, at), by_turn=not asked_in_vain)


def _what_is_wrong(turn: Turn, form: str) -> str:
    return f"{turn.fault[:1].upper()}{turn.fault[1:]}. {form}" if turn.fault else form


def left_in(state: FocusState) -> type[Look | AskAgain | Done]:
    """Which decision state holds after a turn: an ending, calls to carry out, a request for another turn."""
    if state.get("status"):
        return Done
    if pending_calls(state["messages"]):
        return Look
    return Done if state["messages"][-1] is last_turn(state["messages"]) else AskAgain


def ending_of(turn: Turn | None, reply: AIMessage | None, at: Situation) -> Ending:
    """The ending of a run whose last turn it is."""
    return conclude(
        turn,
        reply,
        closing=at.progress.closing,
        zooms=at.progress.usage["zooms"],
        views=at.views,
        unshown=at.unshown,
        profile=at.profile,
        limits=at.limits,
    )
