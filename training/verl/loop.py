"""verl's agent loop around the graph, for verl 0.9: `agent_loop_config_path` names it, see `configs/`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import uuid4

from cof_agent.errors import ConfigError
from cof_agent.learning.rewards import REWARDS
from cof_agent.policies.qwen.checkpoint import find_checkpoint
from cof_agent.policies.qwen.prompt import PromptWriter
from training.verl.group import Groups
from training.verl.question import asked
from training.verl.rollout import Played, play

try:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput
    from verl.utils.profiler import simple_timer
except ImportError as missing:
    raise ConfigError(f"verl cannot be imported ({missing}): install verl 0.9 as its documentation says") from missing


class FocusLoop(AgentLoopBase):  # type: ignore[misc]
    """Plays a question with zooms and rewards it within its group.

    `reward` is a name in `cof_agent.learning.rewards.REWARDS`; `limits` are fields of `FocusConfig` that go over the
    rows' own.
    """

    def __init__(
        self, *given: Any, reward: str = "agar-strict", limits: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        super().__init__(*given, **more)
        self.reward, self.limits = reward, dict(limits or {})
        self.writer = _writer(self.config.actor_rollout_ref.model.path)
        self.groups = _groups(reward)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """Play the question of a dataset's row; see `verl.experimental.agent_loop`."""
        timing: dict[str, float] = {}
        with self.groups.member(row.get("uid") or uuid4().hex) as member:
            with simple_timer("generate_sequences", timing):
                played = await play(
                    asked(row, self.limits),
                    self.writer,
                    self.server_manager,
                    sampling_params,
                    uuid4().hex,
                    (self.rollout_config.prompt_length, self.rollout_config.response_length),
                )
            with simple_timer("compute_score", timing):
                earned = await member.earn(played.rollout)
        return _output(played, earned, timing, logprobs=bool(sampling_params.get("logprobs")))


def _output(played: Played, earned: float, timing: dict[str, float], *, logprobs: bool) -> AgentLoopOutput:
    tokens, rollout = played.tokens, played.rollout
    preempted = [output.num_preempted for output in played.outputs if output.num_preempted is not None]
    known = {
        "acc": float(rollout.correct),
        "zooms": float(rollout.zooms),
        "format": float(rollout.well_formed),
        "refused": float(played.trajectory.usage.refused),
    }
    steps = {**played.outputs[0].extra_fields, **_newest(played.outputs[-1].extra_fields)}
    return AgentLoopOutput(
        prompt_ids=tokens.prompt,
        response_ids=tokens.response,
        response_mask=tokens.mask,
        response_logprobs=tokens.logprobs if logprobs else None,
        multi_modal_data={"images": tokens.images},
        reward_score=earned,
        num_turns=2 * tokens.turns,
        metrics=AgentLoopMetrics(**timing, num_preempted=sum(preempted) if preempted else -1),
        extra_fields=steps | {"turn_scores": [], "tool_rewards": [], "reward_extra_info": known},
    )


def _newest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The version of the weights that wrote the last turn."""
    return {name: fields[name] for name in ("max_global_steps",) if fields.get(name) is not None}


@lru_cache(maxsize=4)
def _writer(checkpoint: str) -> PromptWriter:
    return PromptWriter(find_checkpoint(checkpoint))


@lru_cache(maxsize=4)
def _groups(reward: str) -> Groups:
    """One for all loops of a process: verl makes a loop for each rollout."""
    if reward not in REWARDS:
        raise ConfigError(f"there is no reward {reward!r}: choose one of {', '.join(REWARDS)}")
    return Groups(REWARDS[reward])
