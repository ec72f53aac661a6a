"""Asks what is planned, several questions at a time, and writes down each one as it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio import Future
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from cof_agent.errors import MissingExtraError
from cof_agent.evaluation.driver import Driver
from cof_agent.evaluation.judge import Judge
from cof_agent.evaluation.picture import SizedImage, pictures
from cof_agent.evaluation.plan import Plan, PlannedQuestion
from cof_agent.evaluation.progress import RunProgress
from cof_agent.evaluation.question import MalformedRow
from cof_agent.evaluation.results import RunDirectory
from cof_agent.evaluation.row import ResultRow
from cof_agent.evaluation.scoring import failed, scored
from cof_agent.images.geometry import Size

_MOST_THREADS = 4
_AHEAD = 4
"""Pictures that are made before somebody asks about them."""

Coming: TypeAlias = "Future[tuple[SizedImage, ...] | None]"
"""The pictures of a question."""


class Runner:
    """One pass over a plan. What the directory has already is not asked again.

    One thread reads the benchmark, a few make pictures ahead of the questions, and at most `concurrency` questions are
    asked at a time, so the pictures of at most `concurrency` + 4 are held, however large they are. What one question
    raises is its row; only a benchmark that cannot be read on, a directory that cannot be written, or a judge that
    cannot give its first verdict ends the run.
    """

    def __init__(
        self,
        plan: Plan,
        driver: Driver,
        directory: RunDirectory,
        *,
        concurrency: int,
        judge: Judge | None = None,
        progress: RunProgress | None = None,
        count: bool = False,
    ) -> None:
        """`count`: the benchmark may be read to its end, beside the run, to know how much there is to do."""
        self._plan, self._driver, self._directory = plan, driver, directory
        self._judge, self._progress, self._counts, self._concurrency = judge, progress, count, concurrency
        self._waiting: asyncio.Queue[tuple[PlannedQuestion, Coming] | None] = asyncio.Queue()
        self._places = asyncio.Semaphore(concurrency + _AHEAD)
        self._broken: Exception | None = None

    async def run(self) -> None:
        """Until everything is asked. Raises what the benchmark raises, after what had been read is asked."""
        if self._progress:
            self._progress.begin(self._plan.total, self._directory.rows.values())
        reader = ThreadPoolExecutor(1, "cof-benchmark")
        counter = ThreadPoolExecutor(1, "cof-count")
        painters = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "cof-pictures")
        try:
            async with asyncio.TaskGroup() as group:
                counting = group.create_task(self._count(counter))
                reading = group.create_task(self._read(reader, painters))
                workers = [group.create_task(self._work()) for _ in range(self._concurrency)]
                await asyncio.gather(reading, *workers)
                counting.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:  # without waiting: after Ctrl-C nobody needs what they still do
            for threads in (counter, reader, painters):
                threads.shutdown(wait=False, cancel_futures=True)
        if self._broken:
            raise self._broken

    async def _count(self, counter: ThreadPoolExecutor) -> None:
        if self._counts and self._progress and self._plan.total is None:
            with contextlib.suppress(Exception):  # what the benchmark raises is told where it is read
                self._progress.expect(await asyncio.get_running_loop().run_in_executor(counter, self._plan.count))

    async def _read(self, reader: ThreadPoolExecutor, painters: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        items = iter(self._plan)
        latest: tuple[object, Coming] | None = None
        try:
            while (item := await loop.run_in_executor(reader, next, items, None)) is not None:
                if isinstance(item, MalformedRow):
                    self._directory.keep_malformed(item)
                elif self._directory.has(item):
                    if self._progress and item.key not in self._directory.rows:
                        self._progress.skip()
                else:
                    await self._places.acquire()
                    subject = (item.number, item.cell.resolution, item.cell.counterfactual)
                    if latest is None or latest[0] != subject:  # other budgets and regions have the same picture
                        coming = loop.run_in_executor(painters, pictures, item.question.images, item.cell.resolution)
                        latest = subject, coming
                    self._waiting.put_nowait((item, latest[1]))
        except Exception as error:  # a benchmark may be anybody's code; what is being asked is brought to its end
            self._broken = error
        for _ in range(self._concurrency):
            self._waiting.put_nowait(None)

    async def _work(self) -> None:
        while (item := await self._waiting.get()) is not None:
            task, coming = item
            row = await self._row(task, coming)
            if row is None:
                self._directory.skip(task)
            else:
                self._directory.add(row)
            if self._progress:
                self._progress.skip() if row is None else self._progress.add(row)
            self._places.release()
            if self._judge:
                self._judge.check()

    async def _row(self, task: PlannedQuestion, coming: Coming) -> ResultRow | None:
        """How a question ended; None where an image of it is smaller than the resolution."""
        sizes: tuple[Size, ...] = ()
        try:
            made = await coming
            if made is None:
                return None
            sizes = tuple(image.size for image in made)
            sources = [image.source for image in made]
            agent = self._driver.agent(task, sizes[0])
            result = await agent.aask(sources if len(sources) > 1 else sources[0], task.question.text)
            self._driver.finished(result)
            return await scored(task, sizes, result, self._driver.profile(task.cell.budget), self._judge)
        except MissingExtraError:  # every question would miss it
            raise
        except Exception as error:  # whatever one question raises is its own row, and the others go on
            return failed(task, sizes, error, self._plan.settings.policy)
