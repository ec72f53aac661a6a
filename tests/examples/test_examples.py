"""Every example, run as its first line says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "ask.py": "yes",
    "langchain_tool.py": "yes [{'view': ",
    "langgraph_node.py": "yes",
    "mcp_client.py": "yes ['text', 'text', 'image'",
    "smolagents_tool.py": "yes",
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SAYS, "evaluate_jsonl.py", "own_benchmark.py"}


@pytest.mark.parametrize("name", SAYS)
def test_example(name: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout.lower()
