"""What a run of reinforcement learning is told."""

from __future__ import annotations

from math import gcd
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cof_agent.errors import ConfigError
from cof_agent.learning.rewards import REWARDS
from training.settings import Settings, Value


class JudgeSettings(Value):
    """A policy that says whether an answer is right where no rule can tell."""

    policy: str = Field(min_length=1)
    """As for `load_policy`, such as `openai:MODEL`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Of `load_policy`, such as `base_url`. Keys come from the environment."""
    at_once: int = Field(default=16, ge=1)
    """Verdicts asked for at a time, per process."""


class VllmSettings(Value):
    """Rollouts by vLLM instead of `generate`; it must be installed beside TRL (`trl[vllm]`)."""

    mode: Literal["colocate", "server"] = "colocate"
    """On the training devices, or from `trl vllm-serve` on others."""
    url: str | None = None
    """Of the server."""
    memory: float = Field(default=0.3, gt=0.0, lt=1.0)
    """Share of a device's memory, where colocated."""
    tensor_parallel: int = Field(default=1, ge=1)
    sleep: bool = True
    """Whether colocated weights leave the device while it learns. Not where weights are sharded over processes."""

    @model_validator(mode="after")
    def _check(self) -> VllmSettings:
        if (self.mode == "server") != (self.url is not None):
            raise ValueError("mode server needs url, the address of the server, and mode colocate has none")
        return self


class GrpoSettings(Settings):
    """One run of group-relative policy optimization, on rows of `export --to trl-grpo`."""

    learning_rate: float = Field(default=1e-6, gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "constant_with_warmup"
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    epochs: float = Field(default=1.0, gt=0)

    reward: str = "agar-strict"
    """A name in `cof_agent.learning.rewards.REWARDS`."""
    judge: JudgeSettings | None = None
    """Default: an answer of which no rule is certain is wrong."""

    questions: int = Field(default=64, ge=1)
    """Questions per optimizer step, all devices together."""
    rollouts: int = Field(default=6, ge=2)
    """Rollouts of a question: its group."""
    iterations: int = Field(default=1, ge=1)
    """Optimizer steps on the same rollouts. Only where it is above 1 there is something to clip."""
    max_turns: int = Field(default=4, ge=1)
    """Turns of the policy. A call in the last one is not carried out."""
    max_prompt: int = Field(default=25_600, ge=1)
    """Longer prompts, visual tokens counted, are left out."""
    max_response: int = Field(default=32_756, ge=1)
    """Tokens after the prompt, those of regions counted."""
    temperature: float = Field(default=1.0, gt=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)
    """0: all tokens."""
    vllm: VllmSettings | None = None

    kl: float = Field(default=0.001, ge=0.0)
    """Coefficient of the low-variance estimate of the divergence from the starting model; 0 does without that model."""
    clip: float = Field(default=0.2, gt=0.0, lt=1.0)
    """How far the ratio of new to old probabilities counts."""
    clip_high: float | None = Field(default=None, gt=0.0)
    """Upwards, where that is another distance."""
    entropy_bonus: float = Field(default=0.0, ge=0.0)
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "dapo"
    """How tokens are averaged (TRL's `loss_type`): `dapo` over all tokens of the step, `grpo` per rollout first."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Over whose standard deviation advantages are divided."""

    @field_validator("reward")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in REWARDS:
            raise ValueError(f"there is no such reward: choose one of {', '.join(REWARDS)}")
        return value

    @model_validator(mode="after")
    def _check(self) -> GrpoSettings:
        if self.save_steps % self.iterations:
            raise ValueError(
                f"save_steps ({self.save_steps}) must be a multiple of iterations ({self.iterations}): rollouts are "
                "not saved, so a save can only stand between them"
            )
        return self

    def check_shared_out(self, processes: int, sharded: bool) -> None:
        """Raise ConfigError where processes would wait for each other for ever, before anything is loaded.

        `sharded`: each weight is spread over the processes (FSDP, ZeRO-3). TRL's loop lets a process whose rollouts
        make no more calls go on while others still generate. So a turn after the first may need nothing of all
        processes. It does where sharded weights are gathered, which `generate` does in each turn and vLLM after it has
        slept, and where vLLM's prompts are.
        """
        if processes < 2:
            return
        if sharded and self.vllm is None:
            raise ConfigError(
                f"{processes} processes cannot generate with sharded weights, since their episodes differ in length: "
                "let vLLM write them (vllm: {mode: colocate, sleep: false}), or keep the weights whole, with lora"
            )
        if self.vllm is None or self.max_turns == 1:
            return
        waits = f"{processes} processes would wait for each other for ever, since their episodes differ in length: "
        if self.vllm.mode == "server":
            raise ConfigError(
                f"{waits}with vllm's mode: server each turn is asked for by all of them together. Set mode: colocate, "
                "or launch one process"
            )
        if self.vllm.tensor_parallel > 1:
            raise ConfigError(
                f"{waits}with vllm's tensor_parallel: {self.vllm.tensor_parallel} each turn is asked for by several of "
                "them together. Set tensor_parallel: 1"
            )
        if sharded and self.vllm.sleep:
            raise ConfigError(
                f"{waits}with sharded weights (FSDP or ZeRO-3) and vllm's sleep: true all of them give vLLM its "
                "weights again before each turn. Set sleep: false in vllm (its `memory` is then taken while the policy "
                "learns, too), or keep the weights whole: lora, without FSDP and ZeRO-3"
            )

    def passes(self, processes: int) -> int:
        """Forward and backward passes of a device per optimizer step.

        Raises ConfigError when so many processes cannot share the rollouts of a step.
        """
        all_rollouts = self.questions * self.rollouts
        passes, rest = divmod(all_rollouts, self.batch * processes)
        if rest:
            shared = self.batch * processes
            raise ConfigError(
                f"{processes} processes with batches of {self.batch} cannot share {self.questions} questions of "
                f"{self.rollouts} rollouts each: make questions a multiple of {shared // gcd(self.rollouts, shared)}, "
                "or batch smaller"
            )
        return passes
