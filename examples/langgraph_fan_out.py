"""Several questions side by side through one node of a LangGraph graph; the policy is rehearsed."""

from operator import add
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph

from cof_agent import perception_node
from cof_agent.integrations.langgraph import ask_each

HERE = Path(__file__).parent
PHOTO = str(HERE / "images" / "motorcycle.jpg")


class State(TypedDict, total=False):
    questions: list[dict]
    findings: Annotated[list[dict], add]
    report: str


graph = StateGraph(State)
graph.add_node("look", perception_node(f"script:{HERE / 'rehearsed.json'}", findings_key="findings"))
graph.add_node(
    "write", lambda state: {"report": "\n".join(f"{f['question']} {f['answer']}" for f in state["findings"])}
)
graph.add_conditional_edges(START, ask_each("look", otherwise="write"), ["look", "write"])
graph.add_edge("look", "write")

questions = [{"image": PHOTO, "question": text} for text in ("Which brand is it?", "What does the side say?")]
print(graph.compile().invoke({"questions": questions}, {"max_concurrency": 8})["report"])
