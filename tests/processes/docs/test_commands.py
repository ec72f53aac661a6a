"""Every command on every page: parsed as the shell would have it, and run where this machine can."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cof_agent.cli.app import app
from tests.support.conversations import answer
from tests.support.pages import PAGES, ROOT, Block, blocks
from tests.support.patience import PATIENCE
from tests.support.shell import Command, commands

NOT_RUN = {
    "mcp --root ~/photos --http": "it serves until it is stopped; test_mcp_http.py starts it",
    "eval vstar:": "the data set is on the hub",
    "compare RUN RUN": "RUN stands for a directory",
    "doctor hf:": "its checkpoint is on the hub",
}
"""Commands of cof-agent that are parsed only, by how they begin, and why."""

NOT_RUN_PAGES = {"training/README.md": "hours on large models; tests/weights/training runs them on small ones"}

OTHERS = {
    "cat": "joins what the commands before have written",
    "cp": "copies what the commands before have written",
    "export": "sets a key",
    "grep": "leaves pins out of a file of the repository",
    "hf": "downloads from the hub",
    "mkdir": "makes a folder",
    "ollama": "is another program",
    "sed": "changes a configuration",
    "transformers": "is another program, and serves; tests/weights/policies/test_transformers_serve.py starts it",
    "vllm": "is another program, and needs a GPU",
    ".serve/bin/langgraph": "is another program, and serves; tests/processes/graphs/langgraph_dev.py starts it",
    "questions": "is defined in the block",
    "break": "ends the block's loop",
    "reward": "is the variable of the block's loop",
    "rows": "is the variable of the block's loop",
}
"""Commands of other programs, which no test of the pages runs, and what they do."""

ELSEWHERE = {"build": "is installed by the command before", "verl.trainer.main_ppo": "has an environment of its own"}
"""Modules that are not here."""

SMALL = {"--count": "2", "--limit": "8", "--resolution": "224", "--resolutions": "448"}
"""How large what is made here is."""

BASH = blocks("bash")


@pytest.mark.parametrize("block", BASH, ids=lambda block: block.id)
def test_every_command_is_one(block: Block) -> None:
    for command in commands(block.code):
        program = command.words[0]
        if program == "cof-agent":
            parse(command.words[1:])
        elif program == "make":
            assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in command.words[1:])
        elif Path(program).name == "pip":
            check_extras(command)
        elif Path(program).name == "python" or program == "accelerate":
            check_module(command)
        else:
            assert program in OTHERS, f"{command}: run it here, or say in OTHERS what it is"


def parse(words: list[str]) -> None:
    """Fail where the command line does not take these words."""
    group = typer.main.get_command(app)
    outer = group.make_context("cof-agent", list(words))
    name, command, rest = group.resolve_command(outer, [*outer._protected_args, *outer.args])  # type: ignore[attr-defined]
    command.make_context(name, rest, parent=outer)


def check_extras(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in command.words:
        if found := re.search(r"(?:cof-agent|\.whl|^\.)\[([\w,]+)\]", word):
            assert set(found[1].split(",")) <= set(project["optional-dependencies"])
        if word.startswith("dist/"):
            assert word.startswith(f"dist/cof_agent-{project['version']}-py3-none-any.whl")


def check_module(command: Command) -> None:
    """What `-m` names is there, and so are the files that it is given from the repository."""
    for before, word in pairwise(command.words):
        if before == "-m" and word not in ELSEWHERE:
            assert importlib.util.find_spec(word) is not None
        if word.startswith(("training/configs/", "tests/")):
            assert (ROOT / word).is_file()


@pytest.mark.parametrize("page", sorted({block.page for block in BASH} - NOT_RUN_PAGES.keys()))
def test_commands_run_one_after_the_other(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("HOME", str(tmp_path))
    prepare(page)
    for block in (block for block in BASH if block.page == page):
        for command in commands(block.code):
            words = command.words
            if words[0] == "cof-agent" and not str(command).removeprefix("cof-agent ").startswith(tuple(NOT_RUN)):
                run(command)


def prepare(page: str) -> None:
    """What the reader has: photos, questions about them, and what earlier pages have made."""
    for name in ("photo.jpg", "a.jpg", "b.jpg", "scene.png", "photos/photo.jpg", "examples/images/motorcycle.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "examples" / "images" / "motorcycle.jpg", name)
    with Image.open("photo.jpg") as picture:
        picture.save("plan.pdf")
    policy = {"turns": [answer("yes")] * 9, "profile": {"several_images": True}}
    Path("script.json").write_text(json.dumps(policy))
    rows = [block.code for block in blocks("jsonl") if block.page == page]
    Path("mine.jsonl").write_text(rows[0] if rows else '{"image": "photo.jpg", "question": "Yamaha?", "answer": "yes"}')
    if page == "docs/hosts/langgraph.md":
        done = CliRunner().invoke(app, ["ask", "photo.jpg", "…", "--keep", "runs.db", "--policy", "script:script.json"])
        assert done.exit_code == 0, done.output
    if page == "docs/learning/export.md":
        collect = [
            "collect",
            "scenes:train",
            "--policy",
            "observer",
            "--mix",
            "natural",
            "--count",
            "2",
            "--limit",
            "8",
        ]
        done = CliRunner().invoke(app, [*collect, "--resolutions", "448", "--out", "kept"])
        assert done.exit_code == 0, done.output
        turns = [{"role": "user", "content": "<image>Which?"}, {"role": "assistant", "content": "<answer>A</answer>"}]
        Path("images").mkdir()
        shutil.copy("photo.jpg", "images/0.jpg")
        Path("cof_sft_data.json").write_text(json.dumps([{"messages": turns, "images": ["0.jpg"]}]))


def run(command: Command) -> None:
    """Run a command with a scripted policy in the place of one that reads, or needs weights, a server or a key."""
    words = smaller(command.words[1:])
    if words[0] == "mcp":
        return serve(words)
    done = CliRunner().invoke(app, words, input="Does it say Yamaha?\n", env=command.variables)
    assert done.exit_code == 0, f"{command} ({words}): {done.output}{done.stderr}"
    if command.into:
        Path(command.into).write_text(done.stdout)


def smaller(words: list[str]) -> list[str]:
    """The same command with a scripted policy, and made small."""
    given = dict(pairwise([*words, ""]))
    kept: list[str] = []
    for before, word in pairwise(["", *words]):
        if {before, word} & {"--policy", "--base-url", "-o"}:
            continue
        kept.append(word if "native" in word else SMALL.get(before, word))
    if words[0] in ("ask", "chat", "eval", "collect"):
        kept += ["--policy", "observer" if given.get("--policy") == "observer" else "script:script.json"]
    if words[0] == "collect" or words[:2] == ["eval", "scenes"]:
        kept += ["--limit", "8" if words[0] == "collect" else "1"]
        kept += [] if "--resolutions" in words else ["--resolutions", "448"]
    return kept


def serve(words: list[str]) -> None:
    """Start a server that speaks on standard input, and have it say who it is."""
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    done = subprocess.run(
        [Path(sys.executable).with_name("cof-agent"), *(os.path.expanduser(word) for word in words)],
        input=json.dumps(asked) + "\n", capture_output=True, text=True, timeout=PATIENCE,
        env=os.environ | {"COF_POLICY": "script:script.json"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "cof-agent"


def test_what_is_not_run_is_on_a_page() -> None:
    said = [str(command) for block in BASH for command in commands(block.code)]
    for begin in NOT_RUN:
        assert any(line.startswith(f"cof-agent {begin}") for line in said), begin
    for program in OTHERS:
        assert any(line.split()[0] == program for line in said), program


@pytest.mark.parametrize("block", blocks("json", "jsonl"), ids=lambda block: block.id)
def test_json_is_json(block: Block) -> None:
    for value in block.code.splitlines() if block.language == "jsonl" else [block.code]:
        json.loads(value)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.id)
def test_toml_is_toml(block: Block) -> None:
    assert tomllib.loads(block.code)


def test_every_block_is_run_by_some_test() -> None:
    assert {block.language for block in blocks()} == {"bash", "json", "jsonl", "python", "toml"}
    assert {page.name for page in PAGES} >= {"README.md", "architecture.md", "glossary.md"}
