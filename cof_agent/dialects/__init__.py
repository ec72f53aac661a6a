"""How policies write thoughts, calls and answers. One file a dialect."""

from __future__ import annotations

import importlib
from types import ModuleType

from cof_agent.dialects.turn import Call, Dialect, Turn
from cof_agent.errors import ConfigError
from cof_agent.profile import Profile

__all__ = ["DIALECTS", "Call", "Dialect", "Turn", "default_profile", "get_dialect"]

DIALECTS = ("cof", "cof-v1", "deepeyes", "mini-o3", "pixel-reasoner", "qwen3", "native")
"""Names of the dialects."""


def get_dialect(name: str) -> Dialect:
    """The dialect of that name. Raises ConfigError for an unknown one."""
    dialect: Dialect = _module(name).DIALECT
    return dialect


def default_profile(name: str) -> Profile:
    """The profile of policies that were published with that dialect. Raises ConfigError for an unknown one."""
    profile: Profile = _module(name).PROFILE
    return profile


def _module(name: str) -> ModuleType:
    if name not in DIALECTS:
        raise ConfigError(f"no dialect is named {name!r}: choose one of {', '.join(DIALECTS)}")
    return importlib.import_module(f"cof_agent.dialects.{name.replace('-', '_')}")
