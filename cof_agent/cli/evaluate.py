"""The commands `eval` and `compare`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cof_agent.cli.limits import Limits, config_of, in_options, option_of, takes_limits
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
from cof_agent.evaluation.sizes import DEFAULT_RESOLUTIONS, numbers, told
from cof_agent.policies.kinds import listed

if TYPE_CHECKING:
    from cof_agent.evaluation.summary import Summary
    from cof_agent.loop.config import FocusConfig
    from cof_agent.policies.policy import Policy

RESOLUTIONS = ",".join(map(told, DEFAULT_RESOLUTIONS))

BenchmarkArgument = Annotated[
    str,
    typer.Argument(
        help="scenes[:SPLIT[:KIND]], vstar:DIR_OR_HUB_ID, hrbench:PATH, mme-realworld-lite:PATH or jsonl:[train:]FILE."
    ),
]
DrivenOption = Annotated[
    str,
    typer.Option(
        "--policy",
        "-p",
        envvar="COF_POLICY",
        help=f"{listed('`observer` (scenes only)')}.",
    ),
]
ModeOption = Annotated[
    str,
    typer.Option(help="adaptive: it zooms if it wants; direct: never; proactive: once at least before it answers."),
]
ResolutionsOption = Annotated[
    str, typer.Option(help="Long sides that pictures are reduced to, in pixels; `native` leaves them as they are.")
]
BudgetsOption = Annotated[
    str,
    typer.Option(help="Sides of the square that the first look may fill, in pixels; `native` is the policy's own."),
]
StartOption = Annotated[int, typer.Option(min=0, metavar="K", help="Leave out the first K questions.")]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only N questions. A run may go on with a larger N: name its --out.")
]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Questions asked at a time.")]
JudgeOption = Annotated[str | None, typer.Option(help="A policy that decides where no rule can tell.")]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Ask again with regions that show something else, blank, elsewhere or overview, or several with commas: "
        "how far does accuracy fall?"
    ),
]
ChangedOption = Annotated[
    bool, typer.Option("--counterfactual", help="Ask about each scene twice, the second time with the answer changed.")
]
TrajectoriesOption = Annotated[bool, typer.Option("--trajectories", help="Save every trajectory, with its images.")]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Of the run that is gone on with, ask (or judge) again what failed.")
]
OutOption = Annotated[
    Path | None, typer.Option(help="The run's directory; one that is there is gone on with. Default: a telling name.")
]
FullOption = Annotated[bool, typer.Option("--full", help="Print every table of the report, not only the first ones.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@takes_limits
def evaluate_command(
    benchmark: BenchmarkArgument,
    policy: DrivenOption,
    mode: ModeOption = "adaptive",
    resolutions: ResolutionsOption = RESOLUTIONS,
    overview_budgets: BudgetsOption = "native",
    start: StartOption = 0,
    limit: LimitOption = None,
    concurrency: ConcurrencyOption = 8,
    judge: JudgeOption = None,
    region: RegionOption = None,
    counterfactual: ChangedOption = False,
    trajectories: TrajectoriesOption = False,
    retry_failed: RetryOption = False,
    out: OutOption = None,
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    full: FullOption = False,
    as_json: JsonOption = False,
    *,
    limits: Limits,
) -> None:
    """Measure a policy on a benchmark: accuracy and cost at each resolution, with a report.

    Every result is written at once: after an interruption, even a sudden one, the same command goes on where it was.
    Exit code 0 done, 1 failed, 2 usage, 130 interrupted.
    """
    from cof_agent.cli.console import CleanConsole
    from cof_agent.evaluation.progress import RunProgress

    progress = RunProgress(CleanConsole(stderr=True))
    with failures(lambda: _how_to_go_on(progress.directory)):
        from cof_agent.evaluation.evaluating import evaluate

        summary = evaluate(
            benchmark,
            _driving(policy, profile, dialect, base_url, option),
            mode=mode,
            resolutions=numbers(resolutions, "--resolutions"),
            overview_budgets=numbers(overview_budgets, "--overview-budgets"),
            start=start,
            limit=limit,
            concurrency=concurrency,
            judge=judge,
            regions=tuple(name.strip() for names in region or () for name in names.split(",")),
            counterfactual=counterfactual,
            trajectories=trajectories,
            retry_failed=retry_failed,
            out=out,
            config=_limits(mode, limits),
            profile=_profile(profile) if policy == "observer" else None,
            options=option or (),
            progress=progress,
        )
        where = progress.directory
        assert where, "a run that is over had a directory"
        if as_json:
            say_json(summary.model_dump(mode="json", by_alias=True))
        else:
            from cof_agent.cli.console import tables_console
            from cof_agent.evaluation.report.terminal import print_summary

            print_summary(summary, tables_console(), full=full)
        say_all(_last_words(summary, where), err=True)
    rows, failed = summary.rows + summary.unopened, summary.failed + summary.unopened
    if rows and failed == rows:
        most = max(summary.failures + summary.unopened_why, key=lambda found: found.count).message
        raise stop(f"all {rows} questions failed, most often so: {in_options(most)}", EXIT_CODES["failed"])


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Directories of runs of the same benchmark; the first is the base.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write a report of the comparison to this directory.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs question by question: which is better, and whether chance explains it."""
    with failures(f"{out} may be unfinished: run the same command again" if out else "nothing was changed"):
        from cof_agent.cli.console import tables_console
        from cof_agent.evaluation.compare import compare_runs
        from cof_agent.evaluation.report.terminal import print_comparison

        comparison = compare_runs(runs, out)
        if as_json:
            say_json(comparison.model_dump(mode="json", by_alias=True))
        else:
            print_comparison(comparison, tables_console())


