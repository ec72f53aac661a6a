"""What the environment says of endpoints: the one place that reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

KEY = "OPENAI_API_KEY"
"""The variable with the key for `openai:`."""

ADDRESSES = ("OPENAI_API_BASE", "OPENAI_BASE_URL")
"""The variables with the address for `openai:`. The first that is set counts, as for LangChain's own class."""


@dataclass(frozen=True, slots=True)
class EndpointEnvironment:
    """The key and the address for `openai:`, as the environment has them; None where it has none.

    Other providers' classes are LangChain's and read their own variables.
    """

    key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    """May hold a user and password."""

    @classmethod
    def read(cls) -> EndpointEnvironment:
        """What is set now. For the edges, `load_policy` and the command line; all below them takes the value."""
        return cls(os.environ.get(KEY), next((os.environ[name] for name in ADDRESSES if name in os.environ), None))


UNSET = EndpointEnvironment()
"""An environment that says nothing of endpoints."""
