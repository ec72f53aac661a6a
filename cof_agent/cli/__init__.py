"""The command `cof-agent`: one file a command, and `main`, its entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.cli.app import main as main
else:
    __getattr__, __dir__ = lazy_names(__name__)
