"""Every block of Python on every page runs as pasted, in a directory of its own; only the models are scripted ones.

The few that train are in `test_training_blocks`.
"""

from __future__ import annotations

import ast
import json
import os
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from cof_agent import FocusResult
from tests.support.conversations import answer, zoom
from tests.support.pages import ROOT, TRAINING, Block, blocks

LOOKS = [zoom(340, 320, 390, 350), answer("Yamaha"), answer("no")]
TURNS = {
    "docs/python.md#answers-that-fit-a-schema": [answer('{"number": "1-ABC-234", "country": "BE"}')],
    "docs/python.md#several-images-in-one-question": {
        "turns": [zoom(340, 320, 390, 350, image=1), answer("the second")],
        "profile": {"several_images": True},
    },
    "docs/hosts/langchain.md#langchain": [answer("yes")],
    "docs/hosts/smolagents.md#smolagents": [answer("yes")],
}
"""What the policy says, where that is not to look once, say Yamaha, and then no."""

Names = dict[str, Any]


def langchain_model() -> object:
    from cof_agent.policies.script import ScriptedModel

    look = {"image": "photo.jpg", "question": "Does it say Yamaha?"}
    return ScriptedModel(
        turns=[AIMessage("", tool_calls=[{"name": "look_closely", "args": look, "id": "1"}]), AIMessage("It does.")]
    )


def smolagents_model() -> object:
    from smolagents import ChatMessage, MessageRole, Model

    class Rehearsed(Model):
        def generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatMessage:
            code = 'final_answer(look_closely(image=photo, question="Does it say Yamaha?"))'
            return ChatMessage(role=MessageRole.ASSISTANT, content=f"<code>\n{code}\n</code>")

    return Rehearsed()


MODELS = {
    "docs/hosts/langchain.md#langchain": ('"openai:gpt-4.1-mini"', langchain_model),
    "docs/hosts/smolagents.md#smolagents": ("InferenceClientModel()", smolagents_model),
}
"""Which model of a block needs a key, and what stands for it."""


def own_benchmark() -> None:
    from cof_agent.evaluation import evaluate

    row = {"image": "photo.jpg", "question": "Does it say Yamaha?", "answer": "Yamaha"}
    Path("mine.jsonl").write_text(json.dumps(row))
    evaluate("jsonl:mine.jsonl", "script:script.json", mode="direct", resolutions=[448, "native"], out="direct")


BEFORE: dict[str, Callable[[], None]] = {"docs/evaluate.md#in-python": own_benchmark}
"""What a reader has done before."""


def asked(names: Names, printed: str) -> None:
    assert isinstance(names["event"], FocusResult)
    assert (names["result"].answer, len(names["result"].views)) == ("Yamaha", 2)


def many(names: Names, printed: str) -> None:
    assert [result.answer for result in names["results"]] == ["Yamaha", "Yamaha"]


def of_two(names: Names, printed: str) -> None:
    (item,) = names["result"].evidence
    assert (item.image_index, printed) == (1, f"b.jpg {item.box}\n")


def plate(names: Names, printed: str) -> None:
    assert names["plate"] == names["Plate"](number="1-ABC-234", country="BE")


def kept(names: Names, printed: str) -> None:
    assert [run.answer for run in names["runs"]] == ["Yamaha", "no"]
    assert len(list(Path("images").iterdir())) == 3


def terse(names: Names, printed: str) -> None:
    dialect, profile = names["DIALECT"], names["PROFILE"]
    (call,) = dialect.parse(AIMessage("It is small. LOOK 1 2 30 40")).calls
    assert (call.name, call.args, call.error) == ("image_zoom_in_tool", {"bbox_2d": [1, 2, 30, 40]}, None)
    assert dialect.parse(AIMessage("I see. SAY 42")).answer == "42"
    assert dialect.parse(AIMessage("Hm.")).calls == ()
    system, asked = dialect.render([HumanMessage("Which?")], profile, tools=True)
    assert (system.text, asked.text) == (profile.prompts.task, "Which?")


def evaluated(names: Names, printed: str) -> None:
    assert names["summary"].cells[0].accuracy.value == 1.0
    assert Path("comparison/comparison.html").exists() or list(Path("comparison").iterdir())


def a_node_that_streams(left: Names, out: str) -> None:
    overview, closer, failed = out.splitlines()
    assert overview == "view 0, overview: [0, 0, 741, 500] shown at 728x504 (728, 504)"
    assert closer.startswith("view 1, zoom: ")
    assert closer.endswith("shown at 168x84 (168, 84)")
    assert failed == "failed gone.jpg does not exist: check the path"


def a_node(names: Names, printed: str) -> None:
    assert names["end"]["answer"] == "Yamaha"
    assert printed.startswith("Yamaha answered [{'view': 1")


