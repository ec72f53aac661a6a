"""Whether an answer is right: option letter, then text, then number with unit, then a judge."""

from __future__ import annotations

from cof_agent.evaluation.matching.decision import asked_in, decide, decide_by_rules

__all__ = ["asked_in", "decide", "decide_by_rules"]
