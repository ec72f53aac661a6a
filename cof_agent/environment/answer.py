"""What a policy has answered at the end of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage

from cof_agent.dialects import get_dialect
from cof_agent.ending import declines, final_answer
from cof_agent.environment.speech import turn_text
from cof_agent.environment.zoom import Episode


def answered(completion: Sequence[Mapping[str, Any]], episode: Episode) -> str | None:
    """The answer of a completion, as the graph would take it from its last turn.

    None where there is none: the policy declined, or, before a limit of the question was reached, its last turn has
    calls that were not carried out or answers before `min_zooms` regions.
    """
    if not completion or completion[-1]["role"] != "assistant" or not (episode.limit or episode.looked_enough):
        return None
    message = AIMessage(turn_text(completion[-1]))
    turn = get_dialect("cof").parse(message)
    if episode.limit:
        turn = replace(turn, calls=())
    answer = None if turn.calls else final_answer(turn, message, episode.limit)
    return None if answer is None or declines(answer) else answer
