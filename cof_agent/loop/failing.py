"""What a failure of the policy leads to: the run ends, or the policy is asked for its last answer."""

from __future__ import annotations

import logging
from typing import Any

from langgraph.errors import GraphBubbleUp

from cof_agent.loop.ending import of_failure
from cof_agent.loop.prompt import unshown_after
from cof_agent.loop.reply import Situation
from cof_agent.loop.state import FocusState, StopReason, changed, spent
from cof_agent.policies.calling import OutOfTimeError, PromptError
from cof_agent.policies.endpoint_errors import PromptTooLongError

log = logging.getLogger(__name__)


def after_failure(
    error: Exception, state: FocusState, at: Situation, seconds: float, policy: str | None
) -> dict[str, Any]:
    """The update of `state` after a call of `policy` that took `seconds` and raised `error`.

    Raises what is no failure of the policy: LangGraph's own signals, and errors of the prompt's images.
    """
    if isinstance(error, GraphBubbleUp):
        raise error
    if isinstance(error, PromptError):
        raise error.__cause__ or error
    usage, closing = spent(state["usage"], policy_calls=1, seconds=seconds), at.progress.closing
    if isinstance(error, OutOfTimeError) and not closing:
        return {"usage": usage, "closing": StopReason.TIME_LIMIT.value}
    if isinstance(error, PromptTooLongError) and (left_out := unshown_after(state.get("unshown"), at.views)):
        return {"usage": usage, "unshown": left_out, "closing": closing or StopReason.CONTEXT_LIMIT.value}
    if not isinstance(error, OutOfTimeError):
        log.warning("the policy %s failed", policy, exc_info=error)
    ending = of_failure(error, closing, at.limits, at.images)
    return {"usage": usage} | changed(state, **ending.as_state())
