"""One call of a policy: carried out or refused, and what it leaves of a run's limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.messages import InvalidToolCall, ToolCall, ToolMessage

from cof_agent.images.rendering.decode_queue import decode_queue
from cof_agent.images.time_limit import ImageTimeError, images_within
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.looking import LookContext, TokensSpentError, refusal, run_call
from cof_agent.loop.state import StopReason, Usage, spent
from cof_agent.loop.transcript import view_of

NO_MORE = "no more regions can be shown"

_LATE = "the time is up"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    usage: Usage
    refused_in_row: int = 0
    closing: str | None = None
    """The stop reason whose limit was reached, if any."""


def carry_out(
    asked: ToolCall | InvalidToolCall, progress: Progress, limits: FocusConfig, sight: Callable[[int], LookContext]
) -> tuple[ToolMessage, Progress]:
    """The observation of a call, and the progress after it.

    `sight` makes what the call looks at, told how many visual tokens are left; it is not asked once a limit is reached.
    """
    began, usage = time.monotonic(), progress.usage
    refused, closing = progress.refused_in_row, progress.closing
    if closing or usage["zooms"] >= limits.max_zooms:
        closing = closing or StopReason.ZOOM_LIMIT.value
        message = refusal(asked["id"], asked["name"], NO_MORE)
    else:
        try:
            with images_within(limits.working_seconds - usage["seconds"]):
                message = _run(asked, lambda: sight(limits.max_visual_tokens - usage["visual_tokens"]))
        except TokensSpentError as error:
            message, closing = refusal(asked["id"], asked["name"], str(error)), StopReason.TOKEN_LIMIT.value
        except ImageTimeError:
            message, closing = refusal(asked["id"], asked["name"], _LATE), StopReason.TIME_LIMIT.value
    more = {"seconds": time.monotonic() - began}
    if view := view_of(message):
        refused = 0
        more |= {"zooms": 1, "visual_tokens": view.tokens}
    elif not closing:
        refused += 1
        more |= {"refused": 1}
    after = spent(usage, **more)
    return message, Progress(after, refused, closing or reached(after, refused, limits))


def reached(usage: Usage, refused_in_row: int, limits: FocusConfig) -> str | None:
    """The limit that a run has reached between two calls, if any."""
    if refused_in_row >= limits.max_refused:
        return StopReason.REFUSED_LIMIT.value
    return StopReason.TIME_LIMIT.value if usage["seconds"] >= limits.working_seconds else None


def _run(asked: ToolCall | InvalidToolCall, sight: Callable[[], LookContext]) -> ToolMessage:
    if asked["type"] == "invalid_tool_call":
        return refusal(asked["id"], asked["name"], str(asked["error"]))
    with decode_queue().in_hand():
        return run_call(asked, sight())
