"""The runs that a checkpointer has kept, whoever made them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from cof_agent.agent.trajectory import Trajectory
from cof_agent.errors import CofError, MissingExtraError, TrajectoryError
from cof_agent.loop.pregel import INTERRUPT
from cof_agent.loop.state import Status
from cof_agent.loop.transcript import question_of


class Standing(StrEnum):
    """How a kept run stands: how it ended, or that it has not."""

    ANSWERED = Status.ANSWERED.value
    DECLINED = Status.DECLINED.value
    BUDGET = Status.BUDGET.value
    FAILED = Status.FAILED.value
    WAITING = "waiting"
    """It waits for a person."""
    UNFINISHED = "unfinished"
    """It goes on, or was cut short."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """One question of a thread."""

    thread_id: str
    node: str
    """The node of the graph that the loop ran in; empty where it was the whole graph."""
    question: str
    standing: Standing
    trajectory: Trajectory | None
    """None unless it has ended."""

    def to_json(self) -> dict[str, Any]:
        """What `cof-agent history --json` prints of it."""
        run = self.trajectory
        return {
            "thread": self.thread_id,
            "node": self.node,
            "question": self.question,
            "standing": self.standing.value,
            "answer": run.answer if run else None,
            "message": run.message if run else None,
            "zooms": run.usage.zooms if run else None,
            "finished": run.finished if run else None,
        }


def kept_runs(saver: BaseCheckpointSaver[Any], thread_id: str | None = None) -> list[KeptRun]:
    """The questions of all threads, or of one, in the order in which they were asked.

    Also those that were asked inside of other graphs. Of a question that was gone back to, every ending counts. Raises
    TrajectoryError for a run of another schema, and for one that is damaged.
    """
    try:
        return _kept_runs(saver, thread_id)
    except (CofError, sqlite3.Error, OSError):
        raise
    except Exception as error:  # what stands in a damaged file may be anything, and so may what reading it raises
        raise TrajectoryError(
            f"a run that the checkpointer has kept is damaged ({type(error).__name__}: {error}): "
            "name another thread, or use an older copy of the file"
        ) from error


def _kept_runs(saver: BaseCheckpointSaver[Any], thread_id: str | None) -> list[KeptRun]:
    config = RunnableConfig(configurable={"thread_id": thread_id}) if thread_id is not None else None
    found: dict[tuple[str, ...], KeptRun] = {}
    begun: set[tuple[str, ...]] = set()
    for kept in saver.list(config):  # the newest first: of a question that has ended, nothing older is of interest
        state = kept.checkpoint["channel_values"]
        if not _is_ours(state):
            continue
        thread, space = (kept.config["configurable"][name] for name in ("thread_id", "checkpoint_ns"))
        question = (thread, space, state["run"]["started"])
        ended = _has_ended(state)
        if question not in begun or ended:
            found.setdefault((*question, state["finished"] if ended else ""), _kept(kept, thread, space, ended))
        begun.add(question)
    return [found[key] for key in sorted(found, key=lambda key: key[2:])]


@contextlib.contextmanager
def sqlite_runs(path: str | Path) -> Iterator[BaseCheckpointSaver[Any]]:
    """The checkpoints in a file that a SqliteSaver has written; nothing is written, and no foreign types are made.

    Raises TrajectoryError for anything else, and MissingExtraError.
    """
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError as error:
        raise MissingExtraError.for_extra("sqlite", "a file of checkpoints") from error
    if not os.path.isfile(path):
        raise TrajectoryError(f"{path} is no file: name the one that the SqliteSaver wrote")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        ) as connection:
            saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            saver.is_setup = True  # or it would try to make its tables
            yield saver
    except sqlite3.Error as error:
        raise TrajectoryError(
            f"{path} has no checkpoints that can be read ({error}): name the file that the SqliteSaver wrote"
        ) from error


def _is_ours(state: Mapping[str, Any]) -> bool:
    return all(name in state for name in ("run", "original", "messages", "first_message", "usage"))


def _has_ended(state: Mapping[str, Any]) -> bool:
    """Earlier versions kept the `finished` of the question before until the next one had ended."""
    return bool(state.get("status") and (state.get("finished") or "") >= state["run"]["started"])


def _kept(kept: CheckpointTuple, thread: str, space: str, ended: bool) -> KeptRun:
    state = kept.checkpoint["channel_values"]
    run = Trajectory.from_state(state) if ended else None
    waits = any(channel == INTERRUPT for _, channel, _ in kept.pending_writes or ())
    return KeptRun(
        thread_id=thread,
        node=space.rpartition("|")[2].partition(":")[0],
        question=question_of(state["messages"][state["first_message"]]),
        standing=Standing(run.status) if run else Standing.WAITING if waits else Standing.UNFINISHED,
        trajectory=run,
    )
