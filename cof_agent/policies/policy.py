"""A policy: a chat model and the profile it is spoken to with."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from cof_agent.dialects.profile import Profile


@dataclass(frozen=True, slots=True)
class Policy:
    """What drives the loop."""

    model: BaseChatModel
    profile: Profile
    name: str
    """How results name it: the spec it was loaded from."""
