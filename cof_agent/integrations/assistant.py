"""The loop as an assistant, a graph for a LangGraph server: a conversation about images."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from cof_agent.images.limits import ImageLimits
from cof_agent.images.store import ImageStore
from cof_agent.integrations.chat_images import each_of
from cof_agent.integrations.langgraph import last_images, last_question, perception_node
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.pregel import keeps_runs
from cof_agent.policies.policy import Policy

__all__ = ["assistant_graph"]


class AssistantQuestion(TypedDict, total=False):
    """In place of a message: a path or URL, or a list of several, and what is asked about it."""

    image: str | list[str] | None
    question: str | None


class AssistantState(MessagesState, AssistantQuestion):
    """The conversation, and how its last question ended."""

    answer: str | None
    """None where there is none, and while it is being looked for."""
    status: str | None
    reason: str | None
    """Why there is no answer."""
    evidence: list[dict[str, Any]]


class AssistantInput(MessagesState, AssistantQuestion):
    """Either is enough."""


def assistant_graph(
    policy: Policy, *, store: ImageStore, limits: ImageLimits | None = None
) -> CompiledStateGraph[AssistantState, FocusConfig, AssistantInput, AssistantState]:
    """A graph that answers questions about images that are sent in messages or named under `image`.

    Several images in one message, or a list under `image`, are asked about together.

    Its final values have the `answer`, the `status`, the `reason` where there is no answer, the `evidence`, and a
    message that shows what was seen. Context: the limits of a question, and whether a person is asked before a zoom.
    With a checkpointer it remembers what it saw. `store` keeps the images; `limits` says what may be opened.
    """

    def eyes(remembers: bool) -> Runnable[Any, dict[str, Any]]:
        return perception_node(
            policy,
            image_key=last_images,
            question_key=last_question,
            reason_key="reason",
            messages_key="messages",
            show_views=True,
            remembers=remembers,
            store=store,
            limits=limits,
        )

    builder = StateGraph(AssistantState, context_schema=FocusConfig, input_schema=AssistantInput)
    builder.add_node("hear", _hear)
    builder.add_node("look", eyes(remembers=True))
    builder.add_node("look_once", eyes(remembers=False))
    builder.add_edge(START, "hear")
    builder.add_conditional_edges("hear", _after_hearing, ["look", "look_once"])
    builder.add_edge("look", END)
    builder.add_edge("look_once", END)
    return builder.compile(name="chain_of_focus")


def _hear(state: AssistantInput) -> dict[str, Any]:
    """What was not said in a message becomes one; how the question before ended is no longer said of this one."""
    blocks: list[str | dict[Any, Any]] = []
    if state.get("image"):
        blocks += [{"type": "image", "url": image} for image in each_of(state["image"])]
    if state.get("question"):
        blocks.append({"type": "text", "text": state["question"]})
    before: dict[str, Any] = {"answer": None, "status": None, "reason": None, "evidence": []}
    return {"messages": [HumanMessage(blocks)] if blocks else [], "image": None, "question": None, **before}


def _after_hearing(state: AssistantState, config: RunnableConfig) -> str:
    """A run of no thread, which a server keeps no checkpoints of, has nothing to remember."""
    return "look" if keeps_runs(config) else "look_once"
