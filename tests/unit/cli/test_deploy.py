"""`deploy` writes a directory that a LangGraph server serves; no checkout is needed."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.cli.deploy import MODULE
from tests.support.conversations import answer, photo
from tests.support.deployed import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("script.json").write_text(json.dumps([answer("nine")]))
    photo().save("photo.png")


def deploy(*words: str) -> Any:
    return CliRunner().invoke(app, ["deploy", *words])


def loaded(directory: Path) -> Any:
    """The graph that the directory's `langgraph.json` names, as a server loads it."""
    file, _, variable = json.loads((directory / "langgraph.json").read_text())["graphs"]["chain_of_focus"].partition(
        ":"
    )
    spec = importlib.util.spec_from_file_location("written_graph", directory / file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, variable)


def variables(directory: Path) -> dict[str, str]:
    lines = (directory / ".env").read_text().splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def test_what_is_written_is_a_graph_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = deploy("out", "--policy", "script:script.json", "--root", ".")
    assert (done.exit_code, done.stdout) == (0, "")
    assert 'next: pip install "cof-agent[serve]", cd out, langgraph dev --no-browser' in done.stderr
    for name, value in variables(tmp_path / "out").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "out")
    graph = loaded(tmp_path / "out")
    graph.checkpointer = InMemorySaver()
    asked = {"image": str(tmp_path / "photo.png"), "question": "Until when?"}
    assert graph.invoke(asked, {"configurable": {"thread_id": "1"}})["answer"] == "nine"
    with pytest.raises(Exception, match="may not be read"):
        graph.invoke({"image": "/etc/passwd", "question": "?"}, {"configurable": {"thread_id": "2"}})


def test_the_policy_says_what_is_installed_and_no_file_is_opened_unless_told() -> None:
    for policy, extra in (("reader", "reader"), ("openai:m", "openai"), ("tiny", "local")):
        assert deploy(policy.partition(":")[0], "--policy", policy).exit_code == 0
        written = Path(policy.partition(":")[0])
        assert (written / "requirements.txt").read_text() == f"cof-agent[{extra}]=={version('cof-agent')}\n"
        assert variables(written) == {"COF_POLICY": policy, "COF_ROOTS": ""}


def test_it_is_the_graph_of_the_checkout() -> None:
    assert (ROOT / "graphs" / "chain_of_focus.py").read_text() == MODULE


def test_files_that_are_there_stay() -> None:
    assert deploy("out").exit_code == 0
    assert deploy("out").exit_code == 0, "the same ones"
    Path("out/chain_of_focus.py").write_text("mine")
    done = deploy("out")
    assert done.exit_code == 2
    assert "chain_of_focus.py is there already, and another one: name a new directory" in done.stderr
    assert Path("out/chain_of_focus.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["out", "--policy", "oracle"], "no policy is named 'oracle'"),
        (["out", "--root", "missing"], "--root missing is no directory"),
        (["photo.png"], "photo.png cannot be written"),
        (["out", "--policy", "openai:m'x"], "cannot be written to .env: name it without quotes"),
    ],
)
def test_what_cannot_be_deployed(words: list[str], why: str) -> None:
    done = deploy(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr
    assert not Path("out").exists()
