"""What the tests of all hosts look at: a photo, and a policy that zooms once."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cof_agent import ChainOfFocus, ImageLimits, Policy, Profile
from cof_agent.dialects.registry import default_profile
from cof_agent.policies.script import ScriptedModel

ZOOM = (
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)
NINE = "<answer>nine</answer>"
REGION = [5, 10, 95, 70]
"""Where that call leads to in the photo."""
SECOND = (
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [100, 100, 400, 400], "label": "sign", '
    '"img_idx": 1}}</tool_call>'
)
"""A zoom into the second of two images, in the dialect `qwen3`."""
IN_SECOND = [31, 23, 128, 96]
"""Where that call leads to in `other_photo`."""
DARK = "<answer>cannot answer: too dark</answer>"


def photo() -> Image.Image:
    return Image.linear_gradient("L").resize((280, 196)).convert("RGB")


def other_photo() -> Image.Image:
    return Image.radial_gradient("L").resize((320, 240)).convert("RGB")


def agent_of_several(*turns: str, limits: ImageLimits | None = None) -> ChainOfFocus:
    """Its dialect names images."""
    model = ScriptedModel(turns=list(turns or (SECOND, NINE)))
    return ChainOfFocus(Policy(model, default_profile("qwen3"), "script"), limits=limits)


def agent(*turns: str, limits: ImageLimits | None = None) -> ChainOfFocus:
    return ChainOfFocus(Policy(ScriptedModel(turns=list(turns or (ZOOM, NINE))), Profile(), "script"), limits=limits)


def script(folder: Path, *turns: str) -> str:
    """The spec of a policy that says these turns."""
    path = folder / "script.json"
    path.write_text(json.dumps(turns or (ZOOM, NINE)))
    return f"script:{path}"
