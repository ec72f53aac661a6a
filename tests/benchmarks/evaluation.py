"""What the evaluation itself costs.

`python -m tests.benchmarks.evaluation`: (a) 500 questions about scenes at 1024 pixels with the ideal observer, and how
much of the time is not the observer's own reading; (b) questions per second against an endpoint in another process that
takes 0.2 seconds a call, with 2 calls a question, over the ideal: concurrency / (2 x 0.2 s); and the same for the
agent's own batches, without the evaluation around them. The exit code is 1 if a target is missed: the time against the
endpoint over what it must take, the ideal and its own work; and the processor time over that of the batches.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

from cof_agent import ChainOfFocus, Policy, Profile
from cof_agent.evaluation import read_run, runner
from cof_agent.evaluation.evaluating import aevaluate
from cof_agent.evaluation.report import files as report_files
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.scenes.observer import ObserverModel
from tests.benchmarks.endpoint import CALLS, SECONDS, _picture, serving
from tests.benchmarks.machine import machine, must_take, report
from tests.support.made_questions import Made, question

WAITED, WORK = 1.5, 3.0
"""At most so many times: the time over what it must take, and the processor time over that of the agent's batches."""


class Clock:
    """Seconds spent in calls of a function, on the clock and on the processor, over all threads."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0
        self.calls = 0
        self._lock = threading.Lock()

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def timed(*given: Any, **named: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return work(*given, **named)
            finally:
                with self._lock:
                    self.wall += time.perf_counter() - wall
                    self.processor += time.thread_time() - processor
                    self.calls += 1

        return timed


@contextlib.contextmanager
def timed(owner: Any, name: str) -> Iterator[Clock]:
    """Time what `owner` has under `name`."""
    clock, own = Clock(), getattr(owner, name)
    setattr(owner, name, clock.around(own))
    try:
        yield clock
    finally:
        setattr(owner, name, own)


def scenes(count: int, resolution: int, concurrency: int) -> None:
    with (
        tempfile.TemporaryDirectory() as out,
        timed(ObserverModel, "_generate") as reading,
        timed(runner, "picture") as painting,
        timed(report_files, "write_report") as reporting,
    ):
        work = partial(aevaluate, "scenes", "observer", resolutions=(resolution,), concurrency=concurrency)
        asyncio.run(work(limit=4, out=Path(out) / "warm"))
        for clock in (reading, painting, reporting):
            clock.wall = clock.processor = 0.0
        wall, processor = time.perf_counter(), time.process_time()
        asyncio.run(work(limit=count, out=Path(out) / "run"))
        wall, processor = time.perf_counter() - wall - reporting.wall, time.process_time() - processor
        processor -= reporting.processor
        rows = read_run(Path(out) / "run").rows
    assert len(rows) == count
    right = sum(row.correct for row in rows)
    print(f"{count} questions about scenes at {resolution} px, {concurrency} at a time, {right / count:.1%} right")
    for name, clock in (("observer's reading", reading), ("rendering and encoding", painting)):
        print(f"  {name}: {clock.wall / count:.4f} s a question ({clock.processor / count:.4f} s of CPU)")
    rest = processor - reading.processor
    print(
        f"  whole run: {wall / count:.4f} s a question ({processor / count:.4f} s of CPU), "
        f"and {reporting.wall:.1f} s for the report"
    )
    print(f"  besides the reading: {(wall - reading.wall) / count:.4f} s ({rest / count:.4f} s of CPU)")
    print(f"  besides reading and rendering: {(rest - painting.processor) / count:.4f} s of CPU")


def _policy(url: str) -> Policy:
    return Policy(load_endpoint("openai:m", base_url=url), Profile(), "openai:m")


async def _alone(url: str, count: int, concurrency: int) -> float:
    """Seconds for `count` questions in a batch of the agent's."""
    pictures = [_picture(number % 64, 224) for number in range(count)]
    agent = ChainOfFocus(_policy(url))
    began = time.perf_counter()
    results = await agent.abatch([(picture, "What?") for picture in pictures], concurrency=concurrency)
    seconds = time.perf_counter() - began
    assert all(result.answer == "42" for result in results)
    return seconds


async def _against(url: str, count: int, concurrency: int, out: Path) -> float:
    """Seconds for `count` questions of an evaluation."""
    made, policy = Made([question(number, image=_picture(number % 64, 224)) for number in range(count)]), _policy(url)
    began = time.perf_counter()
    await aevaluate(made, policy, resolutions=("native",), concurrency=concurrency, out=out)
    seconds = time.perf_counter() - began
    rows = read_run(out).rows
    assert len(rows) == count
    assert all(row.correct and row.usage and row.usage.policy_calls == CALLS for row in rows), rows[0]
    return seconds


def _run(work: Callable[[], Coroutine[Any, Any, float]]) -> float:
    return asyncio.run(work())


def endpoint(levels: list[int], waves: int, profiled: bool) -> bool:
    """Whether every level reaches its targets."""
    kept = True
    with tempfile.TemporaryDirectory() as out, serving() as url, timed(report_files, "write_report") as reporting:
        asyncio.run(_against(url, 2, 1, Path(out) / "warm"))
        for concurrency in levels:
            reporting.wall = reporting.processor = 0.0
            count, busy = waves * concurrency, time.process_time()
            work = partial(_against, url, count, concurrency, Path(out) / str(concurrency))
            profile = cProfile.Profile()
            seconds = profile.runcall(_run, work) if profiled else _run(work)
            seconds -= reporting.wall
            busy = time.process_time() - busy - reporting.processor
            ideal = concurrency / (CALLS * SECONDS)
            rate = count / seconds
            its = time.process_time()
            alone = asyncio.run(_alone(url, count, concurrency))
            its = time.process_time() - its
            print(
                f"{concurrency:3} at a time: {count} questions in {seconds:.2f} s, {rate:.2f} a second, "
                f"{rate / ideal:.2f} of the ideal {ideal:g}; {busy / count:.4f} s of CPU a question; "
                f"the agent alone {count / alone / ideal:.2f}, {its / count:.4f} s of CPU",
                flush=True,
            )
            waited, work = seconds / must_take(count / ideal, busy, alone, its), busy / its
            kept &= report("     time over what it must take", waited, "times", waited <= WAITED, f"at most {WAITED:g}")
            kept &= report("     CPU over the agent's alone", work, "times", work <= WORK, f"at most {WORK:g}")
            if profiled:
                pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=500, help="about scenes; 0 leaves them out")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--at-a-time", type=int, default=1, help="questions about scenes")
    parser.add_argument("--waves", type=int, default=20, help="questions against the endpoint over the concurrency")
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--profile", action="store_true", help="where the time against the endpoint goes")
    given = parser.parse_args()
    print(machine())
    if given.questions:
        scenes(given.questions, given.resolution, given.at_a_time)
    if given.concurrency:
        return 0 if endpoint(given.concurrency, given.waves, given.profile) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
