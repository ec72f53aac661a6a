"""The loop as a LangGraph state machine: observe → reason ⇄ zoom → answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from cof_agent.dialects.registry import default_profile
from cof_agent.errors import ConfigError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.views import RegionPixels
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.nodes import Nodes
from cof_agent.loop.overview import holds_secret, without_secret
from cof_agent.loop.reply import AskAgain, Look, left_in
from cof_agent.loop.state import FocusInput, FocusOutput, FocusState
from cof_agent.loop.transcript import pending_calls
from cof_agent.policies.policy import Policy


class FocusGraph(CompiledStateGraph[FocusState, FocusConfig, FocusInput, FocusOutput]):
    """The compiled loop.

    LangGraph checkpoints what a run is given before any node sees it. So an image whose address holds a password or a
    key, or the image itself, is opened before that, and the run is given its reference.
    """

    def __init__(self, *, opener: Callable[[Any], dict[str, Any]], **compiled: Any) -> None:
        """`opener` makes the reference of an image; `compiled` is what LangGraph has made of the builder."""
        super().__init__(**compiled)
        self.opener = opener

    def stream(self, input: Any, *args: Any, **options: Any) -> Iterator[Any]:
        if not _holds_secret(input):
            return super().stream(input, *args, **options)
        return self._stream_opened(input, *args, **options)

    def astream(self, input: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        if not _holds_secret(input):
            return super().astream(input, *args, **options)
        return self._astream_opened(input, *args, **options)

    def _stream_opened(self, input: dict[str, Any], *args: Any, **options: Any) -> Iterator[Any]:
        given: Any = input | {"image": self.opener(input["image"])}
        yield from super().stream(given, *args, **options)

    async def _astream_opened(self, input: dict[str, Any], *args: Any, **options: Any) -> AsyncIterator[Any]:
        given: Any = input | {"image": await asyncio.to_thread(self.opener, input["image"])}
        parts: Any = super().astream(given, *args, **options)
        async with aclosing(parts):
            async for part in parts:
                yield part


def _holds_secret(input: Any) -> bool:
    return isinstance(input, dict) and holds_secret(input.get("image"))


def build_graph(
    policy: Policy | BaseChatModel,
    *,
    config: FocusConfig | None = None,
    store: ImageStore | None = None,
    limits: ImageLimits | None = None,
    checkpointer: Checkpointer = None,
    region_pixels: RegionPixels | None = None,
) -> FocusGraph:
    """Compile the loop for a policy; a bare chat model gets the profile of provider-native tool calls.

    `config` holds the limits of a run (the graph's `context` replaces it for one run), `store` the images that
    messages refer to (default: a new memory store), `limits` what `open_image` accepts. `region_pixels` replaces what
    regions show, to test whether a policy uses them. Streams a custom event
    `{"type": "view", "view": …, "thought": …}` for each view.
    """
    nodes = Nodes(
        as_policy(policy),
        FocusConfig.parse(config),
        store if store is not None else MemoryStore(),
        limits or ImageLimits(),
        region_pixels,
    )
    graph = StateGraph(FocusState, FocusConfig, input_schema=FocusInput, output_schema=FocusOutput)
    graph.add_node("observe", nodes.observe)
    graph.add_node("reason", _Reason(nodes))
    graph.add_node("zoom", nodes.zoom)
    graph.add_node("answer", nodes.answer)
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "reason")
    graph.add_conditional_edges("reason", after_reason)
    graph.add_conditional_edges("zoom", after_zoom)
    graph.add_conditional_edges("answer", after_answer)
    compiled = graph.compile(checkpointer=checkpointer, name="chain_of_focus")
    opener = partial(without_secret, store=nodes.store, limits=nodes.limits)
    return FocusGraph(opener=opener, **{name: part for name, part in vars(compiled).items() if name[:2] != "__"})


def as_policy(policy: Policy | BaseChatModel) -> Policy:
    """A bare chat model as a policy of provider-native tool calls. Raises ConfigError for anything else."""
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, BaseChatModel):
        raise ConfigError(
            f"a policy is a Policy (load_policy makes one) or a LangChain chat model, not {type(policy).__name__}; "
            "set options on the model itself rather than with bind()"
        )
    return Policy(policy, default_profile("native"), policy._llm_type)


class _Reason(Runnable[FocusState, dict[str, Any]]):
    """The node that asks the policy, with an asyncio form of its own. LangChain's RunnableLambda costs more than it."""

    def __init__(self, nodes: Nodes) -> None:
        self.name, self.nodes = "reason", nodes

    def invoke(self, input: FocusState, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        return self.nodes.reason(input, config or {})

    async def ainvoke(self, input: FocusState, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        return await self.nodes.areason(input, config or {})


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
