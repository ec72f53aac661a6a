"""What the README says of LangGraph, run as it stands there, but for the policy."""

from __future__ import annotations

import json
import re
import shutil
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from cof_agent import ChainOfFocus, DirectoryStore, FocusConfig, FocusResult, perception_node
from tests.conversations import answer, zoom

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("\n#### LangGraph\n")[2].partition("\n#### ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.S)


class State(TypedDict, total=False):
    photo: str
    wish: str
    question: str
    answer: str | None
    evidence: list[dict[str, Any]]


class Album(TypedDict, total=False):
    questions: list[dict[str, Any]]
    findings: Annotated[list[dict[str, Any]], add]


@pytest.fixture(autouse=True)
def beside_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "images" / "motorcycle.jpg", "photo.jpg")
    Path("script.json").write_text(json.dumps([zoom(340, 320, 390, 350), answer("Yamaha")]))


def run(number: int) -> dict[str, Any]:
    names: dict[str, Any] = {
        "State": State, "Album": Album, "MessagesState": MessagesState, "StateGraph": StateGraph, "START": START,
        "END": END, "Command": Command, "InMemorySaver": InMemorySaver, "ChainOfFocus": ChainOfFocus,
        "FocusConfig": FocusConfig, "DirectoryStore": DirectoryStore, "perception_node": perception_node,
    }  # fmt: skip
    assert '"reader"' in BLOCKS[number]
    exec(BLOCKS[number].replace('"reader"', '"script:script.json"'), names)
    return names


def test_a_node() -> None:
    assert run(0)["end"]["answer"] == "Yamaha"


def test_in_a_conversation() -> None:
    app = run(1)["graph"].compile(checkpointer=InMemorySaver())
    said = HumanMessage([{"type": "text", "text": "Which brand?"}, {"type": "image", "url": "photo.jpg"}])
    end = app.invoke({"messages": [said]}, {"configurable": {"thread_id": "1"}})
    assert end["messages"][-1].text == "Yamaha"


def test_many_questions() -> None:
    assert [(item["question"], item["answer"]) for item in run(2)["found"]] == [
        ("Which brand is it?", "Yamaha"), ("Is it new?", "Yamaha"),
    ]  # fmt: skip
    assert len(list(Path("images").iterdir())) == 3


def test_a_person_in_the_loop() -> None:
    names = run(3)
    assert (names["request"]["ask"], names["end"]["answer"]) == ("zoom", "Yamaha")
    assert names["end"]["evidence"][0]["box"] != names["request"]["region"], "enlarged once more"


def test_a_person_from_python() -> None:
    end = run(4)["end"]
    assert isinstance(end, FocusResult)
    assert (end.answer, len(BLOCKS)) == ("Yamaha", 5)
