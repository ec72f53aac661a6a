"""A larger agent system: a tool-calling chat model whose eyes are the perception node.

`COF_SUPERVISOR` names the chat model, as PROVIDER:MODEL or script:FILE; it need not see images. Unset, a stand-in that
always looks once. `COF_POLICY`, `COF_IMAGES` and `COF_ROOTS` are those of `chain_of_focus`.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send

from cof_agent import DirectoryStore, FocusConfig, ImageError, ImageLimits, load_policy
from cof_agent.images.limits import named_roots
from cof_agent.integrations.langgraph import Candidates, last_images, perception_node
from cof_agent.integrations.wording import LOOK, PATH, PATHS, QUESTION, takes_several

eyes = load_policy(os.environ.get("COF_POLICY", "reader"))
IMAGE = f"{PATHS if takes_several(eyes) else PATH}; leave it out for the newest image of the conversation"
TASK = (
    "You help with questions about images. You cannot see them yourself: ask look_closely for every fact that an image "
    "has to tell, one fact a call. When it knows, answer the person in your own words; when it does not, say so."
)


@tool(description=LOOK)
def look_closely(
    question: Annotated[str, QUESTION],
    image: Annotated[str | list[str] | None, IMAGE] = None,
) -> str:
    raise NotImplementedError("the node `look` carries it out")


class StandIn(BaseChatModel):
    """Passes the person's question on, and what comes back to the person, so that the graph runs without a model."""

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            said = AIMessage(f"I had a close look: {last.text}")
        else:
            call = {"name": look_closely.name, "args": {"question": last.text}, "id": f"look-{len(messages)}"}
            said = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=said)])

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(**kwargs)


def think(state: MessagesState) -> dict[str, Any]:
    """The chat model's turn. It is sent words alone."""
    seen = [message.model_copy(update={"content": message.text}) for message in state["messages"]]
    return {"messages": [model.invoke([SystemMessage(TASK), *seen])]}


def after_thinking(state: MessagesState) -> list[Send] | str:
    """Each call to the node that answers it, side by side."""
    calls = state["messages"][-1].tool_calls if isinstance(state["messages"][-1], AIMessage) else []
    return [answering(call, state) for call in calls] or END


def answering(call: ToolCall, state: MessagesState) -> Send:
    """What answers a call: a look, or why there is none."""
    if call["name"] != look_closely.name:
        words = f"there is no tool named {call['name']!r}: use {look_closely.name}"
        return Send("refuse", {"words": words, "call": call["id"]})
    named = call["args"].get("image")
    try:
        shown = [] if named else last_images(state)
    except ImageError as error:
        return Send("refuse", {"words": str(error), "call": call["id"]})
    asked = {"question": call["args"].get("question"), "call": call["id"]}
    return Send("look", {"image": named, "shown": list(shown), **asked})


def to_look_at(call: dict[str, Any]) -> Any:
    """The image or images that a call names, or those of the conversation, of which the first that opens is meant."""
    return call["image"] or Candidates(call["shown"])


def refuse(call: dict[str, Any]) -> dict[str, Any]:
    """Answers a call that cannot be carried out."""
    return {"messages": [ToolMessage(call["words"], tool_call_id=call["call"], status="error")]}


spec = os.environ.get("COF_SUPERVISOR")
model = (load_policy(spec).model if spec else StandIn()).bind_tools([look_closely])
look = perception_node(
    eyes,
    image_key=to_look_at,
    answer_key=None,
    status_key=None,
    evidence_key=None,
    messages_key="messages",
    call_key="call",
    show_views=True,
    store=DirectoryStore(os.environ.get("COF_IMAGES", ".langgraph_api/cof_images")),
    limits=ImageLimits(roots=named_roots(os.environ.get("COF_ROOTS"))),
)

builder = StateGraph(MessagesState, context_schema=FocusConfig)
builder.add_node("think", think)
builder.add_node("look", look)
builder.add_node("refuse", refuse)
builder.add_edge(START, "think")
builder.add_conditional_edges("think", after_thinking, ["look", "refuse", END])
builder.add_edge("look", "think")
builder.add_edge("refuse", "think")
graph = builder.compile(name="perception_supervisor")
