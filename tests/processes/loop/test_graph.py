from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]


def test_an_abandoned_policy_does_not_keep_the_process_alive() -> None:
    code = """
import asyncio
from cof_agent import ChainOfFocus, FocusConfig
from tests.support.conversations import answer, photo, slow
agent = ChainOfFocus(slow(answer("42")), config=FocusConfig(max_seconds=0.5))
print(agent.ask(photo(), "What?").status, asyncio.run(agent.aask(photo(), "What?")).status)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.split() == ["budget", "budget"]
    assert "Traceback" not in done.stderr
