"""Close looking as a node of a LangGraph graph (needs the extra `reader`)."""

from pathlib import Path
from typing import TypedDict

from langgraph.graph import StateGraph

from cof_agent import perception_node


class State(TypedDict, total=False):
    image: str
    question: str
    answer: str | None
    status: str
    evidence: list[dict]
    report: str


graph = StateGraph(State)
graph.add_node("look", perception_node("reader"))
graph.add_node("write", lambda state: {"report": f"{state['question']} {state['answer'] or state['status']}"})
graph.add_edge("look", "write")
graph.set_entry_point("look")

photo = Path(__file__).parent / "images" / "motorcycle.jpg"
print(graph.compile().invoke({"image": str(photo), "question": "Does the motorcycle say Yamaha?"})["report"])
