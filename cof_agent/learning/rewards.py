"""What the rollouts of one question earn in reinforcement learning. Pure functions over frozen values.

A reward function takes all rollouts of one question, its group, and returns what each earns, in their order. Sources:
the release of Chain-of-Focus (outcome) and arXiv 2505.15436 v3 (the adaptive group-aware reward, AGAR).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from cof_agent.agent.trajectory import Trajectory
from cof_agent.evaluation.matching import decide_by_rules
from cof_agent.evaluation.question import BenchmarkQuestion

ACCURACY_PART = 0.9
"""Share of the outcome that a right answer earns."""
FORMAT_PART = 0.1
"""Share of the outcome that the right format earns."""
MOST_WORDS = 1000
"""Words that an answer may have."""
CALL = "<tool_call>"
"""The text by which the released reward knows a rollout that zooms, whether or not a region came of it."""

_CORRECT = 0.5
"""The released reward takes an outcome above this for a right answer."""
_TAGS = ("think", "answer")
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.S)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt at a question."""

    text: str
    """The policy's own words, all of its turns; nothing that it was shown or told."""
    answer: str | None
    """None where it gave none, also where it said that the image cannot tell."""
    correct: bool
    """Whether that answer is right; see `accuracy`."""
    zooms: int = 0
    """Regions that were shown: calls that were carried out, not those that were refused."""

    @property
    def well_formed(self) -> bool:
        return well_formed(self.text)

    @property
    def outcome(self) -> float:
        """`0.9 · accuracy + 0.1 · format`: 0.0, 0.1, 0.9 or 1.0."""
        return ACCURACY_PART * self.correct + FORMAT_PART * self.well_formed


RewardFunction: TypeAlias = Callable[[Sequence[Rollout]], tuple[float, ...]]


def well_formed(text: str) -> bool:
    """Whether a policy's own words have the format that earns a reward.

    As many `<think>` are opened as closed, and at least one; likewise `<answer>`; and no answer has more than 1,000
    words. In which order the tags stand does not matter, as in the release.
    """
    for tag in _TAGS:
        opened = text.count(f"<{tag}>")
        if opened == 0 or opened != text.count(f"</{tag}>"):
            return False
    return all(len(answer.split()) <= MOST_WORDS for answer in _ANSWER.findall(text))


def accuracy(
    question: BenchmarkQuestion, answer: str | None, judged: bool | None = None, *, declined: bool = False
) -> bool:
    """Whether `answer` is right, by the rules of an evaluation.

    `judged` is a judge's verdict, which counts only where no rule is certain; without one such an answer is wrong.
    `declined` says that there is no answer because the policy declined: right where a question cannot be answered.
    """
    verdict = decide_by_rules(question, answer, declined=declined)
    return verdict.correct if verdict is not None else bool(judged)


def rollout_of(trajectory: Trajectory, correct: bool) -> Rollout:
    """The rollout that a trajectory is: its policy's turns since the question, one below the other."""
    turns = trajectory.turns[trajectory.first_turn :]
    return Rollout(
        text="\n".join(turn.text for turn in turns if turn.role == "policy"),
        answer=trajectory.answer,
        correct=correct,
        zooms=len(trajectory.zooms),
    )


def outcome(group: Sequence[Rollout]) -> tuple[float, ...]:
    """Each rollout's own outcome, whatever the others did."""
    return tuple(rollout.outcome for rollout in group)


def agar_released(group: Sequence[Rollout]) -> tuple[float, ...]:
    """AGAR as it is released, number for number.

    A right answer earns 1.0, but 0.8 with a zoom where another rollout of the group was right without one. A wrong one
    earns 0.5 with a zoom; without, 0.1 for the format alone, else 0.0. Text with `<tool_call>` in it zooms, even if
    nothing was shown; an outcome above 0.5 is right, one of just 0.1 is the format alone. A group of one keeps its
    outcome.
    """
    if len(group) == 1:
        return outcome(group)
    return _earned(
        [
            _Standing(
                zoom=CALL in rollout.text,
                correct=rollout.outcome > _CORRECT,
                format_only=rollout.outcome == FORMAT_PART,
            )
            for rollout in group
        ]
    )


def agar_strict(group: Sequence[Rollout]) -> tuple[float, ...]:
    """AGAR without its loopholes: a zoom is a region that was shown, and a wrong format earns 0; else the same figures.

    A rollout in a wrong format does not count for the others either: if it is the only one that is right without a
    zoom, the zooming ones still earn 1.0. A group of one keeps its outcome if the format is right.
    """
    if len(group) == 1:
        return tuple(rollout.outcome if rollout.well_formed else 0.0 for rollout in group)
    good = [rollout for rollout in group if rollout.well_formed]
    earned = iter(_earned([_Standing(rollout.zooms > 0, rollout.correct, not rollout.correct) for rollout in good]))
    return tuple(next(earned) if rollout.well_formed else 0.0 for rollout in group)


REWARDS: Mapping[str, RewardFunction] = MappingProxyType(
    {"outcome": outcome, "agar-released": agar_released, "agar-strict": agar_strict}
)
"""The reward functions by the names that people give."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a rollout stands in the table of AGAR."""

    zoom: bool
    correct: bool
    format_only: bool


def _earned(group: Sequence[_Standing]) -> tuple[float, ...]:
    needless = any(one.correct and not one.zoom for one in group)

    def earned(one: _Standing) -> float:
        if one.correct:
            return 0.8 if one.zoom and needless else 1.0
        if one.zoom:
            return 0.5
        return FORMAT_PART if one.format_only else 0.0

    return tuple(map(earned, group))
