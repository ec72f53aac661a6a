"""`--keep`: conversations that outlive the command."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from PIL import Image

from cof_agent import DirectoryStore, build_graph, read_trajectories
from cof_agent.files import locked
from cof_agent.images import load_image
from tests.support.conversations import scripted
from tests.support.keeping import TURNS, kept, run, write_files

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COF_POLICY", "script:script.json")
    write_files()


def test_a_chat_is_gone_on_with_listed_and_exported() -> None:
    first = run("chat", "photo.png", "--keep", "runs.db", "-q", "Until when?")
    assert (first.exit_code, first.stdout) == (0, "nine\n")
    told, thread = first.stderr.splitlines()[0].rsplit(maxsplit=1)
    assert told == "kept in runs.db as --thread"
    Path("photo.png").unlink()
    second = run("chat", "--keep", "runs.db", "--thread", thread, typed="/views\nReally?\n")
    overview, closer, said = second.stdout.splitlines()
    assert (overview[:6], closer[:6], said) == ("view 0", "view 1", "yes")
    assert second.stderr == f"the conversation '{thread}' about photo.png goes on\n", "nothing is shown again"
    assert kept("--thread", thread) == [("Until when?", "answered", "nine"), ("Really?", "answered", "yes")]
    assert run("history", "runs.db", "--save", "saved").exit_code == 0
    assert [trajectory.answer for trajectory in read_trajectories("saved")] == ["nine", "yes"]
    assert len(list(Path("saved/images").iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_what_is_kept_is_for_its_owner_alone() -> None:
    before = os.umask(0)
    try:
        run("ask", "photo.png", "Until when?", "--keep", "deep/new/runs.db")
    finally:
        os.umask(before)
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in (Path("deep"), *Path("deep").rglob("*"))}
    assert {modes.pop(name) for name in ("deep", "deep/new", "deep/new/images")} == {0o700}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


def test_history_saves_with_or_without_the_metadata_and_nothing_twice() -> None:
    exif = Image.Exif()
    exif[0x010F] = "hunter2 cameras"
    with Image.open("photo.png") as photo:
        photo.save("photo.jpg", exif=exif)
    run("ask", "photo.jpg", "Until when?", "--keep", "runs.db")
    for out, *switch in (("whole",), ("less", "--strip-metadata")):
        told = [run("history", "runs.db", "--save", out, *switch).stderr for _ in range(2)]
        assert ("--save keeps the image as it came" in told[0]) is (out == "whole")
        assert f"1 of 1 saved to {out}\n" in told[0]
        assert f"0 of 1 saved to {out}, 1 were there already" in told[1]
        (trajectory,) = read_trajectories(out)
        store = DirectoryStore(Path(out) / "images")
        assert (b"hunter2" in load_image(trajectory.image.ref, store).data) is (out == "whole")
        assert all(view.image in store for view in trajectory.views)


def test_a_conversation_goes_on_whether_or_not_its_image_was_stripped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "hunter2 cameras"
    with Image.open("photo.png") as photo:
        photo.save("photo.jpg", exif=exif)
    words = ("photo.jpg", "--keep", "runs.db", "--thread", "sign", "--strip-metadata", "-q")
    assert run("chat", *words, "Until when?").stdout == "nine\n"
    assert all(b"hunter2" not in path.read_bytes() for path in Path("images").iterdir())
    assert run("chat", *words, "Really?").stdout == "yes\n", "the image is the same one"


def test_two_that_save_the_same_runs_at_once_do_not_save_them_twice() -> None:
    run("ask", "photo.png", "Until when?", "--keep", "runs.db", "--thread", "sign")
    Path("saved").mkdir()
    with locked(Path("saved"), "saving kept runs"):
        refused = run("history", "runs.db", "--save", "saved")
    assert refused.exit_code == 1
    assert "saved is in use: this process has been saving kept runs since" in refused.stderr
    for _ in range(2):
        assert run("history", "runs.db", "--save", "saved").exit_code == 0
    assert len(list(read_trajectories("saved"))) == 1


def test_single_questions_of_one_conversation() -> None:
    for question, said in (("Until when?", "nine"), ("Really?", "yes")):
        done = run("ask", "photo.png", question, "--keep", "deep/runs.db", "--thread", "sign")
        assert (done.exit_code, done.stdout) == (0, f"{said}\n")
    alone = run("ask", "photo.png", "Until when?", "--keep", "deep/runs.db", "--json")
    assert json.loads(alone.stdout)["answer"] == "nine", "another conversation"
    assert run("history", "deep/runs.db").stdout.count("sign: ") == 2


def test_a_conversation_that_lost_its_images_goes_on_with_the_image() -> None:
    words = ("--keep", "runs.db", "--thread", "sign")
    assert run("ask", "photo.png", "Until when?", *words).stdout == "nine\n"
    shutil.rmtree("images")
    assert run("ask", "photo.png", "Really?", *words).stdout == "nine\n", "it is looked at anew"
    shutil.rmtree("images")
    lost = run("chat", *words, "-q", "And now?")
    assert (lost.exit_code, lost.stdout) == (1, "")
    assert "open the image again" in lost.stderr
    assert run("ask", "photo.png", "And now?", *words).stdout == "nine\n", "what was cut short is not gone on with"
    shutil.rmtree("images")
    again = run("chat", "photo.png", *words, "-q", "And now?", "-q", "Sure?")
    assert (again.exit_code, again.stdout) == (0, "nine\nyes\n")


def test_another_image_begins_another_conversation() -> None:
    done = run(
        "chat", "photo.png", "--keep", "runs.db", "--thread", "sign", typed="Until when?\n/image other.png\nAnd?\n"
    )
    assert done.stdout == "nine\nnine\n"
    assert done.stderr.count("kept in runs.db as --thread") == 1, "the other one"
    for command in (["chat", "other.png", "-q", "And?"], ["ask", "other.png", "And?"]):
        done = run(*command, "--keep", "runs.db", "--thread", "sign")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "the conversation 'sign' is about another image, photo.png: name another --thread" in done.stderr
    same = run("chat", "photo.png", "--keep", "runs.db", "--thread", "sign", "-q", "Really?")
    assert same.stdout == "yes\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--thread", "sign", "-q", "?"], "--thread sign is a conversation of a file: name that, with --keep FILE"),
        (["-q", "?"], "there is no image: begin one with an image"),
        (["--keep", "runs.db", "--thread", "sign", "-q", "?"], "runs.db has no conversation 'sign' yet"),
        (["photo.png", "--keep", "runs.db", "--thread", " ", "-q", "?"], "--thread needs a name"),
        (["photo.png", "--keep", "script.json", "-q", "?"], "script.json cannot hold conversations"),
        (["photo.png", "--keep", "foreign.db", "-q", "?"], "foreign.db cannot hold conversations (it holds something"),
        (["photo.png", "--keep", "script.json/runs.db", "-q", "?"], "script.json/runs.db cannot hold conversations"),
        (["--keep", "parent.db", "--thread", "sign", "-q", "?"], "the thread 'sign' is no conversation of `ask` or"),
    ],
)
def test_what_cannot_be_gone_on_with(words: list[str], says: str) -> None:
    with sqlite3.connect("foreign.db") as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    builder = StateGraph(MessagesState)
    builder.add_node("say", lambda state: {"messages": ["hello"]})
    builder.add_edge(START, "say")
    with SqliteSaver.from_conn_string("parent.db") as saver:
        builder.compile(checkpointer=saver).invoke({"messages": []}, {"configurable": {"thread_id": "sign"}})
    done = run("chat", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    with sqlite3.connect("foreign.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    connection.close()


@pytest.mark.parametrize("steps", [1, 2])
def test_cut_short_before_its_first_step(steps: int) -> None:
    thread: Any = {"configurable": {"thread_id": "sign"}}
    with SqliteSaver.from_conn_string("runs.db") as saver:
        graph = build_graph(scripted(*TURNS), store=DirectoryStore("images"), checkpointer=saver)
        graph.invoke({"image": "photo.png", "question": "Until when?"}, thread)
        for later in list(graph.get_state_history(thread))[:-steps]:
            number = later.config["configurable"]["checkpoint_id"]
            for table in ("checkpoints", "writes"):
                saver.conn.execute(f"DELETE FROM {table} WHERE checkpoint_id = ?", (number,))
        saver.conn.commit()
    done = run("chat", "--keep", "runs.db", "--thread", "sign", "-q", "Really?")
    assert (done.exit_code, done.stdout) == (0, "nine\nyes\n"), done.stderr
    assert "the conversation 'sign' about photo.png goes on\ncut short before, goes on: Until when?" in done.stderr
