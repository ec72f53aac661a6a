"""Ask a question about an image, and what a run leaves behind. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.agent.batch import Question as Question
    from cof_agent.agent.chain_of_focus import ChainOfFocus as ChainOfFocus
    from cof_agent.agent.chain_of_focus import Event as Event
    from cof_agent.agent.result import FailedQuestion as FailedQuestion
    from cof_agent.agent.result import FocusResult as FocusResult
    from cof_agent.images.views import ViewEvent as ViewEvent
    from cof_agent.loop.review import Request as Request
else:
    __getattr__, __dir__ = lazy_names(__name__)
