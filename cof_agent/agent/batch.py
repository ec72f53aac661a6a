"""Many questions at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeAlias

from cof_agent.agent.ask import Images
from cof_agent.agent.result import FailedQuestion, FocusResult
from cof_agent.errors import CofError, ConfigError

log = logging.getLogger(__name__)

Question: TypeAlias = tuple[Images, str]
"""An image, or a list of several, and what is asked about it."""

Ask: TypeAlias = Callable[[Images, str, Executor], Awaitable[FocusResult]]
"""Answers one question; what would block the loop of asyncio, such as opening the image, it leaves to the threads."""


async def answer_all(
    ask: Ask, questions: Iterable[Question], concurrency: int, policy: str
) -> list[FocusResult | FailedQuestion]:
    """The results in the order of the questions, of which at most `concurrency` are asked at a time.

    What `ask` raises becomes a `FailedQuestion` of `policy`. Raises ConfigError for a concurrency below 1, and whatever
    `questions` itself raises.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
    results: dict[int, FocusResult | FailedQuestion] = {}
    waiting = enumerate(questions)
    with ThreadPoolExecutor(concurrency, "cof-batch") as threads:  # a slow image then delays no other question

        async def work() -> None:
            for number, question in waiting:
                results[number] = await _answered(ask, question, policy, threads)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(concurrency):
                    workers.create_task(work())
        except ExceptionGroup as group:  # only `questions` itself can raise here
            raise group.exceptions[0] from None
    return [results[number] for number in sorted(results)]


async def _answered(ask: Ask, asked: Question, policy: str, threads: Executor) -> FocusResult | FailedQuestion:
    image: Images | None = None
    question = repr(asked)
    try:
        if not (isinstance(asked, tuple | list) and len(asked) == 2):
            raise ConfigError(f"a question of a batch is a pair of image and text, not {asked!r:.80}")
        image, question = asked
        return await ask(image, question, threads)
    except Exception as error:  # whatever one question raises, the results of the others must not be lost
        if not isinstance(error, CofError):
            log.exception("a question of a batch failed: %r", question)
        return FailedQuestion(image, question, error, policy)
