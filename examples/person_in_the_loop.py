"""A person decides before each zoom, inside of a LangGraph graph; policy and person are rehearsed."""

from pathlib import Path
from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.types import Command

from cof_agent import FocusConfig, perception_node

HERE = Path(__file__).parent


class State(TypedDict, total=False):
    image: str
    question: str
    answer: str | None
    evidence: list[dict]


graph = StateGraph(State)
graph.add_node("look", perception_node(f"script:{HERE / 'rehearsed.json'}", config=FocusConfig(ask_before_zoom=True)))
graph.set_entry_point("look")
app, thread = graph.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": "1"}}

waits = app.invoke({"image": str(HERE / "images" / "motorcycle.jpg"), "question": "Which brand is it?"}, thread)
request = waits["__interrupt__"][0].value
print(f"May I look at {request['box']} (“{request['label']}”)?")
print("No, look further left.")
end = app.invoke(Command(resume={"decision": "edit", "box": [326, 307, 410, 365]}), thread)
print(f"{end['answer']}, seen in {end['evidence'][0]['box']}")
