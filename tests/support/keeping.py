"""Conversations with `--keep`: a picture, a script and the command, in the working directory and in this process."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from cof_agent.cli.app import app
from tests.support.conversations import answer, photo, zoom

TURNS = [zoom(10, 20, 60, 70, label="sign"), answer("nine"), answer("yes"), answer("no")]


def write_files() -> None:
    Path("script.json").write_text(json.dumps(TURNS))
    photo().save("photo.png")
    photo(320, 240).save("other.png")


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, words, input=typed)


def kept(*words: str) -> list[tuple[str, str, str | None]]:
    lines = run("history", "runs.db", "--json", *words).stdout.splitlines()
    return [(run["question"], run["standing"], run["answer"]) for run in map(json.loads, lines)]
