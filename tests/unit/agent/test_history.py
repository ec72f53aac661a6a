"""`cof-agent history`: what a checkpointer kept, listed and saved."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from typer.testing import CliRunner

from cof_agent import DirectoryStore, FocusConfig, build_graph, read_trajectories
from cof_agent.agent.history import Standing, kept_runs, sqlite_runs
from cof_agent.cli.app import app
from cof_agent.loop.state import Status
from tests.support.conversations import answer, photo, scripted, zoom

DATA = Path(__file__).parents[2] / "data"
THREAD: Any = {"configurable": {"thread_id": "sign"}}


def history(*words: object):
    return CliRunner().invoke(app, ["history", *map(str, words)])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(DATA / "schema1_images", tmp_path / "images")
    return Path(shutil.copy(DATA / "schema1.sqlite", tmp_path / "runs.db"))


def test_questions_are_listed_in_their_order(old: Path) -> None:
    done = history(old)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ended: What is the number? answered: 42",
        "ended: Who wrote it? declined: it is too dark",
        "half: What is the number? unfinished",
    ]


def test_one_thread_as_json(old: Path) -> None:
    done = history(old, "--thread", "half", "--json")
    assert json.loads(done.stdout) == {
        "thread": "half", "node": "", "question": "What is the number?", "standing": "unfinished",
        "answer": None, "message": None, "zooms": None, "finished": None,
    }  # fmt: skip


def test_what_has_ended_is_saved_with_its_images(old: Path, tmp_path: Path) -> None:
    done = history(old, "--save", tmp_path / "saved")
    assert done.stderr.splitlines()[1:] == [f"2 of 3 saved to {tmp_path / 'saved'}"]
    runs = list(read_trajectories(tmp_path / "saved"))
    assert [(run.question, run.answer) for run in runs] == [("What is the number?", "42"), ("Who wrote it?", None)]
    images = DirectoryStore(tmp_path / "saved" / "images")
    assert all(ref in images for run in runs for ref in run.image_refs)


def test_images_that_are_elsewhere(old: Path, tmp_path: Path) -> None:
    (tmp_path / "images").rename(tmp_path / "pictures")
    done = history(old, "--save", tmp_path / "saved")
    assert done.exit_code == 1
    assert "is not in DirectoryStore" in done.stderr
    assert history(old, "--save", tmp_path / "saved", "--images", tmp_path / "pictures").exit_code == 0


def test_what_is_there_already_is_not_saved_twice(old: Path, tmp_path: Path) -> None:
    history(old, "--save", tmp_path / "saved", "--thread", "ended")
    before = (tmp_path / "saved" / "trajectories.jsonl").read_bytes()
    done = history(old, "--save", tmp_path / "saved")
    assert done.exit_code == 0
    assert done.stderr.splitlines()[1:] == [f"0 of 3 saved to {tmp_path / 'saved'}, 2 were there already"]
    assert (tmp_path / "saved" / "trajectories.jsonl").read_bytes() == before


def test_one_run_without_its_images_does_not_stop_the_others(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "images")
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        graph = build_graph(scripted(answer("42")), store=store, checkpointer=saver)
        for name, width in (("gone", 320), ("kept", 280)):
            photo(width, 240).save(tmp_path / f"{name}.png")
            asked: Any = {"image": str(tmp_path / f"{name}.png"), "question": f"{name}?"}
            graph.invoke(asked, {"configurable": {"thread_id": name}})
            if name == "gone":
                store.prune(keep=())
    done = history(tmp_path / "runs.db", "--save", tmp_path / "saved")
    assert done.exit_code == 1
    assert "is not in DirectoryStore" in done.stderr
    assert f"1 of 2 saved to {tmp_path / 'saved'}" in done.stderr
    assert [run.question for run in read_trajectories(tmp_path / "saved")] == ["kept?"]


def test_a_thread_that_is_not_there(old: Path) -> None:
    done = history(old, "--thread", "zzz")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no question of a thread 'zzz'" in done.stderr


def test_a_run_that_waits_and_both_endings_of_one_that_was_gone_back_to(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    policy, config = scripted(zoom(10, 10, 60, 60), answer("42")), FocusConfig(ask_before_zoom=True)
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        graph = build_graph(policy, config=config, store=DirectoryStore(tmp_path / "images"), checkpointer=saver)
        graph.invoke({"image": str(tmp_path / "photo.png"), "question": "What is it?"}, THREAD)
        assert [run.standing for run in kept_runs(saver)] == [Standing.WAITING]
        graph.invoke(Command(resume={"decision": "approve"}), THREAD)
        before = next(state for state in graph.get_state_history(THREAD) if state.next == ("zoom",))
        graph.invoke(None, before.config)
        graph.invoke(Command(resume={"decision": "edit", "box": [300, 200, 400, 300]}), THREAD)
    with sqlite_runs(tmp_path / "runs.db") as saver:
        runs = [run.trajectory for run in kept_runs(saver)]
    labels = [run.views[1].label for run in runs if run is not None]
    assert labels == [None, "chosen by a person"]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_second_question_whose_policy_failed_is_there_once(tmp_path: Path, earlier: bool) -> None:
    photo().save(tmp_path / "photo.png")
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        graph = build_graph(scripted(answer("42")), store=DirectoryStore(tmp_path / "images"), checkpointer=saver)
        graph.invoke({"image": str(tmp_path / "photo.png"), "question": "What is it?"}, THREAD)
        ended = graph.get_state(THREAD).values["finished"]
        given: Any = {"question": "Really?"}
        graph.invoke(given, THREAD, interrupt_after=["reason"])
        between = graph.get_state(THREAD).values
        assert (between["status"], between["finished"]) == ("failed", None)
        assert [run.standing for run in kept_runs(saver)] == [Standing.ANSWERED, Standing.UNFINISHED]
        if earlier:  # as versions before wrote it
            graph.update_state(THREAD, {"finished": ended}, as_node="reason")
            assert [run.standing for run in kept_runs(saver)] == [Standing.ANSWERED, Standing.UNFINISHED]
        graph.invoke(None, THREAD)
    done = history(tmp_path / "runs.db", "--save", tmp_path / "saved")
    assert done.stdout.count("Really?") == 1
    assert "2 of 2 saved" in done.stderr
    runs = list(read_trajectories(tmp_path / "saved"))
    assert [(run.question, run.status) for run in runs] == [("What is it?", "answered"), ("Really?", "failed")]
    assert all(run.started <= run.finished for run in runs)


def test_every_way_to_end_is_a_standing() -> None:
    assert {Standing(status) for status in Status} == set(Standing) - {Standing.WAITING, Standing.UNFINISHED}


@pytest.mark.parametrize("content", [None, b"not a database at all, but long enough to look like one" * 9, b""])
def test_what_is_no_file_of_checkpoints(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "runs.db"
    if content is not None:
        path.write_bytes(content)
    done = history(path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert str(path) in done.stderr
    assert "SqliteSaver" in done.stderr
    assert path.exists() == (content is not None), "nothing is made"


def test_nothing_is_written_to_the_file(old: Path) -> None:
    before = old.read_bytes()
    old.chmod(0o444)
    assert history(old).exit_code == 0
    assert old.read_bytes() == before


def test_a_foreign_graph_is_passed_over(tmp_path: Path) -> None:
    from langgraph.graph import START, MessagesState, StateGraph

    builder = StateGraph(MessagesState)
    builder.add_node("say", lambda state: {"messages": ["hello"]})
    builder.add_edge(START, "say")
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        builder.compile(checkpointer=saver).invoke({"messages": []}, THREAD)
        assert kept_runs(saver) == []
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0] > 0
    connection.close()
