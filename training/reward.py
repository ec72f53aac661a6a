"""What rollouts earn, in the form that TRL's trainer asks for it, and the curves that tell how they look closer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from cof_agent.dialects.tools import ZOOM
from cof_agent.evaluation.judge import Judge
from cof_agent.evaluation.matching import decide
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.learning.environment.answer import answered, declined
from cof_agent.learning.environment.speech import said
from cof_agent.learning.environment.zoom import ZoomEnvironment, raise_recorded
from cof_agent.learning.rewards import REWARDS, Rollout


class GroupReward:
    """A reward of `cof_agent.learning.rewards`, over groups that are whole also where several processes share them.

    The trainer hands each process its part of a batch: `size` rollouts of a question stand side by side, the parts of
    the processes one after the other.
    """

    def __init__(self, name: str, size: int, judge: Judge | None = None, at_once: int = 1) -> None:
        """`judge` decides where no rule can tell, and is asked `at_once` questions at a time."""
        self.__name__ = name
        self._reward, self._size, self._judge, self._at_once = REWARDS[name], size, judge, at_once

    def __call__(
        self,
        environments: Sequence[ZoomEnvironment],
        completions: Sequence[Sequence[Mapping[str, Any]]],
        log_metric: Callable[[str, float], None],
        **columns: Any,
    ) -> list[float]:
        """What each of this process's rollouts earns. Raises what went wrong inside of a tool."""
        raise_recorded(environments)
        rollouts = asyncio.run(self._rollouts(environments, completions, columns))
        for curve, value in _curves(rollouts, environments, completions).items():
            log_metric(curve, value)
        own = list(zip(columns["id"], rollouts, strict=True))
        everyone: list[tuple[str, Rollout]] = gather_object(own)
        earned = [reward for start in range(0, len(everyone), self._size) for reward in self._group(everyone, start)]
        if len(everyone) == len(own):
            return earned
        first = PartialState().process_index * len(own)
        return earned[first : first + len(own)]

    def _group(self, everyone: Sequence[tuple[str, Rollout]], start: int) -> tuple[float, ...]:
        group = everyone[start : start + self._size]
        if len({row for row, _ in group}) != 1 or len(group) != self._size:
            raise RuntimeError(f"rollouts {start} to {start + self._size - 1} are not those of one question")
        return self._reward([rollout for _, rollout in group])

    async def _rollouts(
        self, environments: Sequence[ZoomEnvironment], completions: Sequence[Any], columns: Mapping[str, Any]
    ) -> list[Rollout]:
        turn = asyncio.Semaphore(self._at_once)

        async def rollout(position: int) -> Rollout:
            episode, completion = environments[position].episode, completions[position]
            question = BenchmarkQuestion(
                id=columns["id"][position],
                image="",  # nobody looks at it to tell whether an answer is right
                text=columns["question"][position],
                answer=columns["truth"][position],
                options=tuple(columns["options"][position] or ()),
            )
            answer = answered(completion, episode)
            async with turn:
                verdict = await decide(question, answer, self._judge, declined=declined(completion, episode))
            return Rollout(said(completion), answer, verdict.correct, episode.zooms)

        return list(await asyncio.gather(*map(rollout, range(len(completions)))))


def _curves(
    rollouts: Sequence[Rollout],
    environments: Sequence[ZoomEnvironment],
    completions: Sequence[Sequence[Mapping[str, Any]]],
) -> dict[str, float]:
    """Means over rollouts, for the log."""
    unknown = sum(message["role"] == "tool" and message["name"] != ZOOM for said in completions for message in said)
    episodes = [environment.episode for environment in environments]
    return {
        "accuracy": fmean(rollout.correct for rollout in rollouts),
        "format": fmean(rollout.well_formed for rollout in rollouts),
        "unanswered": fmean(rollout.answer is None for rollout in rollouts),
        "zooms": fmean(rollout.zooms for rollout in rollouts),
        "wrong_zooms": fmean(rollout.zooms * (not rollout.correct) for rollout in rollouts),
        "refused_calls": (sum(episode.refused for episode in episodes) + unknown) / len(episodes),
        "visual_tokens": fmean(episode.visual_tokens for episode in episodes),
        "share/direct": fmean(rollout.zooms == 0 for rollout in rollouts),
        "share/zoom": fmean(rollout.zooms > 0 for rollout in rollouts),
    }
