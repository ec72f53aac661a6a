"""The commands of training/README.md that train `tiny` further, as they stand there, but fewer questions and steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.evaluation import read_run
from cof_agent.learning.collecting.collected import read_rows
from training import sft

ROOT = Path(__file__).parents[3]
SMALL = {"--limit": "2", "--count": "4", "--resolutions": "224"}


def commands() -> list[list[str]]:
    section = (ROOT / "training" / "README.md").read_text(encoding="utf-8").partition("### `tiny`, further\n")[2]
    found = re.search(r"```bash\n(.*?)```", section, re.S)
    assert found
    return [shlex.split(line) for line in found[1].splitlines()]


def test_five_commands_from_tiny_to_a_measured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cof_agent", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    assert len(commands()) == 5
    for words in commands():
        small = [SMALL.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        if small[0] == "cof-agent":
            done = CliRunner().invoke(app, small[1:])
            assert done.exit_code == 0, done.output
        else:
            assert small[:3] == ["python", "-m", "training.sft"]
            assert sft.main([*small[3:], "--steps", "2"]) == 0
    mine = tmp_path / "runs" / "mine"
    assert [row.kind for row in read_rows(mine / "kept")]
    before, after = (read_run(mine / name).rows for name in ("before", "after"))
    assert [row.question for row in before] == [row.question for row in after]
    assert len(before) == 2
    assert not [row.message for row in (*before, *after) if row.status == "failed"]
