"""A run in a process of its own: `python -m tests.interrupted_run DIRECTORY start|resume`.

Prints the number of each view as it is shown. Started, its policy gets stuck on the second turn, right after the
checkpoint of the first zoom, and prints `stuck`; whoever reads that kills the process.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import DirectoryStore, Policy, Profile, build_graph
from cof_agent.policies.script import ScriptedModel
from tests.conversations import answer, photo, zoom

TURNS = [zoom(10, 10, 60, 60), zoom(100, 100, 160, 160), zoom(200, 200, 260, 260), answer("42")]
THREAD: Any = {"configurable": {"thread_id": "killed"}}


class StuckModel(ScriptedModel):
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if any(isinstance(message, AIMessage) for message in messages):
            print("stuck", flush=True)
            threading.Event().wait(60)
        return super()._generate(messages, *args, **kwargs)


def main(directory: Path, phase: str) -> None:
    model = {"start": StuckModel, "resume": ScriptedModel}[phase](turns=TURNS)
    with SqliteSaver.from_conn_string(str(directory / "runs.sqlite")) as saver:
        store = DirectoryStore(directory / "images")
        graph = build_graph(Policy(model, Profile(), "script"), store=store, checkpointer=saver)
        given: Any = None
        if phase == "start":
            photo().save(directory / "photo.png")
            given = {"image": str(directory / "photo.png"), "question": "What is it?"}
        for event in graph.stream(given, THREAD, stream_mode="custom", durability="sync"):
            print(event["view"]["index"], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
