"""What a message tells people to type is there, and is what they have at hand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cof_agent import FocusConfig, ImageLimits
from cof_agent.cli.app import app
from cof_agent.cli.limits import IMAGE_OPTIONS, OPTIONS, config_of, in_options, option_of
from cof_agent.errors import ConfigError
from tests.support.commands import script, wall
from tests.support.conversations import answer, photo, zoom

PACKAGE = Path(__file__).parents[3] / "cof_agent"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
FOREIGN = {"--revision", "--no-browser"}
"""Of other programs: `hf download`, `langgraph dev`."""
PYTHONS = re.compile(
    rf"ImageLimits|FocusConfig|checkpointer|thread_id|\b(base_url|api_key|{'|'.join([*OPTIONS, *IMAGE_OPTIONS])})\b"
)


def run(*words: Any, typed: str = ""):
    return CliRunner().invoke(app, [str(word) for word in words], input=typed)


@cache
def texts() -> list[tuple[str, str]]:
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    """Every text of the library that is no docstring, with its place; parts of one message together."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "page.py":  # its style sheet has names like options
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.value


def options_of(command: str) -> set[str]:
    return {option for parameter in COMMANDS[command].params for option in parameter.opts} | {"--help", "--version"}


def test_every_option_in_a_message_is_one_of_some_command() -> None:
    known = FOREIGN.union(*map(options_of, COMMANDS))
    unknown = [
        f"{where}: {option}" for where, text in texts() for option in OPTION.findall(text) if option not in known
    ]
    assert unknown == []


def test_every_command_in_a_message_takes_the_options_it_is_told_with() -> None:
    found = 0
    for where, text in texts():
        for words in re.findall(r"`(?:cof-agent )?([a-z]+(?: [^`]*)?)`", text) + re.findall(
            r"cof-agent ([a-z]+[^;:,]*)", text
        ):
            name, _, rest = words.partition(" ")
            if name in COMMANDS:
                found += 1
                assert set(OPTION.findall(rest)) <= options_of(name), f"{where}: {words}"
    assert found > 5


def test_what_python_calls_names_no_options() -> None:
    """Rooms that serve the command line and Python name parameters, which the command line tells as options."""
    known = {"--to", "--save", "--host", "--port", "--from", "--max-result-kb"}
    rooms = {"evaluation", "learning", "loop", "agent", "images", "dialects", "scenes", "integrations"}
    for where, text in texts():
        if where.split("/")[0] in rooms:
            assert set(OPTION.findall(text)) <= known, where


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("the limit of 6 zooms (max_zooms) was reached", "the limit of 6 zooms (--max-zooms) was reached"),
        (
            "x is too large: shrink or cut it, or raise max_pixels in ImageLimits",
            "x is too large: shrink or cut it, or raise --max-pixels",
        ),
        (
            "there is no API key for OpenAI: set K, give api_key, or a base_url of your own",
            "there is no API key for OpenAI: set K, give --option api_key=KEY, or a --base-url of your own",
        ),
        (
            "a may not be read: allow its directory: name it among the roots in ImageLimits",
            "a may not be read: allow its directory: name it with --root",
        ),
        (
            "mode proactive needs zooms, but max_zooms is 0: raise it",
            "mode proactive needs zooms, but --max-zooms is 0: raise it",
        ),
        ("retries are set by FocusConfig.max_retries", "retries are set by --max-retries"),
        ("choose another directory with out=, or", "choose another directory with --out, or"),
        ("name its folder with images=", "name its folder with --images"),
        ("add allow_test=True: every row", "add --allow-test: every row"),
        ("http://h/?out=&x=1 says out=5", "http://h/?out=&x=1 says out=5"),
        ("it has --base-url and http://h/?base_url=1", "it has --base-url and http://h/?base_url=1"),
    ],
)
def test_names_of_python_are_told_as_options(said: str, typed: str) -> None:
    assert in_options(said, image_options=True) == typed


def test_commands_without_the_options_of_an_image_leave_that_remedy_out() -> None:
    remedy = ", or set allow_private_hosts in ImageLimits where every URL can be trusted"
    said = f"p may not be fetched: download it and pass its path{remedy}"
    assert in_options(said) == "p may not be fetched: download it and pass its path"
    assert in_options(said, image_options=True).endswith("or set --allow-private-hosts where every URL can be trusted")


