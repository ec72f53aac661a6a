"""`make tiny`, in a copy of what it needs: all stages, a step each, and none a second time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cof_agent import load_policy
from tests.support.patience import PATIENCE
from tests.support.warm import warm_python
from training.tiny_pretrain.ship import NEEDED

ROOT = Path(__file__).parents[4]
STAGES = ("tower", "language", "episodes", "adaptive")
SMALL = {"steps": 1, "tokens": 64, "held": 1, "reuse": 1, "measure_steps": 9}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Makefile, recipes with steps of a second, and this Python as its virtual environment."""
    shutil.copytree(
        ROOT / "training", tmp_path / "training", ignore=shutil.ignore_patterns("checkpoint", "__pycache__")
    )
    for stage in STAGES:
        config = tmp_path / "training" / "configs" / f"tiny_{stage}.yaml"
        told = yaml.safe_load(config.read_text(encoding="utf-8")) | SMALL
        if "episodes" in told:
            told["episodes"] = 1
        config.write_text(yaml.safe_dump(told), encoding="utf-8")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (tmp_path / ".venv" / ".dev").touch()
    with warm_python(python):
        yield tmp_path


def make(checkout: Path, *words: str) -> tuple[str, list[str]]:
    """The first line that make prints, and the modules that it runs."""
    words = ("make", *words, "tiny")
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, cwd=checkout, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"python -m training\.tiny_pretrain(?:\.(\w+)| --config \S+_(\w+)\.yaml)", done.stdout)
    return done.stdout.splitlines()[0], [module or stage for module, stage in ran]


def test_it_goes_from_nothing_to_the_package_and_repeats_no_stage(checkout: Path) -> None:
    first, planned = make(checkout, "--dry-run")
    assert "takes hours" in first
    assert planned == ["seed", *STAGES, "ship"]
    assert not (checkout / "runs").exists()
    first, ran = make(checkout)
    assert "takes hours" in first
    assert ran == planned
    assets = checkout / "cof_agent" / "policies" / "tiny" / "checkpoint"
    assert {path.name for path in assets.iterdir()} == set(NEEDED)
    load_policy(f"hf:{assets}", device="cpu")
    assert make(checkout, "--dry-run")[1] == ["ship"]
    (checkout / "runs" / "tiny" / ".language").unlink()
    assert make(checkout, "--dry-run")[1] == ["language", "episodes", "adaptive", "ship"]
