"""Which profile suits a published checkpoint, told by its name or its configuration."""

from __future__ import annotations

import re
from pathlib import PurePath

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import default_profile

_NAMES = (
    (r"mini-?o3", "mini-o3"),
    (r"deep-?eyes", "deepeyes"),
    (r"pixel-?reasoner", "pixel-reasoner"),
    (r"\bcof\b|chain-of-focus", "cof"),
    (r"qwen-?3([.-]\d)?-?vl", "qwen3"),
    (r"qwen-?2([.-]5)?-?vl", "cof"),
)
"""What a name holds, and the dialect of such policies. Base models come after those fine-tuned from them."""

_MODEL_TYPES = {"qwen2_vl": "cof", "qwen2_5_vl": "cof", "qwen3_vl": "qwen3", "qwen3_vl_moe": "qwen3"}
"""The `model_type` of a checkpoint's configuration, and the dialect for one whose name says nothing."""


def known_profile(name: str, model_type: str | None = None) -> Profile:
    """The default profile for a checkpoint of that name, or else of that `model_type`; `native` for any other.

    `name` is a hub id, a path or what a server calls it; of folders only the last one counts.
    """
    plain = re.sub(r"[\s_.]+(?=vl|o3|eyes)|_", "-", PurePath(name).name.lower())
    found = next((dialect for pattern, dialect in _NAMES if re.search(pattern, plain)), None)
    return default_profile(found or _MODEL_TYPES.get(model_type or "", "native"))
