"""`cof-agent collect` as a shell sees it."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from cof_agent.errors import CofError, LockedError
from cof_agent.evaluation import read_run
from cof_agent.files import LOCK
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports.exporting import export
from tests.support.interrupted_evaluation import interrupt
from tests.support.learning.told import lasting
from tests.support.warm import WarmProcess

START = """
import typer
import cof_agent.evaluation.report.files, cof_agent.evaluation.results
from cof_agent.cli.collect import collect_command
cof_agent.evaluation.report.files.write_report = cof_agent.evaluation.results.read_run
typer.run(collect_command)
"""


ASKED = ["scenes:train", "--policy", "observer", "--resolutions", "224,672"]


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


@pytest.mark.usefixtures("no_report")
def test_killed_while_it_collects_it_ends_with_the_same_data(tmp_path: Path) -> None:
    words = [sys.executable, "-c", START, *ASKED, "--count", "16", "--limit", "8", "--out", str(tmp_path / "killed")]
    interrupt(words, tmp_path / "killed" / "tried", 16, kills=1)
    report = collect("scenes:train", "observer", count=16, limit=8, resolutions=(224, 672), out=tmp_path / "quiet")
    assert report.kept > 3
    assert lasting(tmp_path / "killed") == lasting(tmp_path / "quiet")


MARKS = ("trajectories.jsonl", "rows.jsonl", "report.json")
"""What it renames into place in its directory, in this order."""


@pytest.mark.usefixtures("no_report")
def test_killed_between_any_two_of_its_marks_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """And while it lives, another is refused; its death lets others in."""
    out, quiet, given = tmp_path / "killed", tmp_path / "quiet", {"count": 6, "limit": 3, "resolutions": (224, 672)}
    words = [sys.executable, "-c", START, *ASKED, "--count", "6", "--limit", "3", "--out", str(out)]
    refused: list[str] = []

    def is_held(process: WarmProcess) -> bool:
        if not process.is_held:
            return False
        with pytest.raises(LockedError, match="has been collecting from scenes:train since") as locked:
            collect("scenes:train", "observer", out=out, **given)
        refused.append(str(locked.value))
        return True

    for mark in MARKS:
        process = WarmProcess(words, tmp_path / "said", before=f"killed/{mark}")
        process.kill_when(partial(is_held, process))
        assert (out / f".{mark}.part").exists()
        assert f"process {json.loads((out / LOCK).read_text())['pid']} on " in refused[-1]
        assert not (out / "report.json").exists(), "it is unfinished, and looks so"
        with pytest.raises(CofError, match=r"unfinished|has no trajectories"):
            export(out, tmp_path / "exported")
    report = collect("scenes:train", "observer", out=out, **given)
    assert not (out / LOCK).exists()
    assert report == collect("scenes:train", "observer", out=quiet, **given)
    assert report.kept > 1
    assert lasting(out) == lasting(quiet)
    rows = read_run(out / "tried").rows
    assert len({row.key for row in rows}) == len(rows) == report.tried
    lines = (out / "trajectories.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == report.kept
