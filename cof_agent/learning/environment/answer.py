"""What a policy has answered at the end of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage

from cof_agent.dialects.declining import decline_of
from cof_agent.dialects.registry import get_dialect
from cof_agent.learning.environment.speech import turn_text
from cof_agent.learning.environment.zoom import Episode
from cof_agent.loop.ending import final_answer


def declined(completion: Sequence[Mapping[str, Any]], episode: Episode) -> bool:
    """Whether a completion ends with saying that the image cannot tell, as the graph would take it."""
    said = _last_said(completion, episode)
    return said is not None and decline_of(said) is not None


def answered(completion: Sequence[Mapping[str, Any]], episode: Episode) -> str | None:
    """The answer of a completion, as the graph would take it from its last turn.

    None where there is none: the policy declined, or, before a limit of the question was reached, its last turn has
    calls that were not carried out or answers before `min_zooms` regions.
    """
    said = _last_said(completion, episode)
    return None if said is None or decline_of(said) is not None else said


def _last_said(completion: Sequence[Mapping[str, Any]], episode: Episode) -> str | None:
    """The answer of the last turn, also one that declines."""
    if not completion or completion[-1]["role"] != "assistant" or not (episode.limit or episode.looked_enough):
        return None
    message = AIMessage(turn_text(completion[-1]))
    turn = get_dialect(episode.dialect).parse(message)
    if episode.limit:
        turn = replace(turn, calls=())
    return None if turn.calls else final_answer(turn, episode.limit)
