"""Ask a question about an image, and what a run leaves behind. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.agent.batch import Question
    from cof_agent.agent.chain_of_focus import ChainOfFocus, Event
    from cof_agent.agent.result import FailedQuestion, FocusResult
    from cof_agent.images.views import ViewEvent
    from cof_agent.loop.review import Request

_HOMES = {
    "batch": ("Question",),
    "chain_of_focus": ("ChainOfFocus", "Event", "Request", "ViewEvent"),
    "result": ("FailedQuestion", "FocusResult"),
}

__all__ = ["ChainOfFocus", "Event", "FailedQuestion", "FocusResult", "Question", "Request", "ViewEvent"]


__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
