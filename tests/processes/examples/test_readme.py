"""The hosts' pages of the README, as they stand there; only the policy and the agent's model are scripted ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from PIL import Image
from smolagents import ChatMessage, MessageRole, Model

from cof_agent.policies.script import ScriptedModel
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
POLICY = {'"reader"': '"script:script.json"'}
LOOK = {"image": "photo.jpg", "question": "Does it say Yamaha?"}


def blocks(host: str, language: str) -> list[str]:
    """The code of that language on the page of a host."""
    page = README.split(f"\n#### {host}\n")[1].split("\n#### ")[0].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photo, a policy, and the command `cof-agent` of this checkout, which uses that policy."""
    Image.open(ROOT / "examples" / "images" / "motorcycle.jpg").save(tmp_path / "photo.jpg")
    (tmp_path / "script.json").write_text(json.dumps(["<answer>yes</answer>"]))
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


def run(host: str, scripted: dict[str, str], **names: Any) -> dict[str, Any]:
    """The names after the one block of Python on the page of a host, with what is `scripted` in place of the models."""
    (code,) = blocks(host, "python")
    for model, instead in scripted.items():
        assert code.count(model) == 1
        code = code.replace(model, instead)
    exec(code, names)
    return names


def test_langchain() -> None:
    heard: list[str] = []

    class Listening(ScriptedModel):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            heard.append(messages[-1].content)
            return super()._generate(messages, *args, **kwargs)

    call = AIMessage("", tool_calls=[{"name": "look_closely", "args": LOOK, "id": "1"}])
    scripted = POLICY | {'"openai:gpt-4.1-mini"': "model"}
    end = run("LangChain", scripted, model=Listening(turns=[call, AIMessage("It does.")]))["end"]
    assert end["messages"][-1].text == "It does."
    assert heard == ["Does photo.jpg say Yamaha?", "yes"]


def test_smolagents() -> None:
    class Rehearsed(Model):
        def generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatMessage:
            code = 'final_answer(look_closely(image=photo, question="Does it say Yamaha?"))'
            return ChatMessage(role=MessageRole.ASSISTANT, content=f"<code>\n{code}\n</code>")

    assert run("smolagents", POLICY | {"InferenceClientModel()": "model"}, model=Rehearsed())["said"] == "yes"


def test_mcp() -> None:
    found = run("MCP", {})["found"]
    assert (found.structured_content["answer"], found.content[0].text) == ("yes", "yes")


def test_the_mcp_command(home: Path) -> None:
    (home / "photos").mkdir()
    (commands,) = blocks("MCP", "")
    first = commands.splitlines()[0]
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        first,
        shell=True,
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "cof-agent"
