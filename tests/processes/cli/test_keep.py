"""`--keep`: conversations that outlive the command, as a shell sees them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from cof_agent import DirectoryStore, build_graph, read_trajectories
from tests.support.conversations import answer, photo, scripted, zoom
from tests.support.killing import running

COMMAND = str(Path(sys.executable).with_name("cof-agent"))
ROOT = Path(__file__).parents[3]
MOTORCYCLE = str(ROOT / "examples" / "images" / "motorcycle.jpg")
TURNS = [zoom(10, 20, 60, 70, label="sign"), answer("nine"), answer("yes"), answer("no")]
LISTENS = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
"""A child of a process in the background would ignore Ctrl-C."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COF_POLICY", "script:script.json")
    Path("script.json").write_text(json.dumps(TURNS))
    photo().save("photo.png")
    photo(320, 240).save("other.png")
    return tmp_path


def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=120, input=typed)


def kept(*words: str) -> list[tuple[str, str, str | None]]:
    lines = run("history", "runs.db", "--json", *words).stdout.splitlines()
    return [(run["question"], run["standing"], run["answer"]) for run in map(json.loads, lines)]


def test_a_chat_is_gone_on_with_listed_and_exported() -> None:
    first = run("chat", "photo.png", "--keep", "runs.db", "-q", "Until when?")
    assert (first.returncode, first.stdout) == (0, "nine\n")
    told, thread = first.stderr.splitlines()[0].rsplit(maxsplit=1)
    assert told == "kept in runs.db as --thread"
    Path("photo.png").unlink()
    second = run("chat", "--keep", "runs.db", "--thread", thread, typed="/views\nReally?\n")
    overview, closer, said = second.stdout.splitlines()
    assert (overview[:6], closer[:6], said) == ("view 0", "view 1", "yes")
    assert second.stderr == f"the conversation '{thread}' about photo.png goes on\n", "nothing is shown again"
    assert kept("--thread", thread) == [("Until when?", "answered", "nine"), ("Really?", "answered", "yes")]
    assert run("history", "runs.db", "--save", "saved").returncode == 0
    assert [trajectory.answer for trajectory in read_trajectories("saved")] == ["nine", "yes"]
    assert len(list(Path("saved/images").iterdir())) == 3


def test_single_questions_of_one_conversation() -> None:
    for question, said in (("Until when?", "nine"), ("Really?", "yes")):
        done = run("ask", "photo.png", question, "--keep", "deep/runs.db", "--thread", "sign")
        assert (done.returncode, done.stdout) == (0, f"{said}\n")
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
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "open the image again" in lost.stderr
    assert run("ask", "photo.png", "And now?", *words).stdout == "nine\n", "what was cut short is not gone on with"
    shutil.rmtree("images")
    again = run("chat", "photo.png", *words, "-q", "And now?", "-q", "Sure?")
    assert (again.returncode, again.stdout) == (0, "nine\nyes\n")


def test_killed_while_it_waits_for_a_person() -> None:
    words = ["chat", "photo.png", "--keep", "runs.db", "--thread", "sign", "--review", "-q", "Until when?"]
    pipe = subprocess.PIPE
    with subprocess.Popen([COMMAND, *words], stdin=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        assert any("zoom “sign” into" in line for line in process.stderr)
        process.kill()
    assert kept() == [("Until when?", "waiting", None)]
    single = run("ask", "photo.png", "Until when?", "--keep", "runs.db", "--thread", "sign")
    assert (single.returncode, single.stdout) == (1, "")
    assert "waits for a person: cof-agent chat --keep runs.db --thread sign" in single.stderr
    done = run("chat", "--keep", "runs.db", "--thread", "sign", typed="y\nReally?\n")
    assert (done.returncode, done.stdout) == (0, "nine\nyes\n")
    assert "cut short before, goes on: Until when?" in done.stderr
    assert kept() == [("Until when?", "answered", "nine"), ("Really?", "answered", "yes")]


@pytest.mark.parametrize("command", ["chat", "ask"])
def test_killed_while_the_policy_thinks(command: str) -> None:
    question = "Which brand is it? (A) Honda (B) Yamaha"
    asked = [question] if command == "ask" else ["-q", question]
    words = [command, MOTORCYCLE, *asked, "--policy", "reader", "--keep", "runs.db", "--thread", "brand"]
    endless = [sys.executable, "-m", "tests.support.endless_reader", *words]
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    with running(endless, env=found, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert any(line.startswith("view 1") for line in process.stderr)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert kept() == [(question, "unfinished", None)]
    again = words if command == "ask" else ["chat", *words[4:]]
    done = run(*again, typed="/quit\n")
    assert (done.returncode, done.stdout) == (0, "(B) Yamaha\n")
    assert "view 0" not in done.stderr, "what was done is not repeated"
    assert kept() == [(question, "answered", "(B) Yamaha")]


def test_ctrl_c_says_how_to_go_on() -> None:
    words = [COMMAND, "chat", "photo.png", "--keep", "runs.db", "--thread", "sign"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=LISTENS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Until when?\n")
        process.stdin.flush()
        assert process.stdout.readline() == "nine\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("cof-agent: interrupted: --keep runs.db --thread sign goes on with it\n")
    assert run("chat", "--keep", "runs.db", "--thread", "sign", "-q", "Really?").stdout == "yes\n"


def test_another_image_begins_another_conversation() -> None:
    done = run(
        "chat", "photo.png", "--keep", "runs.db", "--thread", "sign", typed="Until when?\n/image other.png\nAnd?\n"
    )
    assert done.stdout == "nine\nnine\n"
    assert done.stderr.count("kept in runs.db as --thread") == 1, "the other one"
    for command in (["chat", "other.png", "-q", "And?"], ["ask", "other.png", "And?"]):
        done = run(*command, "--keep", "runs.db", "--thread", "sign")
        assert (done.returncode, done.stdout) == (2, "")
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
    assert (done.returncode, done.stdout) == (2, "")
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
    assert (done.returncode, done.stdout) == (0, "nine\nyes\n"), done.stderr
    assert "the conversation 'sign' about photo.png goes on\ncut short before, goes on: Until when?" in done.stderr
