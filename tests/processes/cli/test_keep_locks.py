"""Two commands on one kept conversation: the second is refused, and told who is there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import ChainOfFocus, DirectoryStore, Policy, Profile
from cof_agent.agent.history import kept_runs
from cof_agent.errors import LockedError
from cof_agent.policies.script import ScriptedModel
from tests.support.commands import COMMAND
from tests.support.conversations import answer, scripted
from tests.support.keeping import TURNS, kept, run, write_files
from tests.support.killing import running
from tests.support.patience import PATIENCE

HELD = ("--keep", "runs.db", "--thread", "sign")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COF_POLICY", "script:script.json")
    write_files()


def test_the_second_is_refused_and_what_is_killed_holds_nothing() -> None:
    pipe = subprocess.PIPE
    with running([COMMAND, "chat", "photo.png", *HELD], stdin=pipe, stdout=pipe, stderr=pipe) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("Until when?\n")
        first.stdin.flush()
        assert first.stdout.readline() == "nine\n"
        for words in (["ask", "photo.png", "Really?"], ["chat", "-q", "Really?"], ["chat", "photo.png", "-q", "?"]):
            second = run(*words, *HELD)
            assert (second.exit_code, second.stdout) == (1, "")
            said = (
                rf"conversation 'sign' in runs\.db is in use: process {first.pid} on {re.escape(socket.gethostname())}"
            )
            assert re.search(
                said + r" has been asking in it since 20.*\. Wait until it ends, or choose another --thread",
                second.stderr,
            )
        os.symlink("runs.db", "link.db")
        assert run("ask", "photo.png", "?", "--keep", "link.db", "--thread", "sign").exit_code == 1, "the same file"
        assert run("ask", "photo.png", "Until when?", *HELD[:3], "other").stdout == "nine\n", "another conversation"
        first.kill()
    assert run("ask", "photo.png", "Really?", *HELD).stdout == "yes\n"
    assert kept("--thread", "sign") == [("Until when?", "answered", "nine"), ("Really?", "answered", "yes")]
    assert sorted(path.name for path in Path().iterdir() if path.name.endswith(".lock")) == []


def test_two_that_begin_at_once_on_one_new_file_both_answer() -> None:
    words = [[COMMAND, "ask", "photo.png", "Until when?", "--keep", "new.db", "--thread", name] for name in "abcd"]
    pipe = subprocess.PIPE
    asked = [subprocess.Popen(each, stdout=pipe, stderr=pipe, text=True) for each in words]
    ends = [process.communicate() for process in asked]
    assert [(out, process.returncode) for (out, _), process in zip(ends, asked, strict=True)] == [("nine\n", 0)] * 4, (
        ends
    )


class Thinking(ScriptedModel):
    """Tells that it was asked, and replies when it is told to."""

    asked: threading.Event
    go: threading.Event

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.set()
        assert self.go.wait(PATIENCE)
        return super()._generate(messages, *args, **kwargs)


def test_two_threads_of_one_process_do_not_ask_in_one_conversation_at_once(tmp_path: Path) -> None:
    model = Thinking(turns=[answer("nine"), answer("yes")], asked=threading.Event(), go=threading.Event())
    store = DirectoryStore(tmp_path / "images")
    with SqliteSaver.from_conn_string("runs.db") as saver:
        agent = ChainOfFocus(Policy(model, Profile(), "thinking"), checkpointer=saver, store=store)
        first = threading.Thread(target=agent.ask, args=["photo.png", "Until when?"], kwargs={"thread_id": "sign"})
        first.start()
        assert model.asked.wait(PATIENCE)
        other = ChainOfFocus(scripted(answer("yes")), checkpointer=saver, store=store)
        for asking in (agent, other):
            with pytest.raises(LockedError, match="the conversation 'sign' is in use: this process has been asking in"):
                asking.ask("photo.png", "Really?", thread_id="sign")
        assert other.ask("photo.png", "Really?", thread_id="another").answer == "yes"
        model.go.set()
        first.join(PATIENCE)
        assert agent.ask(None, "Really?", thread_id="sign").answer == "yes"
        found = [(run.question, run.trajectory and run.trajectory.answer) for run in kept_runs(saver, "sign")]
    assert found == [("Until when?", "nine"), ("Really?", "yes")]


async def test_a_stream_that_was_left_is_no_question(tmp_path: Path) -> None:
    saver = InMemorySaver()
    agent = ChainOfFocus(scripted(*TURNS), checkpointer=saver, store=DirectoryStore(tmp_path / "images"))
    async for _ in agent.astream("photo.png", "Until when?", thread_id="sign"):
        break
    assert (await agent.aresume("sign")).answer == "nine"
    for _ in agent.stream(None, "Really?", thread_id="sign"):
        break
    assert agent.ask(None, "Really?", thread_id="sign").answer is not None
