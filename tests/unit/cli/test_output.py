"""Whatever others wrote, no command writes a character that steers a terminal or hides in it."""

from __future__ import annotations

import ast
import json
import logging
import sys
import warnings
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.cli.console import CleanConsole
from cof_agent.cli.output import clean_what_libraries_write, printable, say_json
from tests.support.commands import script, wall
from tests.support.conversations import answer, photo, zoom
from tests.support.hostile import HOSTILE, HOSTILE_NAME, unclean

pytestmark = pytest.mark.slow

CLI = Path(__file__).parents[3] / "cof_agent" / "cli"


def run(*words: Any, typed: str = ""):
    done = CliRunner().invoke(app, [str(word) for word in words], input=typed)
    assert unclean(done.stdout + done.stderr) == [], words
    assert done.exception is None or isinstance(done.exception, SystemExit), words
    return done


@pytest.fixture
def policy(tmp_path: Path) -> str:
    looked = f"<think>{HOSTILE}</think>" + zoom(20, 20, 80, 60, label=HOSTILE).partition("</think>")[2]
    return script(tmp_path, looked, answer(HOSTILE), f"<answer>cannot answer: {HOSTILE}</answer>", answer("no"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / f"{HOSTILE_NAME}.png"
    Path(wall(tmp_path)).rename(path)
    return path


def test_a_character_that_steers_becomes_an_escape_and_others_stay() -> None:
    assert printable("\x1b[1m\x9b\u202e\u200b\ud800") == "\\x1b[1m\\x9b\\u202e\\u200b\\ud800"
    assert printable("a\nb\tc\rd") == "a\\nb\\tc\\rd"
    assert printable("a\r\nb\tc\rd", lines=True) == "a\nb\tc\\rd"
    for kept in ("20 000 €", "20\u202f000", "東京\u3000駅", "می\u200cخواهم", "👨\u200d👩\u200d👧", "größe", "Ω"):
        assert printable(kept) == kept
    assert printable("pay\u200cpal") == "pay\\u200cpal", "between Latin letters a joiner only hides"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_json_is_the_value_whatever_is_in_it(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import BytesIO, TextIOWrapper

    raw = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(raw, encoding=encoding, write_through=True))
    value = {HOSTILE: [HOSTILE, "größe 東京 👩‍👧 \ud800", "\U000e0041"]}
    say_json(value)
    text = raw.getvalue().decode(encoding)
    assert json.loads(text) == value
    assert (unclean(text), text.count("\n")) == ([], 1)


def test_a_question_that_is_asked(image: Path, policy: str, tmp_path: Path) -> None:
    done = run("ask", image, HOSTILE.replace("\0", ""), "--policy", policy, "--save", tmp_path / HOSTILE_NAME)
    assert done.exit_code == 0
    assert "\\x1b]52;c;aGk=\\x07" in done.stdout
    assert "[red]x[/red][/] :bomb:" in done.stdout
    told = json.loads(run("ask", image, "What?", "--policy", policy, "--json").stdout)
    assert told["answer"] == HOSTILE.strip()
    for words in (
        ["--policy", HOSTILE_NAME],
        ["--option", HOSTILE_NAME],
        ["--profile", HOSTILE_NAME],
        ["--thread", HOSTILE_NAME],
    ):
        assert run("ask", image, "What?", *words).exit_code == 2
    assert run("ask", tmp_path / f"{HOSTILE_NAME}.gif", "What?", "--policy", policy).exit_code == 1
    assert run("ask", image, image).exit_code == 2
    assert run("ask", f"--{HOSTILE_NAME}").exit_code == 2
    assert run(HOSTILE_NAME).exit_code == 2


def test_a_conversation(image: Path, policy: str, tmp_path: Path) -> None:
    other = tmp_path / f"other {HOSTILE_NAME}.png"
    typed = [
        "What?",
        "20 20 90 90",
        "/views",
        f"/{HOSTILE}",
        f"/save {tmp_path}/{HOSTILE}",
        HOSTILE,
        "n hm",
        "y",
        f"/image {other}",
    ]
    done = run(
        "chat",
        image,
        "--policy",
        policy,
        "--review",
        typed="\n".join(line.replace("\n", " ").replace("\0", "") for line in typed),
    )
    assert "view 1" in done.stdout
    assert done.stderr.count("\\x1b]52") > 2


def test_conversations_that_were_kept(image: Path, policy: str, tmp_path: Path) -> None:
    kept = tmp_path / "runs.db"
    assert (
        run(
            "ask", image, HOSTILE.replace("\0", ""), "--policy", policy, "--keep", kept, "--thread", HOSTILE_NAME
        ).exit_code
        == 0
    )
    for words in (
        [],
        ["--json"],
        ["--thread", HOSTILE_NAME],
        ["--thread", f"{HOSTILE_NAME}!"],
        ["--save", tmp_path / HOSTILE_NAME],
    ):
        run("history", kept, *words)
    run("chat", "--policy", policy, "--keep", kept, "--thread", HOSTILE_NAME, "-q", "And?")


@pytest.mark.slow
def test_questions_that_are_evaluated_compared_collected_and_exported(image: Path, policy: str, tmp_path: Path) -> None:
    photo(224, 168).save(tmp_path / "photo.png")
    rows: list[dict[str, Any]] = [
        {
            "image": "photo.png",
            "question": f"{HOSTILE} {number}",
            "answer": HOSTILE,
            "category": f"{HOSTILE}{number}",
            "id": f"{HOSTILE}{number}",
        }
        for number in range(2)
    ]
    rows += [
        {"image": HOSTILE_NAME, "question": "What?", "answer": "x"},
        {"image": f"data:{HOSTILE}", "question": "What?", "answer": "x"},
    ]
    asked = tmp_path / f"{HOSTILE_NAME}.jsonl"
    asked.write_text("\n".join(map(json.dumps, rows)))
    for name, said in (("one", policy), ("two", "script:missing"), ("two", policy)):
        out = tmp_path / f"{name}{HOSTILE_NAME}"
        words = ["--policy", said, "--resolutions", "native", "--out", out, "--trajectories"]
        done = run("eval", f"jsonl:{asked}", *words, "--full")
        assert done.exit_code == (2 if said.endswith("missing") else 0), done.stderr
    assert "[red]x[/red][/]" in done.stdout
    run("eval", f"jsonl:{asked}", *words, "--json")
    run("compare", *(tmp_path / f"{name}{HOSTILE_NAME}" for name in ("one", "two")))
    run("compare", *(tmp_path / f"{name}{HOSTILE_NAME}" for name in ("one", "two")), "--json")
    run("export", out, "--out", tmp_path / "exported", "--allow-test")
    run("export", out, "--out", tmp_path / f"exported{HOSTILE_NAME}")
    run("eval", f"jsonl:{HOSTILE_NAME}", "--policy", policy)
    run("eval", HOSTILE_NAME, "--policy", policy)
    words = ["--policy", policy, "--resolutions", "native", "--count", "2", "--allow-test"]
    run("collect", f"jsonl:{asked}", *words, "--out", tmp_path / f"collected{HOSTILE_NAME}")
    run("collect", f"jsonl:{asked}", *words, "--out", tmp_path / f"collected{HOSTILE_NAME}", "--json")


def test_what_else_repeats_a_word(tmp_path: Path) -> None:
    (tmp_path / HOSTILE_NAME).write_text("x")
    for words in (
        ["doctor", HOSTILE_NAME],
        ["doctor", f"script:{HOSTILE_NAME}"],
        ["doctor", f"hf:{tmp_path}/{HOSTILE_NAME}"],
        ["doctor", f"script:{HOSTILE_NAME}", "--json"],
        ["profile", HOSTILE_NAME],
        ["scenes", tmp_path / HOSTILE_NAME, "--count", "1", "--resolution", "64"],
        ["export", tmp_path / HOSTILE_NAME, "--out", tmp_path / "out"],
        ["history", tmp_path / HOSTILE_NAME],
        ["compare", tmp_path / HOSTILE_NAME, tmp_path / HOSTILE_NAME],
        ["mcp", "--root", tmp_path / f"{HOSTILE_NAME}!"],
    ):
        assert run(*words).exit_code in (1, 2), words


def test_tables_and_colours_of_a_terminal_are_the_commands_own() -> None:
    table = Table("name", title="t")
    table.add_row(HOSTILE)
    console = CleanConsole()
    console._file, console._force_terminal, console._color_system = StringIO(), True, console._color_system
    console.print(table, style="bold red")
    console.print(HOSTILE, style="dim")
    with console.status("looking…"):
        console.print(HOSTILE)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\\x1b]52;c;aGk=" in text
    assert "\x1b]" not in text
    assert "[red]x[/red]" in text
    assert not {"\x9b", "\x90", "\u202e", "\u200b"} & set(text)


def test_tracebacks_warnings_and_logs_are_cleaned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((sys, "excepthook"), (warnings, "showwarning"), (__import__("threading"), "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    last = logging.StreamHandler(sys.stderr)
    monkeypatch.setattr(logging, "lastResort", last)
    clean_what_libraries_write()
    try:
        raise LookupError(HOSTILE)
    except LookupError as error:
        sys.excepthook(LookupError, error, error.__traceback__)
    warnings.showwarning(UserWarning(HOSTILE), UserWarning, "file.py", 7)
    last.handle(logging.LogRecord("x", logging.ERROR, "file.py", 7, "%s", (HOSTILE,), None))
    said = capsys.readouterr().err
    assert (unclean(said), said.count("\\x1b]52")) == ([], 3)


def test_commands_write_through_one_place() -> None:
    """So that no new one forgets to."""
    writers = {"print", "echo", "secho", "Console"}
    offenders = [
        f"{path.name}:{node.lineno}"
        for path in sorted(CLI.glob("*.py"))
        if path.name not in {"output.py", "console.py"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            getattr(node.func, "id", "") in writers
            or ast.unparse(node.func) in {"typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"}
        )
    ]
    assert offenders == []