def a_conversation(names: Names, printed: str) -> None:
    said = ["human Does it say Yamaha?", "ai Yamaha", "human Does it say Honda?", "ai no"]
    assert printed.splitlines() == said
    assert len(list(Path("images").iterdir())) == 3


def many_questions(names: Names, printed: str) -> None:
    said = ["Does it say Yamaha? answered Yamaha None", "Does it say Honda? answered Yamaha None"]
    assert printed.splitlines() == said


def a_person(names: Names, printed: str) -> None:
    assert names["end"]["evidence"]
    assert printed.splitlines()[1:] == ["Yamaha"]


def a_person_from_python(names: Names, printed: str) -> None:
    assert (names["end"].answer, printed.startswith("zoom into [")) == ("Yamaha", True)


def a_tool(names: Names, printed: str) -> None:
    *_, looked, _ = names["end"]["messages"]
    assert (looked.content, printed) == ("yes", "It does.\n")


def a_native_tool(names: Names, printed: str) -> None:
    assert names["said"] == "yes"


def a_server(names: Names, printed: str) -> None:
    assert printed.startswith("Yamaha ['text', 'text', 'image'")


def a_page(names: Names, printed: str) -> None:
    assert printed.splitlines() == ["Yamaha 1", "(3088, 2083) 1"]


def an_object(names: Names, printed: str) -> None:
    assert printed == "Yamaha\n"


def a_scene(names: Names, printed: str) -> None:
    assert Path("part.png").exists()
    assert names["question"].answer


def rewards(names: Names, printed: str) -> None:
    call, _, said = names["_source"].strip().splitlines()[-1].partition("  # ")
    assert eval(call, names) == ast.literal_eval(said)


def looked_at(left: Names, printed: str) -> None:
    assert left["region"].size == (1000, 800)


AFTER: dict[str, Callable[[Names, str], None]] = {
    "docs/large.md#large-pictures": looked_at,
    "README.md#python": asked,
    "docs/python.md#python": asked,
    "docs/python.md#many-questions-at-once": many,
    "docs/python.md#several-images-in-one-question": of_two,
    "docs/python.md#answers-that-fit-a-schema": plate,
    "docs/python.md#keep-runs-and-their-images": kept,
    "docs/dialects.md#add-a-dialect": terse,
    "docs/sources.md#pdf": a_page,
    "docs/sources.md#your-own": an_object,
    "docs/evaluate.md#in-python": evaluated,
    "docs/hosts/langgraph.md#a-node-of-your-graph": a_node,
    "docs/hosts/langgraph.md#a-node-of-your-graph:2": a_node_that_streams,
    "docs/hosts/langgraph.md#in-a-conversation": a_conversation,
    "docs/hosts/langgraph.md#many-questions": many_questions,
    "docs/hosts/langgraph.md#a-person-in-the-loop": a_person,
    "docs/hosts/langgraph.md#a-person-in-the-loop:2": a_person_from_python,
    "docs/hosts/langchain.md#langchain": a_tool,
    "docs/hosts/smolagents.md#smolagents": a_native_tool,
    "docs/hosts/mcp.md#mcp": a_server,
    "docs/learning/rewards.md#rewards": rewards,
    "docs/scenes.md#scenes": a_scene,
}
"""What must hold then: the block's names, and what it printed."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos, and the command `cof-agent` of this checkout, whose policy is scripted."""
    for name in ("photo", "car", "a", "b"):
        shutil.copy(ROOT / "examples" / "images" / "motorcycle.jpg", tmp_path / f"{name}.jpg")
    command = tmp_path / "bin" / "cof-agent"
    command.parent.mkdir()
    command.write_text(
        f"#!/bin/sh\nCOF_POLICY=script:{tmp_path}/script.json PYTHONPATH={ROOT} exec {sys.executable} -c "
        """'from cof_agent.cli import main; main()' "$@"\n"""
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "block", [block for block in blocks("python") if block.id not in TRAINING], ids=lambda block: block.id
)
def test_it_runs_as_pasted(block: Block, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "script.json").write_text(json.dumps(TURNS.get(block.id, LOOKS)))
    code, names = block.code.replace('"reader"', '"script:script.json"'), Names()
    if block.id in MODELS:
        needs_a_key, make = MODELS[block.id]
        assert code.count(needs_a_key) == 1
        code, names = code.replace(needs_a_key, "scripted"), {"scripted": make()}
    BEFORE.get(block.id, lambda: None)()
    capfd.readouterr()
    (home / "pasted.py").write_text(code)
    left = runpy.run_path("pasted.py", names)
    AFTER[block.id](left | {"_source": code}, capfd.readouterr().out)
