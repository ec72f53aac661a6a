"""Policies: who answers. One file a kind of model; public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.policies.loading import KINDS as KINDS
    from cof_agent.policies.loading import load_policy as load_policy
    from cof_agent.policies.policy import Policy as Policy
else:
    __getattr__, __dir__ = lazy_names(__name__)
