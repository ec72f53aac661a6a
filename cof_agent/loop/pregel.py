"""All that the library knows of LangGraph's internals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.constants import START

CHECKPOINTER = "__pregel_checkpointer"
"""Where the configuration of a node has the checkpointer."""

SCRATCHPAD = "__pregel_scratchpad"
"""Where it has what the node is resumed with."""

INTERRUPT = "__interrupt__"
"""The channel to which a run writes what it waits for, and the key under which a graph's output has it."""


def keeps_runs(settings: RunnableConfig) -> bool:
    """Whether the graph that runs under `settings` has a checkpointer, its own or that of its parent."""
    return settings.get("configurable", {}).get(CHECKPOINTER) is not None


def is_resumed(settings: RunnableConfig) -> bool:
    """Whether the node that runs under `settings` is resumed with a value, which it then has to read."""
    pad = settings.get("configurable", {}).get(SCRATCHPAD)
    if pad is None:
        return False
    if not pad.resume and (value := pad.get_null_resume(True)) is not None:  # taken, for one that is read stays there
        pad.resume.append(value)  # where `interrupt` looks first
    return bool(pad.resume)


def waits_for(output: Mapping[str, Any]) -> Any:
    """The value that the `interrupt` of a graph gave; None where its run waits for nobody."""
    waiting = output.get(INTERRUPT)
    return waiting[0].value if waiting else None


def began_with(channels: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input of a run that no step has read yet, from the channels of a checkpoint."""
    given: Mapping[str, Any] = channels.get(START, {})
    return given
