"""What the tests of commands give to them: a picture, a script, and the command itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("cof-agent")
ENDLESS = [sys.executable, "-m", "tests.support.endless_reader"]
PHOTO = ROOT / "examples" / "images" / "motorcycle.jpg"
ZOOM = (
    "<think>The sign is small.</think>"
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)


def wall(folder: Path) -> str:
    """A picture of 280x196 pixels."""
    path = folder / "wall.png"
    Image.linear_gradient("L").resize((280, 196)).save(path)
    return str(path)


def script(folder: Path, *turns: str) -> str:
    """A policy that says `turns`."""
    path = folder / "script.json"
    path.write_text(json.dumps(turns))
    return f"script:{path}"
