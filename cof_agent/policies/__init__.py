"""Policies: who answers. One file a kind of model; public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.policies.loading import KINDS, load_policy
    from cof_agent.policies.policy import Policy

_HOME = {"KINDS": "loading", "load_policy": "loading", "Policy": "policy"}

__all__ = ["KINDS", "Policy", "load_policy"]


__getattr__ = lazy_names(__name__, _HOME)
