"""Where a trainer's loop ends a run that the graph's own goes on with; `FocusConfig.trainer_loop` switches it on."""

from __future__ import annotations

import json
from dataclasses import replace

from cof_agent.dialects.turn import Call, Turn
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.state import StopReason, Usage


def as_trainer(
    turn: Turn, text: str, call_end: str | None, usage: Usage, closing: str | None, limits: FocusConfig
) -> tuple[Turn, StopReason | None]:
    """The turn with the calls that TRL's loop would carry out, all of them or none, and why the run ends without them.

    `text` is what the turn was read from, `usage` counts it already. A turn without calls ends the run: with its
    answer, or, where that counts for nothing, with the reason.
    """
    strict = all(_is_strict(call, text, call_end) for call in turn.calls)
    if turn.calls and strict and usage["policy_calls"] < limits.max_turns:
        return turn, None
    if closing:
        return replace(turn, calls=()), None
    if turn.calls and strict:
        return replace(turn, calls=()), StopReason.TURN_LIMIT
    early = usage["zooms"] < limits.min_zooms
    return replace(turn, calls=()), StopReason.NOT_MENDED if turn.calls or early or turn.answer is None else None


def _is_strict(call: Call, text: str, call_end: str | None) -> bool:
    """Whether a call is one JSON object between its tags. Calls that are no text are."""
    if call.error or call_end is None:
        return not call.error
    try:
        value = json.loads(call.text)
    except ValueError:
        return False
    whole = f"{call.text}{call_end}" in text
    return whole and isinstance(value, dict) and isinstance(value.get("arguments", {}), dict)
