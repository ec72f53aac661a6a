"""How policies write thoughts, calls and answers. One file a dialect."""

from __future__ import annotations

from cof_agent.dialects.turn import Call, Dialect, Turn
from cof_agent.errors import ConfigError

__all__ = ["Call", "Dialect", "Turn", "get_dialect"]

_MODULES = {name: f"cof_agent.dialects.{name}" for name in ("cof", "native")}


def get_dialect(name: str) -> Dialect:
    """The dialect of that name. Raises ConfigError for an unknown one."""
    import importlib

    if name not in _MODULES:
        raise ConfigError(f"no dialect is named {name!r}: choose one of {', '.join(_MODULES)}")
    dialect: Dialect = importlib.import_module(_MODULES[name]).DIALECT
    return dialect
