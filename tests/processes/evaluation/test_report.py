"""Reports: what stands on disk, on the screen and on the page."""

from __future__ import annotations

import subprocess
import sys


def test_reports_need_nothing_heavy_until_they_are_drawn() -> None:
    code = "import cof_agent.evaluation.compare, cof_agent.evaluation.report.terminal, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "matplotlib", "pyarrow"} & set(loaded)
