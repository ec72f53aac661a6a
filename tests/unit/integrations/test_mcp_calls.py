"""Calls that outlive their answer: bounded in number and age, each outcome given to one caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cof_agent.integrations import mcp_calls
from cof_agent.integrations.mcp_calls import CallProgress, Calls
from tests.support.patience import PATIENCE

SOON = 0.001


class Work:
    """Ends when it is told to, and says how often it began and whether it was cancelled."""

    def __init__(self) -> None:
        self.begun, self.cancelled, self.go = 0, asyncio.Event(), asyncio.Event()

    async def __call__(self, progress: CallProgress) -> str:
        self.begun = number = self.begun + 1
        progress.step(self.begun, 7, "looked")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return f"outcome {number}"


async def silent(*_: Any) -> None:
    pass


async def test_the_same_call_gets_what_the_first_began_and_only_one_of_two() -> None:
    calls, work = Calls[str](SOON, PATIENCE), Work()
    assert await calls.outcome("a", work, silent) is None
    assert await calls.outcome("a", work, silent) is None, "still not, and it is the same"
    other = Work()
    other.go.set()
    assert await Calls[str](0, PATIENCE).outcome("a", other, silent) == "outcome 1", "0: at the end only"
    work.go.set()
    patient = Calls[str](PATIENCE, PATIENCE)
    patient._left = calls._left
    first, second = await asyncio.gather(*(patient.outcome("a", work, silent) for _ in range(2)))
    assert (first, second, work.begun) == ("outcome 1", "outcome 2", 2)


async def test_what_it_raises_is_raised_for_the_one_who_comes_back() -> None:
    calls = Calls[str](SOON, PATIENCE)
    go = asyncio.Event()

    async def fails(progress: CallProgress) -> str:
        await go.wait()
        raise ValueError("no")

    assert await calls.outcome("a", fails, silent) is None
    go.set()
    await asyncio.wait({calls._left[0].task})
    with pytest.raises(ValueError, match="no"):
        await calls.outcome("a", fails, silent)


async def test_one_too_many_ends_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_calls, "_KEPT", 3)
    calls, works = Calls[str](SOON, PATIENCE), [Work() for _ in range(5)]
    for number, work in enumerate(works):
        assert await calls.outcome(str(number), work, silent) is None
    for work in works[:2]:
        await asyncio.wait_for(work.cancelled.wait(), PATIENCE)
    assert [work.cancelled.is_set() for work in works[2:]] == [False] * 3


async def test_what_nobody_asks_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, work = Calls[str](SOON, PATIENCE), Work()
    assert await calls.outcome("a", work, silent) is None
    work.go.set()
    await calls._left[0].task
    monkeypatch.setattr(mcp_calls, "_KEPT_SECONDS", -1.0)
    assert await calls.outcome("a", work, silent) in (None, "outcome 2")
    assert work.begun == 2


async def test_who_is_cancelled_cancels_the_work() -> None:
    calls, work = Calls[str](PATIENCE, PATIENCE), Work()
    asked = asyncio.create_task(calls.outcome("a", work, silent))
    while not work.begun:
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait_for(work.cancelled.wait(), PATIENCE)
    assert not calls._left


async def test_words_go_on_while_nothing_is_done_and_their_values_rise() -> None:
    calls, work, told = Calls[str](0, SOON), Work(), list[tuple[float, float | None]]()

    async def tell(done: float, total: float | None, words: str | None) -> None:
        told.append((done, total))
        if len(told) == 5:
            work.go.set()

    assert await calls.outcome("a", work, tell) == "outcome 1"
    values = [done for done, _ in told]
    assert values == sorted(set(values))
    assert (values[0], values[-1] < 2, told[-1][1]) == (1, True, 7)
