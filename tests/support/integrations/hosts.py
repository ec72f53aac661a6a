"""What the tests of all hosts look at: a photo, and a policy that zooms once."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cof_agent import ChainOfFocus, ImageLimits, Policy, Profile
from cof_agent.policies.script import ScriptedModel

ZOOM = (
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)
NINE = "<answer>nine</answer>"
REGION = [5, 10, 95, 70]
"""Where that call leads to in the photo."""
DARK = "<answer>cannot answer: too dark</answer>"


def photo() -> Image.Image:
    return Image.linear_gradient("L").resize((280, 196)).convert("RGB")


def agent(*turns: str, limits: ImageLimits | None = None) -> ChainOfFocus:
    return ChainOfFocus(Policy(ScriptedModel(turns=list(turns or (ZOOM, NINE))), Profile(), "script"), limits=limits)


def script(folder: Path, *turns: str) -> str:
    """The spec of a policy that says these turns."""
    path = folder / "script.json"
    path.write_text(json.dumps(turns or (ZOOM, NINE)))
    return f"script:{path}"
