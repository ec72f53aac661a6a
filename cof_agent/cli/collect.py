"""The command `collect`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cof_agent.cli.evaluate import (
    BenchmarkArgument,
    BudgetsOption,
    ConcurrencyOption,
    DrivenOption,
    JsonOption,
    JudgeOption,
    ResolutionsOption,
    RetryOption,
)
from cof_agent.cli.limits import Limits, config_of, takes_limits
from cof_agent.cli.options import (
    EXIT_CODES,
    DialectOption,
    OptionOption,
    ProfileOption,
    UrlOption,
    failures,
    named_policy,
    stop,
)
from cof_agent.cli.output import say_all, say_json
from cof_agent.errors import ConfigError

if TYPE_CHECKING:
    from cof_agent.dialects.profile import Profile
    from cof_agent.learning.collecting.collected import CollectionReport
    from cof_agent.policies.policy import Policy

RESOLUTIONS = "336,672,1344"

CountOption = Annotated[int, typer.Option(min=1, help="Rows to keep.")]
MixOption = Annotated[
    str,
    typer.Option(
        help="even: as many answers at first look as after one zoom and after several; natural: the first good runs, "
        "as they come."
    ),
]
OutOption = Annotated[Path, typer.Option(help="A new directory, or one that an earlier `collect` left.")]
TriedOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Questions to try at most. Default: 4 for each row.")
]
TestOption = Annotated[
    bool, typer.Option("--allow-test", help="Collect from a test set as well. Every row will say that it is from one.")
]


@takes_limits
def collect_command(
    benchmark: BenchmarkArgument,
    policy: DrivenOption,
    count: CountOption,
    out: OutOption,
    mix: MixOption = "even",
    resolutions: ResolutionsOption = RESOLUTIONS,
    overview_budgets: BudgetsOption = "native",
    concurrency: ConcurrencyOption = 8,
    limit: TriedOption = None,
    allow_test: TestOption = False,
    judge: JudgeOption = None,
    retry_failed: RetryOption = False,
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    as_json: JsonOption = False,
    *,
    limits: Limits,
) -> None:
    """Collect training data: let a policy search pictures, and keep the runs that are right.

    Kept are right answers in the right format: mixed evenly over answers at first look, after one zoom and after
    several, over categories and over resolutions, or as they come. After an interruption the same command goes on where
    it was.
    Exit code 0 done, 1 failed or nothing kept, 2 usage, 130 interrupted.
    """
    from cof_agent.evaluation.sizes import numbers

    with failures(lambda: _how_to_go_on(out)):
        from cof_agent.cli.console import CleanConsole
        from cof_agent.evaluation.progress import RunProgress
        from cof_agent.learning.collecting.collection import collect

        driving, own = _driving(policy, profile, dialect, base_url, option)
        report = collect(
            benchmark,
            driving,
            count=count,
            out=out,
            mix=mix,
            resolutions=numbers(resolutions, "--resolutions"),
            overview_budgets=numbers(overview_budgets, "--overview-budgets"),
            limit=limit,
            concurrency=concurrency,
            allow_test=allow_test,
            judge=judge,
            retry_failed=retry_failed,
            config=config_of(limits),
            profile=own,
            options=option or (),
            progress=RunProgress(CleanConsole(stderr=True)),
        )
        if as_json:
            say_json(report.model_dump(mode="json"))
        else:
            say_all(_table(report))
        say_all(_last_words(report, out), err=True)
    if not report.kept:
        raise stop(f"nothing was kept of {report.tried} runs", EXIT_CODES["failed"])


def _how_to_go_on(out: Path) -> str:
    if not (out / "tried").exists():
        return "nothing was asked"
    return f"what was tried is in {out / 'tried'}; the same command goes on with it"


def _driving(
    spec: str, profile: Path | None, dialect: str | None, base_url: str | None, options: list[str] | None
) -> tuple[Policy | str, Profile | None]:
    """The policy, and the profile of the observer, which has none of its own."""
    from cof_agent.dialects.registry import load_profile

    if spec != "observer":
        return named_policy(spec, profile, dialect, base_url, options), None
    if dialect or base_url or options:
        raise ConfigError("observer takes a --profile, but no --dialect, --base-url and --option")
    return spec, load_profile(profile) if profile else None


def _table(report: CollectionReport) -> Iterator[str]:
    """What was kept, by way of looking and category, and why the rest was not."""
    from cof_agent.evaluation.sizes import told

    yield f"kept {report.kept} of {report.tried} runs ({report.questions} questions; {report.mix} mix)"
    cells = list(dict.fromkeys((share.resolution, share.budget) for share in report.balance))
    several = len({budget for _, budget in cells}) > 1
    heads = [f"{told(resolution)}/{told(budget)}" if several else told(resolution) for resolution, budget in cells]
    kept: dict[tuple[str, str], dict[Any, int]] = {}
    for share in report.balance:
        kept.setdefault((share.kind, share.category), {})[share.resolution, share.budget] = share.kept
    table = [["looked", "category", *heads, "all"]]
    for (kind, category), row in kept.items():
        table.append([kind, category, *(str(row.get(cell, 0)) for cell in cells), str(sum(row.values()))])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table if kept else []:
        words = [
            word.ljust(width) if at < 2 else word.rjust(width)
            for at, (word, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(words).rstrip()
    reasons = [f"{reason.value.replace('_', ' ')} {number}" for reason, number in report.dropped.items() if number]
    if reasons:
        yield f"not kept: {', '.join(reasons)}"


def _last_words(report: CollectionReport, out: Path) -> Iterator[str]:
    """Where to look, and what to do about what went wrong."""
    from cof_agent.learning.collecting.candidate import Looks
    from cof_agent.learning.collecting.collected import CollectionEnd
    from cof_agent.learning.collecting.tried import Reason

    more = {
        CollectionEnd.ENOUGH: "",
        CollectionEnd.LIMIT: f"raise --limit ({report.limit})",
        CollectionEnd.NO_MORE: "the benchmark has no more",
        CollectionEnd.NO_FORMAT: f"of the first {report.tried} runs none was in the right format",
    }[report.ended]
    yield f"the training data are in {out}; all that was tried is in {out / 'tried'}"
    if report.kept < report.count:
        yield f"{report.count - report.kept} rows fewer than asked for: {more}, or add --resolutions"
    for kind, lacking in report.short.items():
        other = "larger --overview-budgets" if kind is Looks.DIRECT else "higher --resolutions"
        yield f"{kind.value}: {lacking} rows fewer than its share of a third: {more}, or try {other}"
    if (failed := report.dropped[Reason.FAILED]) > 0:
        yield f"failed runs: {failed}. {out / 'tried' / 'results.jsonl'} says why, --retry-failed asks again"
    if (late := report.dropped[Reason.OUT_OF_TIME]) > 0:
        yield f"runs whose time ran out: {late}. --retry-failed asks them again"
    if report.dropped[Reason.FORMAT] > report.kept or (
        report.ended is CollectionEnd.NO_FORMAT and failed < report.tried
    ):
        yield "too many runs lack <think> or <answer>: --dialect cof tells the policy how to write"
    if untraceable := report.dropped[Reason.UNTRACEABLE]:
        yield f"runs whose trajectory is not in {out / 'tried'}: {untraceable}. Collect again into another --out"
    if report.malformed:
        yield f"rows that could not be asked: {report.malformed}. They are in {out / 'tried' / 'malformed.jsonl'}"
