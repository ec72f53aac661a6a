"""Which dialect a published checkpoint speaks, told by its name or its configuration."""

from __future__ import annotations

import re
from pathlib import PurePath

_NAMES = (
    (r"mini-?o3", "mini-o3"),
    (r"deep-?eyes", "deepeyes"),
    (r"pixel-?reasoner", "pixel-reasoner"),
    (r"\bcof\b|chain-of-focus", "cof"),
    (r"sense-?nova-?mars", "sensenova-mars"),
    (r"qwen-?3(\.[568]|-[568](?![\db]))", "qwen3.5"),
    (r"qwen-?3([.-]\d)?-?vl", "qwen3"),
    (r"qwen-?2([.-]5)?-?vl", "cof"),
)
"""What a name holds, and the dialect of such policies. Base models come after those fine-tuned from them."""

_UNREAD = (
    (r"deep-?eyes-?v?2", "DeepEyesV2"),
    (r"\bthyme\b", "Thyme"),
    (r"py-?vision", "PyVision"),
)
"""Names of policies that look closer by writing Python inside `<code>`, which nothing here runs.

Visual-Agent/DeepEyesV2@0373e6e0c923110fd6ff807b30474d8184785562, `evaluation/inference_demo/inference_demo.py`, and
`evaluation/VLMEvalKit/vlmeval/vlm/thyme/utils.py` there; agents-x-project/PyVision-RL, `README.md`.
"""

MODEL_TYPES = {
    "qwen2_vl": "cof",
    "qwen2_5_vl": "cof",
    "qwen3_vl": "qwen3",
    "qwen3_vl_moe": "qwen3",
    "qwen3_5": "qwen3.5",
    "qwen3_5_moe": "qwen3.5",
}
"""The `model_type` of a checkpoint's configuration, and the dialect for one whose name says nothing."""


def known_dialect(name: str, model_type: str | None = None) -> tuple[str, str] | None:
    """The dialect of a checkpoint of that name, or else of that `model_type`, and which of both says so.

    `name` is a hub id, a path or what a server calls it; of folders only the last one counts. None for any other.
    """
    plain = _plain(name)
    for pattern, dialect in _NAMES:
        if re.search(pattern, plain):
            return dialect, "its name"
    return (MODEL_TYPES[model_type], f"its type {model_type}") if model_type in MODEL_TYPES else None


def unread_form(name: str) -> str | None:
    """Why a policy of that name cannot be spoken to, and what to do; None for any other."""
    plain = _plain(name)
    for pattern, known in _UNREAD:
        if re.search(pattern, plain):
            return (
                f"{name} is called like {known}, which looks closer by Python code inside <code>: no dialect reads "
                "that, and no code is run; ask it with --dialect native (or profile=) to have it answer without code"
            )
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_.]+(?=vl|o3|eyes)|_", "-", PurePath(name).name.lower())
