"""The loop as a LangGraph state machine: observe → reason ⇄ zoom → answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
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
from cof_agent.loop.state import FocusInput, FocusOutput, FocusState
from cof_agent.loop.wiring import wired
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
    compiled = wired(nodes).compile(checkpointer=checkpointer, name="chain_of_focus")
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