def _driving(
    spec: str, profile: Path | None, dialect: str | None, base_url: str | None, options: list[str] | None
) -> Policy | str:
    if spec != "observer":
        return named_policy(spec, profile, dialect, base_url, options)
    if dialect or base_url or options:
        raise ConfigError("observer takes a --profile, but no --dialect, --base-url and --option")
    return spec


def _profile(path: Path | None) -> Any:
    from cof_agent.dialects.registry import load_profile

    return load_profile(path) if path else None


def _limits(mode: str, limits: Limits) -> FocusConfig:
    for name in ("max_zooms", "min_zooms"):
        if mode == "direct" and limits.get(name):
            raise ConfigError(
                f"mode direct shows no regions, so {option_of(name)} {limits[name]} says nothing: leave one of them out"
            )
    return config_of(limits)


def _how_to_go_on(where: Path | None) -> str:
    return f"what was answered is in {where}; the same command goes on with it" if where else "nothing was asked"


def _last_words(summary: Summary, where: Path) -> list[str]:
    """Where to look, and what to do about what went wrong."""
    from cof_agent.evaluation.results import MALFORMED, RESULTS
    from cof_agent.files import read_lines

    words = [f"the results and the report are in {where}"]
    if failed := summary.failed + summary.unopened:
        words.append(f"failed questions: {failed}. {where / RESULTS} says why, --retry-failed asks again")
    if summary.timed_out:
        words.append(
            f"questions whose time ran out, counted as wrong: {summary.timed_out}. --retry-failed asks them again; "
            "--max-seconds gives them more in a run of its own"
        )
    if summary.unopened:
        one = summary.unopened_why[0].message
        words.append(f"pictures that could not be opened, in no figure: {summary.unopened}. One is {in_options(one)}")
    for _, first in islice(read_lines(where / MALFORMED), 1):
        one = f"{first['where']}: {first['why']}"
        words.append(
            f"rows that could not be asked: {summary.malformed}. They are in {where / MALFORMED}; one is {one}"
        )
    if summary.skipped and not summary.rows + summary.unopened:
        words.append("every picture is smaller than was asked for: name smaller --resolutions, or native")
    return words
