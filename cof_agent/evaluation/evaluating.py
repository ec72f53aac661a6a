"""Evaluate a policy on a benchmark, from Python."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from langchain_core.language_models import BaseChatModel

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.evaluation.benchmarks import default_limit, open_benchmark
from cof_agent.evaluation.driver import Driver
from cof_agent.evaluation.judge import Judge
from cof_agent.evaluation.judging import judge_again
from cof_agent.evaluation.plan import Plan
from cof_agent.evaluation.progress import RunProgress
from cof_agent.evaluation.question import Benchmark, Role
from cof_agent.evaluation.results import writing
from cof_agent.evaluation.runner import Runner
from cof_agent.evaluation.settings import (
    Mode,
    RunSettings,
    default_directory,
    lasting_options,
    limits_of,
    profile_digest,
)
from cof_agent.evaluation.sizes import DEFAULT_RESOLUTIONS, NATIVE
from cof_agent.evaluation.tampering import Tampering
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.graph import as_policy
from cof_agent.loop.run_info import versions
from cof_agent.policies.kinds import OBSERVER
from cof_agent.policies.loading import load_policy
from cof_agent.policies.policy import Policy

if TYPE_CHECKING:
    from cof_agent.evaluation.summary import Summary

Choice = TypeVar("Choice", bound=StrEnum)

JUDGMENTS = "judge.jsonl"
TRAJECTORIES = "trajectories"


def evaluate(
    benchmark: str | Benchmark,
    policy: str | Policy | BaseChatModel,
    *,
    mode: str = Mode.ADAPTIVE,
    resolutions: Sequence[int | str | None] = DEFAULT_RESOLUTIONS,
    overview_budgets: Sequence[int | str | None] = (None,),
    start: int = 0,
    limit: int | None = None,
    concurrency: int = 8,
    judge: str | Policy | BaseChatModel | None = None,
    regions: Sequence[str] = (),
    counterfactual: bool = False,
    trajectories: bool = False,
    retry_failed: bool = False,
    out: str | Path | None = None,
    config: FocusConfig | None = None,
    profile: Profile | None = None,
    options: Sequence[str] = (),
    progress: RunProgress | None = None,
    report: bool = True,
) -> Summary:
    """`aevaluate`, with the same parameters, in a loop of its own."""
    work = partial(
        aevaluate,
        benchmark,
        policy,
        mode=mode,
        resolutions=resolutions,
        overview_budgets=overview_budgets,
        start=start,
        limit=limit,
        concurrency=concurrency,
        judge=judge,
        regions=regions,
        counterfactual=counterfactual,
        trajectories=trajectories,
        retry_failed=retry_failed,
        out=out,
        config=config,
        profile=profile,
        options=options,
        progress=progress,
        report=report,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1, "cof-evaluate") as thread:  # the loop of a notebook cannot run another inside
        return thread.submit(lambda: asyncio.run(work())).result()


async def aevaluate(
    benchmark: str | Benchmark,
    policy: str | Policy | BaseChatModel,
    *,
    mode: str = Mode.ADAPTIVE,
    resolutions: Sequence[int | str | None] = DEFAULT_RESOLUTIONS,
    overview_budgets: Sequence[int | str | None] = (None,),
    start: int = 0,
    limit: int | None = None,
    concurrency: int = 8,
    judge: str | Policy | BaseChatModel | None = None,
    regions: Sequence[str] = (),
    counterfactual: bool = False,
    trajectories: bool = False,
    retry_failed: bool = False,
    out: str | Path | None = None,
    config: FocusConfig | None = None,
    profile: Profile | None = None,
    options: Sequence[str] = (),
    progress: RunProgress | None = None,
    report: bool = True,
) -> Summary:
    """Ask a policy the questions of a benchmark, write everything to a directory, and sum up.

    `benchmark` is a spec such as `scenes` or `vstar:DIRECTORY`, or a benchmark of one's own. `policy` is a spec for
    `load_policy`, `observer` for the scenes' ideal observer, a `Policy`, or a chat model. The first `limit` questions
    after `start` ones (default: 300 scenes, or all of another benchmark) are asked at each of the `resolutions` (long
    side in pixels, or
    "native") with each of the `overview_budgets` (side in shown pixels of the square whose area the first look may
    have, or "native" for the policy's own), and there once more for each of `regions` ("blank", "elsewhere",
    "overview"; see `Tampering`): the summary then tells how far accuracy falls. `mode` and `counterfactual` are those
    of `Mode` and `RunSettings`; a counterfactual is asked about with regions as they are. `judge` decides where no rule
    can tell; `profile` replaces the policy's own; `options` say, as NAME=VALUE, with which ones the policy was loaded.

    A run that was cut short goes on where it was, when it is asked for again with the same directory `out`. With
    `retry_failed` it asks again what failed and what ran out of time; an answer that could not be judged is judged
    again, and not asked for. A `judge` may be added, and exchanged until it has decided something, and `limit` may
    grow. `trajectories` are saved in `out`, each under the id that its row of the results names; a question that was
    cut off or is asked again has another one. `progress=RunProgress()` tells on standard error
    how far it is, and how long it will take where the benchmark is one of ours or has a length. `report` is whether the
    files of the report are written. Raises LockedError where another run writes to `out`, ConfigError for settings that
    are not valid or not those of the run in `out`, TrajectoryError when the directory cannot be written, PolicyError
    for a judge that cannot give its first verdict, and what the benchmark raises. What happens to one question is in
    its row of the results.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
    if find_spec("matplotlib") is None:  # better told now than after hours
        raise MissingExtraError.for_extra("eval", "the report of an evaluation")
    opened = open_benchmark(benchmark) if isinstance(benchmark, str) else _checked(benchmark)
    driving, own = policy_and_profile(policy, profile)
    name = driving.name if driving else OBSERVER
    judging = _named(load_policy(judge) if isinstance(judge, str) else judge) if judge is not None else None
    counts = isinstance(benchmark, str)  # nobody knows what reading another one twice at a time would do
    wanted = _chosen(Mode, mode, "mode")
    settings = RunSettings.of(
        benchmark=opened.name,
        role=opened.role,
        policy=name,
        options=lasting_options(options),
        dialect=own.dialect,
        profile=own.model_dump(mode="json"),
        profile_digest=profile_digest(own),
        mode=wanted,
        resolutions=_numbers(resolutions, "resolutions"),
        budgets=_numbers(overview_budgets, "overview_budgets"),
        start=start,
        limit=limit if limit is not None else default_limit(opened),
        regions=_regions(regions),
        counterfactual=counterfactual,
        judge=judging.name if judging else None,
        limits={},
        version=versions()["cof-agent"],
    )
    limits = limits_of(wanted, config or FocusConfig(), own, settings.budgets)
    settings = settings.model_copy(update={"limits": limits.model_dump(mode="json")})
    out = Path(out) if out is not None else default_directory(settings, default_limit(opened))
    plan = Plan(opened, settings, scenes_only=driving is None)
    saved = out / TRAJECTORIES if trajectories else None
    driver = Driver(driving, own, settings.budgets, limits, regions=settings.regions, save=saved)
    driver.agent(plan.first(), (224, 224))  # what cannot be asked at all is told before anything is written
    if progress:
        progress.directory = out
    with writing(out, settings, retry_failed=retry_failed) as directory:
        with progress or contextlib.nullcontext():
            asker = Judge(judging, out / JUDGMENTS) if judging else None
            await judge_again(directory, asker, concurrency=concurrency, failed=retry_failed)
            runner = Runner(
                plan, driver, directory, concurrency=concurrency, judge=asker, progress=progress, count=counts
            )
            await runner.run()
        from cof_agent.evaluation.report.files import sum_up, write_report

        return await asyncio.to_thread(write_report if report else sum_up, out)


