"""The example about `tiny` draws what was zoomed on, here by a script in its place."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cof_agent

EXAMPLE = Path(__file__).parents[3] / "examples" / "ask_tiny.py"
CALL = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [40, 50, 120, 110], "label": "that"}}
RED = (255, 0, 0)


def test_zooms_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [
        f"<think>Closer.</think><tool_call>{json.dumps(CALL)}</tool_call>",
        "<think>So.</think><answer>red</answer>",
    ]
    (tmp_path / "script.json").write_text(json.dumps(turns))
    scripted = cof_agent.load_policy(f"script:{tmp_path / 'script.json'}")

    def instead(spec: str, **options: Any) -> Any:
        assert spec == "tiny"
        return scripted

    monkeypatch.setattr(cof_agent, "load_policy", instead)
    monkeypatch.setattr(sys, "argv", ["ask_tiny.py", "3", str(tmp_path / "seen.png")])
    seen = runpy.run_path(str(EXAMPLE))
    assert "1 zooms drawn in" in capsys.readouterr().out
    box = seen["result"].views[1].box
    drawn = Image.open(tmp_path / "seen.png")
    assert [drawn.getpixel(corner) for corner in ((box.x1, box.y1), (box.x2, box.y2))] == [RED, RED]


def test_half_of_its_arguments_is_refused_with_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ask_tiny.py", "3"])
    with pytest.raises(SystemExit, match="NUMBER and the FILE"):
        runpy.run_path(str(EXAMPLE))
