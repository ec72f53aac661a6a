"""How the run of a thread goes on, and under which limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.runtime import get_runtime
from langgraph.types import Command, StateSnapshot

from cof_agent.errors import ConfigError
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.review import Decision
from cof_agent.loop.state import RunInfo

_ASKING = {"ask_before_zoom", "ask_at_end"}


def resumption(
    thread_id: str, snapshot: StateSnapshot, decision: Decision | Mapping[str, Any] | None
) -> tuple[Command[Any] | None, FocusConfig | None]:
    """What resumes the run of a thread, and the limits that it began under. Raises ConfigError where it cannot be."""
    tasks = {task.name for task in snapshot.tasks}  # `next` lacks those that ended just before the run was cut short
    if not tasks:
        raise ConfigError(f"the thread {thread_id!r} has no run to go on with: ask it a question")
    if decision is not None and not snapshot.interrupts:
        raise ConfigError(f"the thread {thread_id!r} waits for nobody: resume it without a decision")
    command: Command[Any] | None = None
    if decision is not None:
        command = Command(resume=Decision.parse(decision).model_dump())
    began = snapshot.values.get("run") if "observe" not in tasks else None
    return command, FocusConfig.parse(began["config"]) if began else None


def context_of_run() -> FocusConfig | None:
    """The limits that a graph's `context` gives the run that goes on here, if it gives any."""
    context: object = get_runtime(FocusConfig).context  # as a subgraph it may be the parent's, of another kind
    return context if isinstance(context, FocusConfig) else None


def limits_of(run: RunInfo, context: FocusConfig | None) -> FocusConfig:
    """The limits of a run that has begun: those that it began under, unless it is resumed in a `context` with others.

    Whether a person is asked changes only where the context says so in so many words; one that says nothing, as servers
    pass it, is none.
    """
    began = FocusConfig.parse(run["config"])
    if context is None or not context.model_fields_set:
        return began
    return context.model_copy(update={name: getattr(began, name) for name in _ASKING - context.model_fields_set})
