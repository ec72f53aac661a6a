"""Close looking as a node of a LangGraph graph."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from cof_agent.config import FocusConfig
from cof_agent.errors import ConfigError
from cof_agent.graph import build_graph
from cof_agent.images import ImageLimits, open_image
from cof_agent.policies import Policy, load_policy
from cof_agent.state import FocusInput
from cof_agent.store import ImageStore, MemoryStore
from cof_agent.views import keep_original


def perception_node(
    policy: str | Policy | BaseChatModel = "reader",
    *,
    image_key: str = "image",
    question_key: str = "question",
    answer_key: str = "answer",
    status_key: str = "status",
    evidence_key: str = "evidence",
    config: FocusConfig | None = None,
    store: ImageStore | None = None,
    limits: ImageLimits | None = None,
) -> Runnable[Any, dict[str, Any]]:
    """A node for `add_node` that answers a question about an image.

    It reads an image (path, URL, image reference, bytes or PIL image) and a question from the parent's state and
    writes the answer (or None), the status and the evidence (boxes in original upright pixels) back, each under its
    key. The loop runs as a subgraph, so the parent's streaming, checkpointer and tracing see inside.

    Raises ConfigError, naming the key, for state without an image or a question, and ImageError for a bad image.
    """
    images = store if store is not None else MemoryStore()
    graph = build_graph(
        load_policy(policy) if isinstance(policy, str) else policy, config=config, store=images, limits=limits
    )

    def given(state: Any) -> FocusInput:
        image, question = (
            state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)
            for key in (image_key, question_key)
        )
        if image is None or not question:
            raise ConfigError(f"the state needs an image under {image_key!r} and a question under {question_key!r}")
        if not isinstance(image, str | dict):
            image = keep_original(open_image(image, limits=limits), images)
        return FocusInput(image=image, question=question)

    def taken(output: Mapping[str, Any]) -> dict[str, Any]:
        return {
            answer_key: output["answer"],
            status_key: output["status"],
            evidence_key: output["evidence"],
        }

    def look(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return taken(graph.invoke(given(state), config))

    async def alook(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return taken(await graph.ainvoke(await asyncio.to_thread(given, state), config))

    return RunnableLambda(look, alook, name="perception")
