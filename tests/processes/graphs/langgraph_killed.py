"""A LangGraph server that is killed in the middle of a run, in a directory that `cof-agent deploy` wrote.

Not part of the suite, as `langgraph_dev.py`; docs/hosts/langgraph.md has the commands. The environment of `LANGGRAPH`
has langchain-openai as well.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from typer.testing import CliRunner

from cof_agent.cli.app import app
from tests.support.conversations import photo
from tests.support.graph_server import graph_server
from tests.support.misbehaving_server import keeps_silent, playing, says
from tests.support.patience import wait_until

ZOOM = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 20, 60, 70], "label": "sign"}}


def flushed(directory: Path) -> dict[str, int]:
    """When the server last wrote each of the files in which it keeps its state: every ten seconds."""
    return {path.name: path.stat().st_mtime_ns for path in (directory / ".langgraph_api").glob(".langgraph_*.pckl")}


def wait_for_flush(directory: Path) -> None:
    before = flushed(directory)
    wait_until(lambda: all(flushed(directory).get(name, 0) > when for name, when in before.items()))


def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    out, log = tmp_path / "out", tmp_path / "log"
    done = CliRunner().invoke(app, ["deploy", str(out), "--policy", "openai:m", "--root", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    asked = {"image": str(tmp_path / "photo.png"), "question": "Until when?"}
    with playing(says("", ZOOM), keeps_silent(), says("nine"), says("", ZOOM), says("ten")) as endpoint:
        variables = {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": endpoint.url}
        with graph_server(out, variables, log) as (client, server):
            thread = client.threads.create()["thread_id"]
            run = client.runs.create(thread, "chain_of_focus", input=asked)["run_id"]
            wait_until(lambda: len(endpoint.requests) == 2)
            for _ in range(2):  # what was begun before the policy was asked again is in the second of two
                wait_for_flush(out)
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        with graph_server(out, variables, log) as (client, server):
            assert [each["run_id"] for each in client.runs.list(thread)] == [run]
            client.runs.join(thread, run)
            end = client.threads.get_state(thread)["values"]
            assert (end["answer"], end["status"], len(end["evidence"])) == ("nine", "answered", 1)
            assert [said["type"] for said in end["messages"]] == ["human", "ai"]
            assert len(endpoint.requests) == 3, "the zoom before is not asked for again"
            assert [each["status"] for each in client.runs.list(thread)] == ["success"]
            again = client.runs.wait(client.threads.create()["thread_id"], "chain_of_focus", input=asked)
            assert again["answer"] == "ten"
