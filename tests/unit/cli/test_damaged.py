"""Files of any kind in any place end a command in one line and a documented exit code, never in a traceback."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from tests.support.commands import script, wall
from tests.support.conversations import answer, photo, zoom
from tests.support.hostile import unclean

pytestmark = pytest.mark.slow

DEEP = b"[" * 200_000
LONG_NUMBER = b"9" * 5000
CONTENTS: dict[str, bytes] = {
    "brackets": DEEP,
    "closed brackets": b'{"profile": ' + DEEP + b"]" * 200_000 + b"}",
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "long number": b'{"schema": ' + LONG_NUMBER + b"}",
    "big number": b'{"schema": 1e999, "count": ' + b"9" * 400 + b"}",
    "not a number": b'{"schema": NaN, "turns": [NaN], "overview": {"max_pixels": Infinity}}',
    "half surrogates": b'{"turns": ["\\ud800"], "question": "\\udfff", "dialect": "\\ud800"}',
    "a list": b"[1, null, [], {}]",
    "noise": bytes((7 * number * number + 13 * number) % 256 for number in range(4096)),
    "SQLite's head": b"SQLite format 3\0" + b"\xff" * 4000,
    "parquet's ends": b"PAR1" + b"\xff" * 400 + b"\x10\0\0\0PAR1",
    "a line of each": b'{"a": 1}\n' + DEEP + b'\n{"image": "x", "question": NaN}\n\xff\n[]\n{"schema": 1}\n',
}
EXITS = {0, 1, 2, 3}


def run(*words: Any, typed: str = ""):
    done = CliRunner().invoke(app, [str(word) for word in words], input=typed)
    assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
    assert done.exit_code in EXITS, words
    assert "Traceback" not in done.stderr
    assert unclean(done.stderr + done.stdout) == [], words
    return done


@pytest.fixture
def image(tmp_path: Path) -> str:
    return wall(tmp_path)


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than all else here."""
    monkeypatch.setattr("cof_agent.evaluation.report.files.plots_of", lambda runs: {})


@pytest.fixture
def policy(tmp_path: Path) -> str:
    return script(tmp_path, zoom(20, 20, 80, 60), answer("42"))


def everywhere(path: Path, image: str, policy: str, home: Path) -> list[list[Any]]:
    """Every command that reads a file, with `path` in the place of each."""
    named = ["--policy", policy]
    return [
        ["ask", path, "What?", *named],
        ["ask", image, "What?", *named, "--profile", path],
        ["ask", image, "What?", "--policy", f"script:{path}"],
        ["ask", image, "What?", *named, "--keep", path],
        ["ask", image, "What?", *named, "--save", path],
        ["chat", path, *named, "-q", "What?"],
        ["doctor", f"script:{path}"],
        ["eval", f"jsonl:{path}", *named, "--out", home / "run"],
        ["eval", f"hrbench:{path}", *named, "--out", home / "run"],
        ["eval", f"mme-realworld-lite:{path}", *named, "--out", home / "run"],
        ["eval", f"vstar:{path}", *named, "--out", home / "run"],
        ["eval", "scenes", *named, "--limit", "1", "--out", path],
        ["compare", path, home],
        ["collect", f"jsonl:train:{path}", *named, "--count", "1", "--out", home / "collected"],
        ["collect", "scenes:train", *named, "--count", "1", "--out", path],
        ["export", path, "--out", home / "rows"],
        ["export", path, "--from", "sharegpt", "--out", home / "rows"],
        ["export", path, "--from", "trl", "--out", home / "rows"],
        ["export", path, "--from", "trl", "--to", "trl-grpo", "--out", home / "rows"],
        ["export", home, "--out", path],
        ["history", path],
        ["history", path, "--save", home / "saved"],
        ["scenes", path, "--count", "1", "--resolution", "32"],
        ["scenes", home / "scenes", "--count", "1", "--resolution", "32", "--photo", path],
    ]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda name: name.replace(" ", "-"))
def test_a_file_that_is_something_else(content: str, image: str, policy: str, tmp_path: Path) -> None:
    home, data = tmp_path / "home", CONTENTS[content]
    home.mkdir()
    path = tmp_path / "odd"
    for words in everywhere(path, image, policy, home):
        path.write_bytes(data)
        run(*words)
    for name in ("odd.tsv", "odd.parquet"):
        (tmp_path / name).write_bytes(data)
        run("eval", f"hrbench:{tmp_path / name}", "--policy", policy, "--out", home / "run")
        run("export", tmp_path / name, "--from", "trl", "--out", home / "rows")


