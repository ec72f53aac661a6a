"""The graphs under `langgraph dev`, asked by LangGraph's own client. Not part of the suite, for the server wants an
older protobuf; docs/hosts/langgraph.md has the commands that make its environment and run this. `LANGGRAPH` names the
server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import SyncLangGraphClient

from cof_agent import read_trajectories
from tests.support.conversations import answer, photo, zoom
from tests.support.deployed import CONFIG, ROOT
from tests.support.graph_server import graph_server

TURNS = [zoom(10, 20, 60, 70, label="sign"), answer("nine"), answer("yes")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    photo().save(made / "photo.png")
    (made / "script.json").write_text(json.dumps(TURNS))
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[SyncLangGraphClient]:
    variables = {
        "COF_POLICY": f"script:{folder / 'script.json'}",
        "COF_IMAGES": str(folder / "images"),
        "COF_COLLECTED": str(folder / "collected"),
    }
    with graph_server(ROOT, variables, folder / "log", "--config", str(CONFIG)) as (client, _):
        yield client


@pytest.fixture
def thread(client: SyncLangGraphClient) -> str:
    return client.threads.create()["thread_id"]


def message(folder: Path, words: str = "Until when?") -> dict[str, Any]:
    data = base64.b64encode((folder / "photo.png").read_bytes()).decode()
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    return {"role": "user", "content": [{"type": "text", "text": words}, shown]}


def shows(said: dict[str, Any]) -> list[str]:
    assert all(base64.b64decode(block["base64"]) for block in said["content"] if block["type"] == "image")
    return [block["type"] for block in said["content"]]


def test_the_assistant_answers_and_shows_what_it_saw(client: SyncLangGraphClient, thread: str, folder: Path) -> None:
    given = {"image": str(folder / "photo.png"), "question": "Until when?"}
    values = client.runs.wait(thread, "chain_of_focus", input=given)
    assert (values["answer"], values["status"]) == ("nine", "answered")
    first = values["messages"][-1]
    assert (first["content"][0]["text"], shows(first)) == ("nine", ["text", "image", "image"])
    again = {"messages": [{"role": "user", "content": "Really?"}]}
    second = client.runs.wait(thread, "chain_of_focus", input=again)["messages"][-1]
    assert (second["content"][0]["text"], shows(second)) == ("yes", ["text", "image", "image"])


def test_it_streams_each_view_and_waits_for_a_person(client: SyncLangGraphClient, thread: str, folder: Path) -> None:
    limits: Any = {"ask_before_zoom": True}
    parts = client.runs.stream(
        thread, "chain_of_focus", input={"messages": [message(folder)]}, context=limits, stream_mode=["custom"],
        stream_subgraphs=True,
    )  # fmt: skip
    assert [part.data["view"]["kind"] for part in parts if part.event.startswith("custom")] == ["overview"]
    (waiting,) = client.threads.get_state(thread)["interrupts"]
    assert waiting["value"]["box"] == [9, 20, 60, 71]
    decision: Any = {"resume": {"decision": "edit", "box": [300, 200, 400, 300]}}
    end = client.runs.wait(thread, "chain_of_focus", command=decision, context=limits)
    x1, y1, x2, y2 = end["evidence"][0]["box"]
    assert (x1 <= 300, y1 <= 200, x2 >= 400, y2 >= 300) == (True,) * 4
    assert end["messages"][-1]["content"][0]["text"] == "nine"


def test_a_decision_counts_though_the_context_is_not_repeated(
    client: SyncLangGraphClient, thread: str, folder: Path
) -> None:
    limits: Any = {"ask_before_zoom": True}
    client.runs.wait(thread, "chain_of_focus", input={"messages": [message(folder)]}, context=limits)
    assert client.threads.get_state(thread)["interrupts"]
    decision: Any = {"resume": {"decision": "reject", "reason": "a private area"}}
    end = client.runs.wait(thread, "chain_of_focus", command=decision)
    assert end["evidence"] == []
    assert shows(end["messages"][-1]) == ["text", "image"]


def test_an_assistant_with_limits_of_its_own(client: SyncLangGraphClient, folder: Path) -> None:
    hasty = client.assistants.create("chain_of_focus", context={"max_zooms": 0})
    schema = client.assistants.get_schemas(hasty["assistant_id"])["context_schema"]
    assert schema is not None
    assert {"max_zooms", "ask_before_zoom"} <= set(schema["properties"])
    end = client.runs.wait(None, hasty["assistant_id"], input={"messages": [message(folder)]})
    assert end["evidence"] == []
    assert shows(end["messages"][-1]) == ["text", "image"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"image": "/nowhere.png", "question": "?"}, "ImageError: /nowhere.png does not exist: check the path"),
        ({"messages": [{"role": "user", "content": "hello"}]}, "QuestionError: there is no image"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "data:,x"}]}]},
            "QuestionError: .*quest",
        ),
    ],
)
def test_bad_input_is_an_error_of_the_run(client: SyncLangGraphClient, thread: str, given: Any, why: str) -> None:
    with pytest.raises(Exception, match=why):
        client.runs.wait(thread, "chain_of_focus", input=given)
    assert client.runs.list(thread)[0]["status"] == "error"


def test_one_bad_image_does_not_stop_a_conversation(client: SyncLangGraphClient, thread: str, folder: Path) -> None:
    client.runs.wait(thread, "chain_of_focus", input={"messages": [message(folder)]})
    with pytest.raises(Exception, match=r"/nowhere\.png does not exist"):
        client.runs.wait(thread, "chain_of_focus", input={"image": "/nowhere.png", "question": "And here?"})
    again = {"messages": [{"role": "user", "content": "Really?"}]}
    said = client.runs.wait(thread, "chain_of_focus", input=again)["messages"][-1]["content"][0]["text"]
    assert said.startswith("yes\n\n(This is about the image before, data URL")
    assert "/nowhere.png does not exist" in said


def test_the_supervisor_has_a_look(client: SyncLangGraphClient, thread: str, folder: Path) -> None:
    end = client.runs.wait(thread, "perception_supervisor", input={"messages": [message(folder)]})
    kinds = [said["type"] for said in end["messages"]]
    assert kinds == ["human", "ai", "tool", "ai"]
    assert shows(end["messages"][2]) == ["text", "image", "image"]
    assert end["messages"][-1]["content"] == "I had a close look: nine"


def test_the_search_agent_keeps_what_is_right(client: SyncLangGraphClient, thread: str, folder: Path) -> None:
    wanted: Any = {"count": 1, "limit": 24, "at_once": 4, "resolution": 224}
    end = client.runs.wait(thread, "search_agent", input={}, context=wanted)
    kept = [run for run in end["runs"] if run["kept"]]
    assert kept
    assert len(list(read_trajectories(folder / "collected"))) == len(kept)


def test_nothing_blocked_the_servers_loop(client: SyncLangGraphClient, folder: Path) -> None:
    assert "BlockingError" not in (folder / "log").read_text()
