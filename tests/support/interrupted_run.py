"""A run in a process of its own: `python -m tests.support.interrupted_run DIRECTORY start|resume [parent]`.

The loop is the whole graph, or one node of a `parent`. Prints the number of each view as it is shown. Started, its
policy gets stuck on the second turn, right after the checkpoint of the first zoom, and prints `stuck`; whoever reads
that kills the process.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, TypedDict

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

from cof_agent import DirectoryStore, Policy, Profile, build_graph, perception_node
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, zoom
from tests.support.patience import PATIENCE

TURNS = [zoom(10, 10, 60, 60), zoom(100, 100, 160, 160), zoom(200, 200, 260, 260), answer("42")]
THREAD: Any = {"configurable": {"thread_id": "killed"}}
ZOOMED = threading.Event()
"""The view of the first zoom has been printed; inside of a parent, the loop does not wait for that."""


class StuckModel(ScriptedModel):
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if any(isinstance(message, AIMessage) for message in messages):
            ZOOMED.wait(PATIENCE)
            print("stuck", flush=True)
            threading.Event().wait(2 * PATIENCE)
        return super()._generate(messages, *args, **kwargs)


class Trip(TypedDict, total=False):
    image: str
    question: str
    answer: str | None
    wondered: int
    story: str


def parent(policy: Policy, store: DirectoryStore, saver: SqliteSaver) -> Any:
    """The loop between two other nodes; the first counts how often it ran."""
    graph = StateGraph(Trip)
    graph.add_node("wonder", lambda state: {"question": "What is it?", "wondered": state.get("wondered", 0) + 1})
    graph.add_node("look", perception_node(policy, store=store))
    graph.add_node("tell", lambda state: {"story": f"It is {state['answer']}."})
    graph.add_edge(START, "wonder")
    graph.add_edge("wonder", "look")
    graph.add_edge("look", "tell")
    return graph.compile(checkpointer=saver)


def main(directory: Path, phase: str, place: str = "root") -> None:
    model = {"start": StuckModel, "resume": ScriptedModel}[phase](turns=TURNS)
    with SqliteSaver.from_conn_string(str(directory / "runs.sqlite")) as saver:
        store = DirectoryStore(directory / "images")
        policy = Policy(model, Profile(), "script")
        inside = place == "parent"
        graph = parent(policy, store, saver) if inside else build_graph(policy, store=store, checkpointer=saver)
        given: Any = None
        if phase == "start":
            photo().save(directory / "photo.png")
            given = {"image": str(directory / "photo.png"), "question": "What is it?"}
        for _, event in graph.stream(given, THREAD, stream_mode="custom", durability="sync", subgraphs=True):
            print(event["view"]["index"], flush=True)
            if event["view"]["index"] == 1:
                ZOOMED.set()
        if inside and phase == "resume":
            print(graph.get_state(THREAD).values["story"], graph.get_state(THREAD).values["wondered"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
