"""LangGraph's internals are what `loop.pregel` takes them for: these fail by name when LangGraph changes them."""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import Command, interrupt

from cof_agent.loop import pregel

THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    word: str


class Seen:
    """A graph of one node that asks for a word, and what the node's configuration held."""

    def __init__(self) -> None:
        self.kept: list[bool] = []
        self.resumed: list[bool] = []
        graph = StateGraph(State)
        graph.add_node("ask", self.ask)
        graph.set_entry_point("ask")
        self.graph = graph.compile(checkpointer=InMemorySaver())
        self.unkept = graph.compile()

    def ask(self, state: State, config: RunnableConfig) -> dict[str, Any]:
        self.kept.append(pregel.keeps_runs(config))
        self.resumed.append(pregel.is_resumed(config))
        return {"word": interrupt("which?") if self.kept[-1] else "none"}


def test_checkpointer_scratchpad_and_interrupt() -> None:
    seen = Seen()
    waiting = seen.graph.invoke({"word": ""}, THREAD)
    assert pregel.waits_for(waiting) == "which?", f"LangGraph no longer gives {pregel.INTERRUPT}"
    ended = seen.graph.invoke(Command(resume="this"), THREAD)
    assert (ended["word"], pregel.waits_for(ended)) == ("this", None)
    assert seen.kept == [True, True], f"LangGraph no longer sets {pregel.CHECKPOINTER}"
    assert seen.resumed == [False, True], f"LangGraph no longer sets {pregel.SCRATCHPAD} as it did"
    assert seen.unkept.invoke({"word": ""})["word"] == "none"


def test_the_input_of_a_run_and_the_channel_of_what_it_waits_for() -> None:
    seen = Seen()
    seen.graph.invoke({"word": "given"}, THREAD)
    assert seen.graph.checkpointer is not None
    assert not isinstance(seen.graph.checkpointer, bool)
    newest, first = seen.graph.checkpointer.list(THREAD)
    assert pregel.began_with(first.checkpoint["channel_values"]) == {"word": "given"}
    assert pregel.INTERRUPT in {channel for _, channel, _ in newest.pending_writes or ()}
