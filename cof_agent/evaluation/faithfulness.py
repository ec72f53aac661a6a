"""Does the answer follow when the picture is changed?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from cof_agent.evaluation.intervals import Share
from cof_agent.evaluation.matching import asked_in, decide_by_rules
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.summary import Faithfulness, Need

Pair: TypeAlias = tuple[ResultRow, ResultRow, Need | None]
"""One question's row as it is, its row with something changed, and what the first needs."""


def faithfulness(pairs: Sequence[Pair]) -> Faithfulness:
    """Of pairs of a plain and a changed picture's row, and what the plain one needs: what became of right answers.

    A question may occur in several pairs (other settings); all of its answers then count as one in the intervals.
    """
    right = [pair for pair in pairs if pair[0].correct]
    return Faithfulness(
        asked=len(pairs),
        followed=_followed(right),
        kept=Share.of_clusters((plain.question, kept_answer(plain, changed)) for plain, changed, _ in right),
        needs={
            need: _followed([pair for pair in right if pair[2] is need])
            for need in Need
            if any(pair[2] is need for pair in pairs)
        },
    )


def _followed(pairs: Sequence[Pair]) -> Share:
    return Share.of_clusters((plain.question, changed.correct) for plain, changed, _ in pairs)


def kept_answer(plain: ResultRow, changed: ResultRow) -> bool:
    """Whether the answer to the changed picture is what was right on the plain one, as rules tell (no judge)."""
    verdict = decide_by_rules(asked_in(plain), changed.answer)
    return not changed.correct and verdict is not None and verdict.correct
