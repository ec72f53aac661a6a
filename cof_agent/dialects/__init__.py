"""How a policy is spoken to: its profile, its tools, and how it writes. One file a dialect; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.dialects.registry import DIALECTS as DIALECTS
    from cof_agent.dialects.registry import default_profile as default_profile
    from cof_agent.dialects.registry import get_dialect as get_dialect
    from cof_agent.dialects.registry import load_profile as load_profile
    from cof_agent.dialects.registry import parse_profile as parse_profile
    from cof_agent.dialects.turn import Call as Call
    from cof_agent.dialects.turn import Dialect as Dialect
    from cof_agent.dialects.turn import Turn as Turn
else:
    __getattr__, __dir__ = lazy_names(__name__)