ODD_PATHS: dict[str, Callable[[Path], Any]] = {
    "a long name": lambda home: home / ("n" * 9000),
    "a long path": lambda home: home / "/".join(["n" * 200] * 40),
    "a directory": lambda home: home,
    "below a file": lambda home: Path(__file__) / "x",
    "nobody's home": lambda home: "~nobody-is-called-so/x",
    "a circle": lambda home: home / "circle",
    "no UTF-8": lambda home: home / os.fsdecode(b"\xff\xfe"),
    "an endless device": lambda home: "/dev/null",
    "a name with NUL": lambda home: "a\0b",
    "nothing": lambda home: "",
}


@pytest.mark.parametrize("kind", ODD_PATHS, ids=lambda name: name.replace(" ", "-").replace("'", ""))
def test_a_name_that_is_no_files(
    kind: str, image: str, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, place = tmp_path / "home", tmp_path / "place"
    home.mkdir(), place.mkdir()
    monkeypatch.chdir(place)
    (home / "circle").symlink_to(home / "circle")
    name = ODD_PATHS[kind](home)
    for words in everywhere(name, image, policy, tmp_path / "other"):
        run(*words)
    typed = f"What?\n/save {name}\n/image {name}\n".encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert run("chat", image, "--policy", policy, typed=typed).stdout == "42\n"


@pytest.fixture
def made(image: str, policy: str, tmp_path: Path) -> Path:
    """A run, a collection, an export for each target, a file of conversations."""
    home = tmp_path / "made"
    home.mkdir()
    photo(224, 168).save(home / "photo.png")
    row = {"image": "photo.png", "question": "What?", "answer": "42", "id": "q"}
    (home / "asked.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"image": "photo.png"}) + "\n")
    asked, named = f"jsonl:train:{home / 'asked.jsonl'}", ["--policy", policy, "--resolutions", "native,448"]
    assert run("eval", asked, *named, "--trajectories", "--out", home / "run").exit_code == 0
    assert run("collect", asked, *named, "--count", "1", "--out", home / "kept").exit_code == 0
    for target in ("trl", "trl-grpo", "sharegpt"):
        assert run("export", home / "kept", "--to", target, "--out", home / target).exit_code == 0
    assert run("ask", image, "What?", "--policy", policy, "--keep", home / "runs.db", "--thread", "t").exit_code == 0
    return home


def commands_over(home: Path, image: str, policy: str, new: Path) -> list[list[Any]]:
    """Every command that goes on with, or reads, what others wrote."""
    named = ["--policy", policy, "--resolutions", "native,448"]
    asked = f"jsonl:train:{home / 'asked.jsonl'}"
    return [
        ["eval", asked, *named, "--trajectories", "--out", home / "run"],
        ["eval", asked, *named, "--trajectories", "--out", home / "run", "--retry-failed", "--judge", policy],
        ["compare", home / "run", home / "kept" / "tried"],
        ["collect", asked, *named, "--count", "1", "--out", home / "kept"],
        ["export", home / "kept", "--out", new / "a"],
        ["export", home / "run", "--out", new / "b"],
        ["export", home / "kept", "--to", "trl-grpo", "--out", new / "c"],
        ["export", home / "trl", "--from", "trl", "--out", new / "d"],
        ["export", home / "trl-grpo", "--from", "trl", "--to", "trl-grpo", "--out", new / "e"],
        ["export", home / "sharegpt", "--from", "sharegpt", "--out", new / "f"],
    ]


DAMAGED = (
    "run/run.json", "run/results.jsonl", "run/skipped.jsonl", "run/malformed.jsonl",
    "run/trajectories/trajectories.jsonl", "kept/report.json", "kept/rows.jsonl", "kept/trajectories.jsonl",
    "kept/tried/results.jsonl", "kept/tried/trajectories/trajectories.jsonl", "trl/metadata.jsonl",
    "trl-grpo/metadata.jsonl", "sharegpt/dataset_info.json",
)  # fmt: skip


def test_what_a_command_wrote_and_a_disk_has_damaged(made: Path, image: str, policy: str, tmp_path: Path) -> None:
    contents = ["brackets", "no UTF-8", "long number", "big number", "half surrogates", "a list", "a line of each"]
    for number, name in enumerate(DAMAGED):
        whole = (made / name).read_bytes()
        content = contents[number % len(contents)]
        for words in commands_over(made, image, policy, tmp_path / f"{number}"):
            if made / name.split("/")[0] in words:
                (made / name).write_bytes(CONTENTS[content])
                run(*words)
        (made / name).write_bytes(whole)


def test_every_field_of_what_was_written_may_be_anything(made: Path, image: str, policy: str, tmp_path: Path) -> None:
    """One field at a time, in files that are JSON: the line is malformed, or the file is."""
    odd: list[Any] = [None, "x", [], {}, -1, 1e999, 10**400, "\ud800"]
    names = ("run/run.json", "run/results.jsonl", "kept/rows.jsonl", "kept/report.json", "trl/metadata.jsonl")
    for turn, name in enumerate(names):
        whole = (made / name).read_text()
        first, rest = (whole, "") if name.endswith(".json") else whole.split("\n", 1)
        reader = {"run": 2, "kept": 4, "trl": 7}[name.split("/")[0]]
        for number, field in enumerate(json.loads(first)):
            value = json.loads(first) | {field: odd[(number + turn) % len(odd)]}
            (made / name).write_text(json.dumps(value) + ("\n" + rest if rest else "\n"))
            run(*commands_over(made, image, policy, tmp_path / f"{turn}{number}")[reader])
        (made / name).write_text(whole)


def test_a_state_of_sqlite_that_is_damaged(made: Path, image: str, policy: str, tmp_path: Path) -> None:
    file, whole = made / "runs.db", (made / "runs.db").read_bytes()
    readers = [
        ["history", file],
        ["history", file, "--save", tmp_path / "saved"],
        ["ask", image, "And?", "--policy", policy, "--keep", file, "--thread", "t"],
        ["chat", "--policy", policy, "--keep", file, "--thread", "t", "-q", "And?"],
    ]
    for words in readers:
        for begin in range(0, len(whole), len(whole) // 5):  # pages of garbage
            file.write_bytes(whole[:begin] + b"\x5a" * 4096 + whole[begin + 4096 :])
            run(*words)
        file.write_bytes(whole[: len(whole) // 2])
        run(*words)
        for blob in (b"", b"\xc1", b"\x93\x01\x02\x03", b"\x80", b"\xff" * 50):  # payloads that are none
            file.write_bytes(whole)
            with sqlite3.connect(file) as connection:
                connection.execute("UPDATE checkpoints SET checkpoint = ?", (blob,))
            connection.close()
            assert run(*words).exit_code in (1, 2)
        file.write_bytes(whole)


def test_a_file_that_may_grow_no_further(made: Path, image: str, policy: str, tmp_path: Path) -> None:
    """As on a full disk, wherever a command writes."""
    resource = pytest.importorskip("resource", reason="only POSIX has limits")
    asked, named = f"jsonl:train:{made / 'asked.jsonl'}", ["--policy", policy, "--resolutions", "native,448"]
    writers = [
        ["eval", asked, *named, "--trajectories", "--out", tmp_path / "run"],
        ["collect", asked, *named, "--count", "1", "--out", tmp_path / "kept"],
        ["export", made / "kept", "--out", tmp_path / "rows"],
        ["export", made / "kept", "--to", "sharegpt", "--out", tmp_path / "more"],
        ["export", made / "kept", "--format", "parquet", "--out", tmp_path / "table"],
        ["compare", made / "run", made / "kept" / "tried", "--out", tmp_path / "compared"],
        ["ask", image, "What?", "--policy", policy, "--save", tmp_path / "saved"],
        ["ask", image, "What?", "--policy", policy, "--keep", tmp_path / "new.db"],
        ["history", made / "runs.db", "--save", tmp_path / "history"],
        ["scenes", tmp_path / "scenes", "--count", "1", "--resolution", "64"],
    ]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (0, 300, 3000):
        for words in writers:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
            try:
                done = run(*words)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            if most == 0:
                assert done.exit_code in (1, 2), words


def test_what_no_part_of_a_command_has_met_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[BaseException] = [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.ENAMETOOLONG, "File name too long", "n" * 9000),
        RecursionError("maximum recursion depth exceeded"),
        MemoryError(),
        sqlite3.DatabaseError("malformed"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ]
    for error in met:

        def fail(raised: BaseException = error) -> Any:
            raise raised

        monkeypatch.setattr("cof_agent.policies.checks.installation.diagnose", fail)
        done = run("doctor")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("cof-agent: ")
        assert done.stderr.count("\n") == 1
        assert len(done.stderr) < 400
    assert "make room on the disk" in _told(monkeypatch, met[0])


def _told(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> str:
    def fail() -> Any:
        raise error

    monkeypatch.setattr("cof_agent.policies.checks.installation.diagnose", fail)
    return run("doctor").stderr
