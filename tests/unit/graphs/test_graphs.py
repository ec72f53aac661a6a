"""The graphs of `langgraph.json`, without a server; `tests/processes/graphs/langgraph_dev.py` has them with one."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from cof_agent import ConfigError, ImageError, read_trajectories
from cof_agent.integrations import wording
from cof_agent.scenes import Split
from cof_agent.scenes.question import Kind, scene_question
from tests.support.conversations import answer, photo, zoom
from tests.support.deployed import CONFIG, ROOT, deployed

pytestmark = pytest.mark.slow

THREAD: Any = {"configurable": {"thread_id": "1"}}
LOOK = zoom(10, 20, 60, 70, label="sign")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def script(monkeypatch: pytest.MonkeyPatch, *turns: Any, variable: str = "COF_POLICY") -> None:
    Path(f"{variable}.json").write_text(json.dumps(turns))
    monkeypatch.setenv(variable, f"script:{variable}.json")


@pytest.fixture
def path(tmp_path: Path) -> str:
    photo().save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.fixture
def message(path: str) -> HumanMessage:
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return HumanMessage(
        [{"type": "text", "text": "What?"}, {"type": "image", "base64": data, "mime_type": "image/png"}]
    )


def shows(message: Any) -> list[str]:
    """The kinds of a message's blocks; its images are there themselves."""
    assert all(base64.b64decode(block["base64"]) for block in message.content if block["type"] == "image")
    return [block["type"] for block in message.content]


# chain_of_focus


def test_the_assistant_takes_a_path_and_then_words(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer("nine"), answer("yes"))
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    first = graph.invoke({"image": path, "question": "Until when?"}, THREAD)
    assert (first["messages"][-1].text, first["status"]) == ("nine", "answered")
    assert shows(first["messages"][-1]) == ["text", "image", "image"]
    second = graph.invoke({"messages": [HumanMessage("Really?")]}, THREAD)
    assert (second["messages"][-1].text, len(second["messages"])) == ("yes", 4)
    assert Path(".langgraph_api/cof_images").is_dir(), "beside the server's own files"


def test_the_assistant_takes_an_image_in_a_message(message: HumanMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer("nine"))
    monkeypatch.setenv("COF_IMAGES", "kept")
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    limits = {"max_zooms": 2, "ask_before_zoom": True}
    (waiting,) = graph.invoke({"messages": [message]}, THREAD, context=limits)["__interrupt__"]
    assert waiting.value["box"] == [9, 20, 60, 71]
    end = graph.invoke(Command(resume={"decision": "approve"}), THREAD, context=limits)
    assert end["messages"][-1].text == "nine"
    assert len(list(Path("kept").iterdir())) == 3


def test_the_assistant_heeds_a_decision_though_the_context_is_not_repeated(
    message: HumanMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, LOOK, answer("nine"))
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    assert "__interrupt__" in graph.invoke({"messages": [message]}, THREAD, context={"ask_before_zoom": True})
    end = graph.invoke(Command(resume={"decision": "reject", "reason": "a private area"}), THREAD)
    assert (end["messages"][-1].text, shows(end["messages"][-1])) == ("nine", ["text", "image"])


def test_the_assistant_answers_without_a_thread(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("nine"))
    end = deployed("chain_of_focus").invoke({"image": path, "question": "Until when?"})
    assert (end["messages"][-1].text, end["status"]) == ("nine", "answered")


def test_the_assistants_door(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("nine"))
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    with pytest.raises(ConfigError, match="there is no image"):
        graph.invoke({"messages": [HumanMessage("Until when?")]}, THREAD)
    with pytest.raises(ConfigError, match="a question under"):
        graph.invoke({"image": path}, {"configurable": {"thread_id": "2"}})
    with pytest.raises(ImageError, match=r"gone\.png"):
        graph.invoke({"image": "gone.png", "question": "?"}, THREAD)
    with pytest.raises(ValueError, match="max_zoms"):
        graph.invoke({"image": path, "question": "?"}, THREAD, context={"max_zoms": 1})


def test_after_a_bad_image_the_assistant_goes_on_with_the_one_before(
    message: HumanMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, answer("nine"), answer("yes"))
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    assert graph.invoke({"messages": [message]}, THREAD)["messages"][-1].text == "nine"
    with pytest.raises(ImageError, match=r"gone\.png does not exist"):
        graph.invoke({"image": "gone.png", "question": "And here?"}, THREAD)
    said = graph.invoke({"messages": [HumanMessage("Really?")]}, THREAD)["messages"][-1].text
    assert said.startswith("yes\n\n(This is about the image before, data URL")
    assert "for the newest cannot be opened: gone.png does not exist" in said


