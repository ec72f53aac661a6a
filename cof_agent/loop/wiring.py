"""The nodes and edges of the loop, and where each node leads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any, Literal, TypeAlias

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import START, StateGraph

from cof_agent.loop.config import FocusConfig
from cof_agent.loop.nodes import Nodes
from cof_agent.loop.reply import AskAgain, Look, left_in
from cof_agent.loop.state import FocusInput, FocusOutput, FocusState
from cof_agent.loop.transcript import pending_calls

Work: TypeAlias = Callable[[FocusState, RunnableConfig], dict[str, Any]]


def wired(nodes: Nodes) -> StateGraph[FocusState, FocusConfig, FocusInput, FocusOutput]:
    """The graph with its nodes, yet to be compiled."""
    graph = copy(_without_nodes())
    steps = {"observe": Step(nodes.observe), "zoom": Step(nodes.zoom), "answer": Step(nodes.answer)}
    steps["reason"] = AsyncStep(nodes.reason, nodes.areason)
    graph.nodes = {name: replace(spec, runnable=steps[name]) for name, spec in graph.nodes.items()}
    return graph


@cache
def _without_nodes() -> StateGraph[FocusState, FocusConfig, FocusInput, FocusOutput]:
    """The graph with its edges, made once: LangGraph takes 10 ms to read its types and functions."""
    graph = StateGraph(FocusState, FocusConfig, input_schema=FocusInput, output_schema=FocusOutput)
    for name in ("observe", "reason", "zoom", "answer"):
        graph.add_node(name, Step(_unset))
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "reason")
    graph.add_conditional_edges("reason", after_reason)
    graph.add_conditional_edges("zoom", after_zoom)
    graph.add_conditional_edges("answer", after_answer)
    return graph


def _unset(state: FocusState, config: RunnableConfig) -> dict[str, Any]:
    """Holds the place of a node, which `wired` puts there."""
    raise AssertionError("a graph without its nodes was run")


class Step(Runnable[FocusState, dict[str, Any]]):
    """A node. LangGraph disassembles a bare function each time it compiles a graph."""

    def __init__(self, work: Work) -> None:
        self.name, self.work = work.__name__, work

    def invoke(self, input: FocusState, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        return self.work(input, config or {})


class AsyncStep(Step):
    """A node with an asyncio form of its own. LangChain's RunnableLambda costs more than it."""

    def __init__(
        self, work: Work, in_asyncio: Callable[[FocusState, RunnableConfig], Awaitable[dict[str, Any]]]
    ) -> None:
        super().__init__(work)
        self.in_asyncio = in_asyncio

    async def ainvoke(self, input: FocusState, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        return await self.in_asyncio(input, config or {})


def after_reason(state: FocusState) -> Literal["reason", "zoom", "answer"]:
    """Where the decision of `reply.decide` leads, read from what it left in state."""
    following = left_in(state)
    return "zoom" if following is Look else "reason" if following is AskAgain else "answer"


def after_zoom(state: FocusState) -> Literal["zoom", "reason"]:
    """One call a step, in order; then the policy's next turn."""
    return "zoom" if pending_calls(state["messages"]) else "reason"


def after_answer(state: FocusState) -> Literal["reason", "__end__"]:
    """Over, unless a person has let the policy try again."""
    return "__end__" if state.get("status") else "reason"
