"""The policy `tiny`: a checkpoint that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cof_agent.policies.qwen import load_qwen

if TYPE_CHECKING:
    from cof_agent.dialects.profile import Profile
    from cof_agent.policies.qwen.chat import ChatQwenVL

FOLDER = Path(__file__).parent / "checkpoint"
"""A Qwen2.5-VL checkpoint; what it is and can do, says its README.md."""


def load_tiny(
    *, profile: Profile | None = None, dialect: str | None = None, **options: Any
) -> tuple[ChatQwenVL, Profile]:
    """Open it. Arguments, result and errors are those of `cof_agent.policies.qwen.load_qwen`."""
    return load_qwen(str(FOLDER), profile=profile, dialect=dialect, **options)
