"""The loop as an assistant: a conversation about images, sent in messages or named under `image`.

`COF_POLICY` names the policy (default: reader), `COF_IMAGES` the directory that keeps what it was shown, `COF_ROOTS`
the directories below which files may be opened (default: anywhere). Context: the limits of a question, and whether a
person is asked before a zoom.
"""

from __future__ import annotations

import os
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

from cof_agent import DirectoryStore, FocusConfig, ImageLimits, load_policy
from cof_agent.images.limits import named_roots
from cof_agent.integrations.langgraph import last_images, last_question, perception_node
from cof_agent.loop.pregel import keeps_runs


class Question(TypedDict, total=False):
    """In place of a message: a path or URL, and what is asked about it."""

    image: str | None
    question: str | None


class State(MessagesState, Question):
    """The conversation, and how its last question ended."""

    status: str
    evidence: list[dict[str, Any]]


class Input(MessagesState, Question):
    """Either is enough."""


def hear(state: Input) -> dict[str, Any]:
    """What was not said in a message becomes one."""
    blocks: list[str | dict[Any, Any]] = []
    if state.get("image"):
        blocks.append({"type": "image", "url": state["image"]})
    if state.get("question"):
        blocks.append({"type": "text", "text": state["question"]})
    return {"messages": [HumanMessage(blocks)] if blocks else [], "image": None, "question": None}


def after_hearing(state: State, config: RunnableConfig) -> str:
    """A run of no thread, which a server keeps no checkpoints of, has nothing to remember."""
    return "look" if keeps_runs(config) else "look_once"


policy = load_policy(os.environ.get("COF_POLICY", "reader"))
store = DirectoryStore(os.environ.get("COF_IMAGES", ".langgraph_api/cof_images"))
limits = ImageLimits(roots=named_roots(os.environ.get("COF_ROOTS")))


def eyes(remembers: bool) -> Runnable[Any, dict[str, Any]]:
    """The node that answers."""
    return perception_node(
        policy,
        image_key=last_images,
        question_key=last_question,
        answer_key=None,
        messages_key="messages",
        show_views=True,
        remembers=remembers,
        store=store,
        limits=limits,
    )


builder = StateGraph(State, context_schema=FocusConfig, input_schema=Input)
builder.add_node("hear", hear)
builder.add_node("look", eyes(remembers=True))
builder.add_node("look_once", eyes(remembers=False))
builder.add_edge(START, "hear")
builder.add_conditional_edges("hear", after_hearing, ["look", "look_once"])
builder.add_edge("look", END)
builder.add_edge("look_once", END)
graph = builder.compile(name="chain_of_focus")