def test_after_a_bad_image_so_does_the_supervisor(message: HumanMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer("nine"))
    bad = HumanMessage([{"type": "text", "text": "And here?"}, {"type": "image", "url": "gone.png"}])
    graph = deployed("perception_supervisor")
    graph.checkpointer = InMemorySaver()
    told = graph.invoke({"messages": [message, bad]}, THREAD)["messages"][-1].text
    assert "No answer (failed): gone.png does not exist" in told
    told = graph.invoke({"messages": [HumanMessage("And before?")]}, THREAD)["messages"][-1].text
    assert told.startswith("I had a close look: nine\n\n(This is about the image before")


def test_the_assistants_final_values_have_the_answer(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer("nine"), "<answer>cannot answer: too dark</answer>")
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    first = graph.invoke({"image": path, "question": "Until when?"}, THREAD)
    assert (first["answer"], first["status"], first["reason"], len(first["evidence"])) == ("nine", "answered", None, 1)
    second = graph.invoke({"messages": [HumanMessage("And here?")]}, THREAD)
    assert (second["answer"], second["status"], second["reason"]) == (None, "declined", "too dark")
    with pytest.raises(ImageError):
        graph.invoke({"image": "gone.png", "question": "And there?"}, THREAD)
    kept = graph.get_state(THREAD).values
    assert (kept["answer"], kept["status"], kept["evidence"]) == (None, None, []), "no answer of another question"
    alone = graph.invoke({"image": path, "question": "Until when?"}, {"configurable": {"thread_id": "2"}})
    assert alone["answer"] == "nine"


def test_its_context_and_input_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("nine"))
    graph = deployed("chain_of_focus")
    assert {"max_zooms", "max_seconds", "ask_before_zoom"} <= set(graph.get_context_jsonschema()["properties"])
    assert set(graph.get_input_jsonschema()["properties"]) == {"messages", "image", "question"}


# perception_supervisor


def test_the_supervisors_stand_in_has_a_look(message: HumanMessage, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer("nine"))
    graph = deployed("perception_supervisor")
    parts = list(graph.stream({"messages": [message]}, stream_mode=["custom", "values"], subgraphs=True))
    assert [part["view"]["index"] for _, mode, part in parts if mode == "custom"] == [0, 1]
    *_, call, seen, said = parts[-1][2]["messages"]
    assert isinstance(call, AIMessage)
    assert isinstance(seen, ToolMessage)
    assert shows(seen) == ["text", "image", "image"]
    assert said.text == "I had a close look: nine"


def test_a_supervisor_of_ones_own_asks_several_things_at_once(
    path: str, message: HumanMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [
        {"name": "look_closely", "args": {"question": "What colour?"}, "id": "a"},
        {"name": "look_closely", "args": {"question": "And there?", "image": "gone.png"}, "id": "b"},
        {"name": "look_closely", "args": {"question": "And here?", "image": path}, "id": "c"},
        {"name": "phone", "args": {}, "id": "d"},
        {"name": "look_closely", "args": {}, "id": "e"},
        {"name": "look_closely", "args": {"question": 5}, "id": "f"},
    ]
    script(monkeypatch, {"tool_calls": questions}, "It is nine.", variable="COF_SUPERVISOR")
    script(monkeypatch, LOOK, answer("nine"))
    end = deployed("perception_supervisor").invoke({"messages": [message]})
    observed = {
        seen.tool_call_id: (seen.status, seen.text) for seen in end["messages"] if isinstance(seen, ToolMessage)
    }
    assert observed["a"] == observed["c"] == ("success", "nine")
    assert observed["b"][0] == "error"
    assert "gone.png does not exist" in observed["b"][1]
    assert observed["d"] == ("error", "there is no tool named 'phone': use look_closely")
    assert observed["e"] == ("error", "No answer (failed): there is no question: pass one question about the image")
    assert observed["f"][0] == "error"
    assert end["messages"][-1].text == "It is nine."


@pytest.mark.parametrize(
    ("images", "says"), [(0, "there is no image: pass its path or URL"), (2, "Ask one question for each image")]
)
def test_what_the_supervisors_model_is_told_without_one_image(
    path: str, images: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, answer("nine"))
    shown = HumanMessage([{"type": "text", "text": "What?"}, *[{"type": "image", "url": path}] * images])
    *_, seen, _ = deployed("perception_supervisor").invoke({"messages": [shown]})["messages"]
    assert (seen.type, seen.status) == ("tool", "error")
    assert says in seen.text
    assert "lambda" not in seen.text


def test_the_supervisors_tool_is_worded_as_at_every_host() -> None:
    deployed("perception_supervisor")
    offered = sys.modules["deployed_perception_supervisor"].look_closely
    assert offered.description == wording.LOOK
    assert offered.tool_call_schema.model_json_schema()["properties"]["question"]["description"] == wording.QUESTION


# COF_ROOTS


def test_files_are_opened_below_the_roots_alone(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("nine"))
    (tmp_path / "inside").mkdir()
    (tmp_path / "other").mkdir()
    inside = Path(shutil.copy(path, tmp_path / "inside"))
    monkeypatch.setenv("COF_ROOTS", f"{tmp_path / 'other'}{os.pathsep}{tmp_path / 'inside'}")
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    assert graph.invoke({"image": str(inside), "question": "?"}, THREAD)["status"] == "answered"
    with pytest.raises(ImageError, match="may not be read"):
        graph.invoke({"image": path, "question": "?"}, {"configurable": {"thread_id": "2"}})
    said = HumanMessage([{"type": "text", "text": "What?"}, {"type": "image", "url": path}])
    *_, seen, _ = deployed("perception_supervisor").invoke({"messages": [said]})["messages"]
    assert "may not be read" in seen.text
    monkeypatch.setenv("COF_ROOTS", "")
    graph = deployed("chain_of_focus")
    graph.checkpointer = InMemorySaver()
    with pytest.raises(ImageError, match="may not be read"):
        graph.invoke({"image": str(inside), "question": "?"}, THREAD)
    monkeypatch.setenv("COF_ROOTS", "nowhere")
    with pytest.raises(ConfigError, match="'nowhere' is no directory"):
        deployed("chain_of_focus")


# search_agent


async def test_the_search_agent_keeps_right_answers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    truths = [scene_question(Split.TRAIN, number, Kind.CHARACTER).answer for number in range(6)]
    script(monkeypatch, LOOK, answer(truths[1]))
    graph = deployed("search_agent")
    wanted = {"count": 5, "limit": 6, "at_once": 4, "resolution": 224}
    end = await graph.ainvoke({}, context=wanted)
    assert [run["number"] for run in end["runs"]] == list(range(6))
    right = [truth == truths[1] for truth in truths]
    assert [run["kept"] for run in end["runs"]] == right
    assert [run.answer for run in read_trajectories("collected")] == [truths[1]] * sum(right)


async def test_the_search_agent_keeps_what_was_rightly_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("cannot answer: there is none"))
    for kind, kept in (("absent", 2), ("colour", 0)):
        wanted = {"benchmark": f"scenes:train:{kind}", "count": 2, "limit": 2, "resolution": 224}
        end = await deployed("search_agent").ainvoke({}, context=wanted)
        assert sum(run["kept"] for run in end["runs"]) == kept


