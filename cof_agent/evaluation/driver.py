"""Which agent answers which question, and the images that it holds meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cof_agent.agent.chain_of_focus import ChainOfFocus
from cof_agent.agent.result import FocusResult
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.evaluation.plan import PlannedQuestion
from cof_agent.evaluation.settings import with_budget
from cof_agent.evaluation.tampering import Tampering
from cof_agent.images.geometry import Size
from cof_agent.images.reference import ImageRef
from cof_agent.images.store import MemoryStore
from cof_agent.loop.config import FocusConfig
from cof_agent.policies.policy import Policy


class Driver:
    """Agents that share one policy and one memory of images, one for each overview budget and kind of regions.

    `policy` is None for the observer. `save` is where trajectories go. Raises ConfigError for a profile that a budget
    does not suit, and for a policy that cannot use its profile.
    """

    def __init__(
        self,
        policy: Policy | None,
        profile: Profile,
        budgets: tuple[int | None, ...],
        config: FocusConfig,
        *,
        regions: tuple[Tampering, ...] = (),
        save: Path | None = None,
    ) -> None:
        self.images = ImageMemory()
        self._config, self._save = config, save
        self._profiles = {budget: with_budget(profile, budget) for budget in budgets}
        self._agents: dict[tuple[int | None, Tampering | None], ChainOfFocus] = {}
        if policy is not None:
            for budget, own in self._profiles.items():
                for region in (None, *regions):
                    self._agents[budget, region] = self._agent(Policy(policy.model, own, policy.name), region)

    def profile(self, budget: int | None) -> Profile:
        """How the policy is spoken to under an overview budget."""
        return self._profiles[budget]

    def agent(self, task: PlannedQuestion, size: Size) -> ChainOfFocus:
        """Who answers a question about an image of `size` pixels."""
        if self._agents:
            return self._agents[task.cell.budget, task.cell.region]
        from cof_agent.scenes.observer import observer_policy

        if task.question.scene is None:
            raise ConfigError("the observer answers questions about scenes only: use another policy")
        observer = observer_policy(task.question.scene, size, profile=self.profile(task.cell.budget))
        return self._agent(observer, task.cell.region)

    def finished(self, result: FocusResult) -> None:
        """The images of a question that is over may go."""
        self.images.let_go(result.trajectory.image_refs)

    def _agent(self, policy: Policy, region: Tampering | None) -> ChainOfFocus:
        return ChainOfFocus(
            policy,
            config=self._config,
            store=self.images,
            save=self._save,
            strip_metadata=self._save is not None,
            region_pixels=region.pixels if region else None,
        )


_BYTES = 8 * 2**30
"""Far more than the questions that are asked at a time need; what a broken one leaves behind goes beyond it."""


class ImageMemory(MemoryStore):
    """Keeps an image until every question that put it there is over. A shared one is counted, not copied."""

    def __init__(self, max_bytes: int = _BYTES) -> None:
        super().__init__(max_bytes)
        self._users: Counter[str] = Counter()

    def put(self, ref: ImageRef, data: bytes) -> None:
        with self._lock:
            self._users[ref.sha256] += 1
        super().put(ref, data)

    def let_go(self, refs: Iterable[ImageRef]) -> None:
        """One question is over; `refs` are the images that it had put here, one for each time."""
        with self._lock:
            for ref in refs:
                self._users[ref.sha256] -= 1
                if self._users[ref.sha256] <= 0:
                    del self._users[ref.sha256]
                    self._drop(ref.sha256)