def test_errors_of_commands_name_options(tmp_path: Path) -> None:
    image, policy = wall(tmp_path), script(tmp_path, zoom(20, 20, 80, 60), zoom(20, 20, 80, 60), "")
    few = ("--max-large-pixels", "100")
    for words, remedy in (
        (["ask", image, "?", "-p", policy, *few, "--max-pixels", "100"], "--max-large-pixels"),
        (["ask", image, "?", "-p", policy, *few, "--max-bytes", "100"], "--max-large-pixels"),
        (["ask", "http://127.0.0.1:9/a.png", "?", "-p", policy], "--allow-private-hosts"),
        (["ask", image, "?", "-p", policy, "--min-zooms", "7"], "--min-zooms may be at most --max-zooms (6), not 7"),
        (["ask", image, "?", "-p", policy, "--max-zooms", "1"], "(--max-zooms)"),
        (["ask", image, "?", "-p", "openai:m", "--base-url", "x"], "--base-url"),
        (["ask", image, "?", "-p", "openai:m", "-o", "timeout=0"], "timeout"),
        (["ask", image, "?", "-p", policy, "--thread", "t"], "--keep FILE"),
        (["chat", "-p", policy], "begin one with an image"),
        (["eval", "scenes", "-p", policy, "--mode", "proactive", "--max-zooms", "0"], "--max-zooms is 0"),
        (["eval", "scenes", "-p", policy, "--mode", "direct", "--min-zooms", "1"], "--min-zooms 1"),
        (["collect", "scenes:test", "-p", policy, "--count", "1", "--out", tmp_path / "out"], "--allow-test"),
        (["export", tmp_path, "--out", image], "--save"),
        (["doctor", "reader", "--base-url", "http://h"], "base URL"),
        (["mcp", "--root", tmp_path / "no"], "--root"),
    ):  # fmt: skip
        done = run(*words)
        assert done.exit_code in (1, 2, 3), (words, done.stderr)
        assert remedy in done.stderr, (words, done.stderr)
        assert not PYTHONS.search(re.sub(r"--[\w-]+", "", done.stderr)), (words, done.stderr)


def test_every_command_that_asks_takes_all_limits_with_the_defaults_that_it_tells() -> None:
    hidden = {"trainer_loop", "ask_before_zoom", "ask_at_end"}
    assert set(OPTIONS) == set(FocusConfig.model_fields) - hidden
    for name in ("ask", "chat", "mcp", "eval", "collect"):
        assert set(map(option_of, OPTIONS)) <= options_of(name), name
    for name in ("ask", "chat", "mcp"):
        assert set(map(option_of, IMAGE_OPTIONS)) <= options_of(name), name
    given: list[tuple[dict[str, Any], Any]] = [(OPTIONS, FocusConfig()), (IMAGE_OPTIONS, ImageLimits())]
    for options, limits in given:
        for name, kind in options.items():
            if told := re.search(r"Default: ([\d.]+)\.$", kind.__metadata__[0].help):
                assert float(told[1]) == getattr(limits, name), name


def test_limits_are_those_that_were_typed() -> None:
    assert (
        config_of({"max_zooms": 0, "max_seconds": 1.5}).model_dump()
        == FocusConfig(max_zooms=0, max_seconds=1.5).model_dump()
    )
    with pytest.raises(ConfigError, match="--min-zooms may be at most --max-zooms"):
        config_of({"min_zooms": 3, "max_zooms": 2})


@pytest.mark.slow
def test_limits_hold_in_evaluations_and_are_part_of_their_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.plots_of", lambda runs: {})
    photo(224, 168).save(tmp_path / "photo.png")
    (tmp_path / "asked.jsonl").write_text(json.dumps({"image": "photo.png", "question": "?", "answer": "42"}))
    policy = script(tmp_path, zoom(20, 20, 80, 60), zoom(20, 20, 80, 60), answer("42"))
    typed = {"--max-turns": 2, "--max-visual-tokens": 9000, "--max-retries": 0, "--max-refused": 2, "--min-zooms": 1}
    typed |= {"--max-conversation-tokens": 10000, "--max-seconds": 250.0, "--closing-share": 0.25, "--max-zooms": 5}
    more = [word for option, value in typed.items() for word in (option, value)]
    words = [f"jsonl:train:{tmp_path / 'asked.jsonl'}", "-p", policy, "--resolutions", "native", *more]
    assert run("eval", *words, "--out", tmp_path / "run").exit_code == 0
    run("collect", *words, "--count", "1", "--out", tmp_path / "kept")
    for out in (tmp_path / "run", tmp_path / "kept" / "tried"):
        limits = json.loads((out / "run.json").read_text())["limits"]
        assert {option: limits[option[2:].replace("-", "_")] for option in typed} == typed
        (row,) = map(json.loads, (out / "results.jsonl").read_text().splitlines())
        assert (row["stop_reason"], len(row["zooms"])) == ("turn_limit", 2)