async def test_the_search_agent_stops_when_it_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, LOOK, answer(scene_question(Split.TRAIN, 0, Kind.CHARACTER).answer))
    monkeypatch.setenv("COF_COLLECTED", "kept")
    wanted = {"count": 1, "limit": 6, "at_once": 1, "resolution": 224}
    end = await deployed("search_agent").ainvoke({}, context=wanted)
    assert (end["asked"], len(list(read_trajectories("kept")))) == (1, 1)


async def test_the_search_agent_collects_from_no_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, answer("nine"))
    with pytest.raises(ConfigError, match="counts as a test set"):
        await deployed("search_agent").ainvoke({}, context={"benchmark": "scenes"})


async def test_the_search_agent_opens_files_below_the_roots_alone(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, LOOK, answer("nine"))
    (tmp_path / "inside").mkdir()
    asked = [{"image": image, "question": "Until when?", "answer": "nine"} for image in ("photo.png", path)]
    for name in ("inside/one.jsonl", "outside.jsonl"):
        Path(name).write_text(json.dumps(asked[0]))
    Path("inside/two.jsonl").write_text("\n".join(map(json.dumps, asked)))
    shutil.copy(path, "inside")
    monkeypatch.setenv("COF_ROOTS", str(tmp_path / "inside"))
    graph = deployed("search_agent")

    def wanted(file: str) -> Any:
        return {"benchmark": f"jsonl:train:{file}", "resolution": None}

    end = await graph.ainvoke({}, context=wanted("inside/one.jsonl"))
    assert [run["kept"] for run in end["runs"]] == [True]
    end = await graph.ainvoke({}, context=wanted("inside/two.jsonl"))
    assert [run["number"] for run in end["runs"]] == [0], "a row that leads out of the file's directory is none"
    for file in ("outside.jsonl", "~/x.jsonl"):
        with pytest.raises(ImageError, match=f"{file} may not be read: pass a file below"):
            await graph.ainvoke({}, context=wanted(file))
    with pytest.raises(ConfigError, match="counts as a test set"):
        await graph.ainvoke({}, context={"benchmark": "vstar:/etc"})


# langgraph.json


def test_the_server_installs_what_the_default_policy_needs() -> None:
    here, *packages = json.loads(CONFIG.read_text())["dependencies"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert (here, packages) == (".", extras["reader"]), "langgraph.json takes folders and packages, but no extras"


def test_every_graph_is_registered() -> None:
    assert set(json.loads(CONFIG.read_text())["graphs"]) == {path.stem for path in (ROOT / "graphs").glob("*.py")}
