from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.evaluation.layouts import vstar, vstar_row

HUB = """
import sys
from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks import open_benchmark
print(len(list(open_benchmark("vstar:somebody/copy"))))
try:
    open_benchmark("vstar:somebody/nothing")
except ConfigError as error:
    print(error)
"""


def test_a_hub_id_is_downloaded_once_and_a_failure_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    cached = tmp_path / "hub" / "datasets--somebody--copy"
    vstar(cached / "snapshots" / ("0" * 40), vstar_row(0))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", HUB], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    number, failure = done.stdout.splitlines()
    assert number == "1"
    assert "somebody/nothing is no directory here" in failure
    assert "give its directory" in failure
