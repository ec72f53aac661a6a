"""Collect training data, from Python."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from cof_agent.agent.trajectory_file import LINES
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import unwritten
from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks import open_benchmark
from cof_agent.evaluation.evaluating import TRAJECTORIES, evaluate, policy_and_profile
from cof_agent.evaluation.progress import RunProgress
from cof_agent.evaluation.question import Benchmark, Role
from cof_agent.files import locked, private_directory
from cof_agent.learning.collecting.candidate import Looks
from cof_agent.learning.collecting.collected import (
    TRIED,
    BalanceCell,
    CollectedRow,
    CollectionEnd,
    CollectionReport,
    check_directory,
    write_collected,
)
from cof_agent.learning.collecting.first_questions import FirstQuestions
from cof_agent.learning.collecting.selection import Mix, Selection, select
from cof_agent.learning.collecting.tried import Reason, Tried, read_tried
from cof_agent.loop.config import FocusConfig
from cof_agent.policies.kinds import OBSERVER
from cof_agent.policies.loading import load_policy
from cof_agent.policies.policy import Policy

DEFAULT_RESOLUTIONS: tuple[int, ...] = (336, 672, 1344)
"""Long sides in pixels."""
QUESTIONS_A_ROW = 4
"""Questions that are tried for each row that is wanted, at most, where nobody says otherwise."""
ENOUGH_TO_TELL = 8
"""Runs, none of them in the right format, after which a policy is given up."""


def collect(
    benchmark: str | Benchmark,
    policy: str | Policy | BaseChatModel,
    *,
    count: int,
    out: str | Path,
    mix: Mix | str = Mix.EVEN,
    resolutions: Sequence[int | str | None] = DEFAULT_RESOLUTIONS,
    overview_budgets: Sequence[int | str | None] = (None,),
    limit: int | None = None,
    concurrency: int = 8,
    allow_test: bool = False,
    judge: str | Policy | BaseChatModel | None = None,
    retry_failed: bool = False,
    config: FocusConfig | None = None,
    profile: Profile | None = None,
    options: Sequence[str] = (),
    progress: RunProgress | None = None,
) -> CollectionReport:
    """Let a policy answer the questions of a benchmark, and keep `count` good runs as training data in `out`.

    The policy is asked by an evaluation, kept in `out/tried`: see `aevaluate` for the parameters it shares. More and
    more of the first questions are asked, each under every setting, until there are `count` rows and, in an even mix, a
    third of them for each of `Looks`, or the benchmark ends, or `limit` questions (default: 4 for each row) were
    asked, or none of the first runs is in the right format. Kept are runs with the right answer in the right format
    that were no luck (see `Reason`), mixed by the rule of `select`.

    The same call again goes on where it was cut off, and ends with the same collection; with another `count`, `limit`
    or `mix` it uses what was asked before, and ends with what a new directory would hold. Raises ConfigError for a test
    set without `allow_test`, for a dialect whose calls are no text, for a directory with anything else in it;
    LockedError where another collection is made there, and what an evaluation raises.
    """
    for name, value in (("count", count), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")
    mix = _mix(mix)
    opened = open_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
    if opened.role is Role.TEST and not allow_test:
        raise ConfigError(
            f"{opened.name} counts as a test set, and training on one makes its figures worthless: collect from "
            "scenes:train, jsonl:train:FILE or another training set, or add allow_test=True: every row will tell its "
            "role"
        )
    driving, own = policy_and_profile(policy, profile)  # loaded once, and not again for each round
    if why := unwritten(own.dialect):
        raise ConfigError(why)
    out = Path(out)
    check_directory(out)
    judge = load_policy(judge) if isinstance(judge, str) else judge
    most = limit if limit is not None else QUESTIONS_A_ROW * count
    evaluating = partial(
        evaluate,
        policy=driving or OBSERVER,
        resolutions=resolutions,
        overview_budgets=overview_budgets,
        concurrency=concurrency,
        judge=judge,
        trajectories=True,
        out=out / TRIED,
        config=config,
        profile=profile,
        options=options,
        progress=progress,
        report=False,
    )
    with _alone_in(out, f"collecting from {opened.name}"):
        check_directory(out)
        asked = min(most, math.ceil(count / max(1, len(resolutions) * len(overview_budgets))))
        while True:
            questions = FirstQuestions(opened, asked)
            evaluating(questions, retry_failed=retry_failed)
            retry_failed = False
            tried = read_tried(out / TRIED, out / TRIED / TRAJECTORIES / LINES, questions.ids)
            selection = select(tried.candidates, count, tried.settings.cells, mix)
            ended = _ending(tried, selection, count, questions, most)
            if ended:
                break
            asked = min(most, _more(asked, selection, count))
        report = _report(tried, selection, count, most, ended)
        from cof_agent.evaluation.report.files import write_report

        write_report(out / TRIED)
        write_collected(out, out / TRIED / TRAJECTORIES, selection.kept, _rows(tried, selection), report)
    return report


@contextlib.contextmanager
def _alone_in(out: Path, doing: str) -> Iterator[None]:
    """Nobody else collects there meanwhile. Raises LockedError, and ConfigError where it cannot be made."""
    try:
        private_directory(out)
    except OSError as error:
        raise ConfigError(f"nothing can be collected in {out}: {error.strerror or error}; choose another") from error
    with locked(out, doing, instead="choose another directory with out="):
        yield


def _mix(name: str) -> Mix:
    try:
        return Mix(name)
    except ValueError:
        raise ConfigError(f"mix must be one of {', '.join(Mix)}, not {name!r}") from None


def _more(asked: int, selection: Selection, count: int) -> int:
    """How many questions to try next: twice as many, or fewer where a natural mix lacks less than that."""
    if selection.mix is Mix.NATURAL and selection.kept:
        return min(2 * asked, asked + math.ceil(1.1 * asked * (count / len(selection.kept) - 1)))
    return 2 * asked


def _ending(
    tried: Tried, selection: Selection, count: int, questions: FirstQuestions, most: int
) -> CollectionEnd | None:
    """Why no more is to be tried; None while more is."""
    if selection.suffices(count):
        return CollectionEnd.ENOUGH
    if tried.runs >= ENOUGH_TO_TELL and not tried.well_formed and not tried.dropped[Reason.UNTRACEABLE]:
        return CollectionEnd.NO_FORMAT
    if questions.ended:
        return CollectionEnd.NO_MORE
    return CollectionEnd.LIMIT if questions.limit >= most else None


def _rows(tried: Tried, selection: Selection) -> list[CollectedRow]:
    settings = tried.settings
    return [
        CollectedRow(
            id=candidate.row.key,
            question=candidate.row.question,
            category=candidate.row.category,
            cell=candidate.row.cell,
            kind=candidate.looks,
            zooms=len(candidate.moves),
            refused=candidate.refused,
            truth=candidate.row.truth,
            options=candidate.row.options,
            role=settings.role,
            policy=settings.policy,
            benchmark=settings.benchmark,
            profile_digest=settings.profile_digest,
            position=position,
        )
        for position, candidate in enumerate(selection.kept)
    ]


def _report(tried: Tried, selection: Selection, count: int, limit: int, ended: CollectionEnd) -> CollectionReport:
    dropped = tried.dropped + Counter(
        {Reason.NEAR_DUPLICATE: selection.near_duplicates, Reason.SURPLUS: selection.surplus}
    )
    found = Counter(candidate.stratum for candidate in tried.candidates)
    kept = Counter(candidate.stratum for candidate in selection.kept)
    looks = Counter(candidate.looks for candidate in selection.kept)
    strata = [
        (kind, category, cell.resolution, cell.budget)
        for kind in Looks
        for category in sorted({stratum[1] for stratum in found})
        for cell in tried.settings.cells
    ]
    return CollectionReport(
        settings=tried.settings,
        count=count,
        mix=selection.mix,
        limit=limit,
        ended=ended,
        questions=tried.questions,
        tried=tried.runs,
        kept=len(selection.kept),
        dropped={reason: dropped[reason] for reason in Reason},
        malformed=tried.malformed,
        skipped=tried.skipped,
        kinds={kind: looks[kind] for kind in Looks},
        balance=tuple(
            BalanceCell(
                kind=stratum[0],
                category=stratum[1],
                resolution=stratum[2],
                budget=stratum[3],
                found=found[stratum],
                kept=kept[stratum],
            )
            for stratum in strata
        ),
    )
