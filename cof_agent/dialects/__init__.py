"""How a policy is spoken to: its profile, its tools, and how it writes. One file a dialect; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.dialects.registry import DIALECTS, default_profile, get_dialect, load_profile, parse_profile
    from cof_agent.dialects.turn import Call, Dialect, Turn

_HOMES = {
    "registry": ("DIALECTS", "default_profile", "get_dialect", "load_profile", "parse_profile"),
    "turn": ("Call", "Dialect", "Turn"),
}

__all__ = ["DIALECTS", "Call", "Dialect", "Turn", "default_profile", "get_dialect", "load_profile", "parse_profile"]


__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
