"""`cof-agent collect` as a shell sees it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cof_agent.evaluation import read_run
from cof_agent.learning.collecting.collection import collect
from tests.support.interrupted_evaluation import interrupt
from tests.support.learning.told import lasting

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
