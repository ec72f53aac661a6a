"""Judging answers that were given earlier."""

from __future__ import annotations

import asyncio

from cof_agent.evaluation.judge import Judge
from cof_agent.evaluation.results import RunDirectory
from cof_agent.evaluation.row import ResultRow, Rule
from cof_agent.evaluation.scoring import judged
from cof_agent.loop.state import Status


async def judge_again(directory: RunDirectory, judge: Judge | None, *, concurrency: int, failed: bool) -> None:
    """Let `judge` decide which of a run's unmatched answers are right; with `failed` also those whose judge failed.

    The rows are exchanged all at once. After a crash before that the verdicts given so far are in the judge's cache.
    Raises PolicyError when the judge cannot give its first verdict.
    """
    pending = [row for row in directory.rows.values() if _is_pending(row, judge is not None, failed)]
    decided: list[ResultRow] = []
    for start in range(0, len(pending), concurrency):
        decided += await asyncio.gather(*(judged(row, judge) for row in pending[start : start + concurrency]))
        if judge:
            judge.check()
    if decided:
        directory.exchange(decided)


def _is_pending(row: ResultRow, judging: bool, failed: bool) -> bool:
    if row.rule is not Rule.UNMATCHED or row.answer is None:
        return False
    return failed if row.status is Status.FAILED else judging
