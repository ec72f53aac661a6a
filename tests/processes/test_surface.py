"""What users rely on is as it was recorded: a change of it is made knowingly, with a new record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.support.patience import PATIENCE
from tests.support.surface import ANSWER, ZOOM

SAVED = Path(__file__).parents[1] / "data" / "smolagents_tool"


def test_a_smolagents_tool_that_was_saved_before_loads_and_answers(tmp_path: Path) -> None:
    """`ChainOfFocusTool("script:turns.json").save("tests/data/smolagents_tool")` wrote it, before modules moved."""
    (tmp_path / "turns.json").write_text(json.dumps([ZOOM, ANSWER]))
    Image.linear_gradient("L").resize((280, 196)).save(tmp_path / "wall.png")
    program = (
        "import sys; from smolagents import Tool; tool = Tool.from_code(open(sys.argv[1]).read())\n"
        "print(tool.name, tool(image='wall.png', question='Until when?'))"
    )
    words = [sys.executable, "-c", program, str(SAVED / "tool.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "look_closely nine\n"), done.stderr
