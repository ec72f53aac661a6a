"""Every example, run as its first line says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.warm import WarmProcess

EXAMPLES = Path(__file__).parents[3] / "examples"
SAYS = {
    "agent_system.py": "i had a close look: yamaha",
    "ask.py": "yes",
    "ask_tiny.py": "(true: red)",
    "checkpointed_run.py": "brand: which brand is it? answered, 1 zoom",
    "langchain_tool.py": "yes [{'view': ",
    "langgraph_fan_out.py": "what does the side say? yamaha",
    "langgraph_node.py": "yes",
    "mcp_client.py": "yes ['text', 'text', 'image'",
    "person_in_the_loop.py": "yamaha, seen in [304, 291, 431, 379]",
    "smolagents_tool.py": "yes",
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        *SAYS,
        "draw_run.py",
        "evaluate_jsonl.py",
        "own_benchmark.py",
    }


@pytest.mark.parametrize("name", SAYS)
def test_example(name: str, tmp_path: Path) -> None:
    process = WarmProcess(["python", EXAMPLES / name], tmp_path / "said", cwd=tmp_path)
    assert process.wait() == 0, process.said
    assert SAYS[name] in process.said.lower()
