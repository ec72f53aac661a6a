"""What a launcher tells a process of how it trains: `accelerate launch`, or whoever sets the same variables."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_YES = {"1", "true", "t", "yes", "y", "on"}


def is_sharded(environment: Mapping[str, str]) -> bool:
    """Whether each weight is spread over the processes: FSDP, ZeRO-3, Megatron-LM, or sizes of a parallelism above 1.

    `accelerate launch` says so in variables, whether it was told by its configuration file or by options.
    """
    if any(_is_on(environment, f"ACCELERATE_USE_{name}") for name in ("FSDP", "MEGATRON_LM")):
        return True
    if any(_size(environment, f"PARALLELISM_CONFIG_{name}_SIZE") > 1 for name in ("DP_SHARD", "TP", "CP")):
        return True
    return _is_on(environment, "ACCELERATE_USE_DEEPSPEED") and _zero_stage(environment) == "3"


def _zero_stage(environment: Mapping[str, str]) -> str:
    """DeepSpeed's stage. Its own configuration, where there is one, counts before accelerate's."""
    told = environment.get("ACCELERATE_DEEPSPEED_CONFIG_FILE", "none")
    stage: Any = "auto"
    if told != "none":
        stage = _deepspeed(told).get("zero_optimization", {}).get("stage", "auto")
    return str(environment.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2") if stage == "auto" else stage)


def _deepspeed(told: str) -> dict[str, Any]:
    """DeepSpeed's configuration: a file, or JSON in base64. Empty where it cannot be read: DeepSpeed then says so."""
    try:
        path = Path(told)
        text = path.read_text(encoding="utf-8") if path.is_file() else base64.urlsafe_b64decode(told).decode()
        value = json.loads(text)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in _YES


def _size(environment: Mapping[str, str], name: str) -> int:
    told = environment.get(name, "1").strip()
    return int(told) if told.isdigit() else 1
