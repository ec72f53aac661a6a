"""Rewards of rollouts that are played side by side: each waits for the others of its question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from cof_agent.learning.rewards import RewardFunction, Rollout


class Groups:
    """The groups that are being played in one process. verl starts all rollouts of a question there, and together.

    A rollout that raises leaves its group, so nobody waits for longer than the slowest of the others plays.
    """

    def __init__(self, reward: RewardFunction) -> None:
        self._reward = reward
        self._open: dict[Hashable, _Group] = {}

    @contextmanager
    def member(self, key: Hashable) -> Iterator[Member]:
        """Take part in the group of a question for as long as the rollout is played."""
        group = self._open.setdefault(key, _Group(self._reward, lambda: self._open.pop(key, None)))
        member = group.join()
        try:
            yield member
        finally:
            group.leave(member)


class Member:
    """One rollout of a group."""

    def __init__(self, group: _Group) -> None:
        self._group = group
        self.rollout: Rollout | None = None

    async def earn(self, rollout: Rollout) -> float:
        """What the rollout earns, once all of its group have ended."""
        self.rollout = rollout
        self._group.look()
        await self._group.ended.wait()
        return self._group.earned[self]


class _Group:
    def __init__(self, reward: RewardFunction, close: Callable[[], object]) -> None:
        self._reward, self._close = reward, close
        self._members: list[Member] = []
        self.ended = asyncio.Event()
        self.earned: dict[Member, float] = {}

    def join(self) -> Member:
        member = Member(self)
        self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        if not self.ended.is_set():
            self._members.remove(member)
            self.look()

    def look(self) -> None:
        """Share out the rewards if nobody is playing any more."""
        rollouts = [member.rollout for member in self._members if member.rollout is not None]
        if len(rollouts) == len(self._members):
            self._close()
            try:
                self.earned = dict(zip(self._members, self._reward(rollouts), strict=True)) if rollouts else {}
            finally:
                self.ended.set()