def _checked(benchmark: Benchmark) -> Benchmark:
    """A benchmark of somebody's own; what it yields is checked as it is asked."""
    lacking = [name for name in ("name", "role") if not hasattr(benchmark, name)]
    lacking += [] if isinstance(benchmark, Iterable) else ["__iter__"]
    if lacking:
        raise ConfigError(
            f"{benchmark!r:.80} is no benchmark, for it has no {', no '.join(lacking)}: a benchmark is a spec such as "
            f"'scenes' or 'jsonl:FILE', or an object with a name, a role ({' or '.join(Role)}) and an __iter__ that "
            "yields BenchmarkQuestion"
        )
    return benchmark


def policy_and_profile(policy: str | Policy | BaseChatModel, profile: Profile | None) -> tuple[Policy | None, Profile]:
    """The policy, None for the observer, and the profile it is spoken to with. Raises what `load_policy` raises."""
    if policy == OBSERVER:
        from cof_agent.scenes.reach import SCENE_PROFILE

        return None, profile or SCENE_PROFILE
    loaded = load_policy(policy, profile=profile) if isinstance(policy, str) else _named(policy)
    return loaded, profile or loaded.profile


def _named(policy: Policy | BaseChatModel) -> Policy:
    """As a policy; a bare chat model under a name with its model's, lest one model's run pass for another's."""
    made = as_policy(policy)
    own = getattr(policy, "model_name", None) or getattr(policy, "model", None)
    if made is policy or not isinstance(own, str):
        return made
    return Policy(made.model, made.profile, f"{made.name}:{own}")


def _chosen(kind: type[Choice], value: str, name: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"{name} is one of {', '.join(kind)}, not {value!r}") from None


def _regions(values: Sequence[str]) -> tuple[Tampering, ...]:
    if isinstance(values, str):
        raise ConfigError(f"regions is a list such as [{Tampering.BLANK.value!r}], not {values!r}")
    return tuple(_chosen(Tampering, value, "region") for value in values)


def _numbers(values: Sequence[int | str | None], name: str) -> tuple[int | str | None, ...]:
    if isinstance(values, str | int):
        raise ConfigError(f"{name} is a list such as [448, {NATIVE!r}], not {values!r}")
    return tuple(None if value == NATIVE else value for value in values)
