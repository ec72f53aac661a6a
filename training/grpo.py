"""Stage 2: reinforcement learning on questions that the policy plays, with rewards over groups of rollouts.

`python -m training.grpo --config training/configs/NAME.yaml`, or `accelerate launch -m training.grpo …` on several
devices. Launched again, it goes on from its last save.
"""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError, MissingExtraError
from training.command import run_command
from training.grpo_settings import GrpoSettings

try:
    from accelerate import PartialState
    from trl import GRPOConfig, GRPOTrainer

    from training.run import Resuming, carry_out, trained, trainer_arguments
except ImportError as missing:
    raise MissingExtraError.for_extra("train", "training") from missing

from cof_agent.evaluation.judge import Judge
from cof_agent.learning.environment.speech import prepare
from cof_agent.learning.environment.zoom import ZoomEnvironment
from cof_agent.policies import load_policy
from cof_agent.policies.qwen.processor import load_processor, local_directory
from training.checkpoints import JUDGMENTS
from training.launcher import is_sharded
from training.model import adapters, open_model
from training.questions import Questions, load_questions
from training.reward import GroupReward

_ANY_AREA = 2**31
"""Pixels: images are left at the sizes at which the profile and the tool show them."""


def train(settings: GrpoSettings) -> Path:
    """Train, or go on training, and return the directory of the trained model.

    Raises ConfigError for a model, rows or an output directory that do not fit the settings, and for a way of launching
    it in which processes would wait for each other for ever.
    """
    if done := trained(settings):
        return done
    settings.check_shared_out(_processes(settings), is_sharded(os.environ))
    if settings.vllm and find_spec("vllm") is None:
        raise ConfigError('vllm is not installed: pip install "trl[vllm]", or leave vllm out of the configuration')
    processor: Any = prepare(load_processor(local_directory(settings.model, revision=settings.revision)))
    images = processor.image_processor
    factor = images.patch_size * images.merge_size
    images.size = {"shortest_edge": factor**2, "longest_edge": _ANY_AREA}
    questions = load_questions(settings, processor, factor)
    trainer = make_trainer(settings, processor, questions)
    rows = f"{questions.count} questions ({questions.too_long} too long)"
    return carry_out(trainer, settings, questions.profile, rows, every=settings.iterations)


class ResumingTrainer(Resuming, GRPOTrainer):  # type: ignore[misc]
    """TRL's, for runs that go on."""


def make_trainer(settings: GrpoSettings, processor: Any, questions: Questions) -> Any:
    """TRL's trainer as the settings have it. What they say wrongly is found before the model is read."""
    reward, config = _reward(settings), trainer_config(settings, questions.steps)
    model = open_model(settings)
    # Where the trainer finds the weights from which it measures how far the policy has gone.
    model.config.name_or_path = str(local_directory(settings.model, revision=settings.revision))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'environment_factory', which is an experimental feature")
        trainer = ResumingTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=questions.table,
            processing_class=processor,
            environment_factory=ZoomEnvironment,
            peft_config=adapters(model, settings),
        )
    model.config.name_or_path = settings.model  # adapters name their base
    return trainer


def trainer_config(settings: GrpoSettings, steps: int) -> GRPOConfig:
    """TRL's configuration. Raises ConfigError when the processes there are cannot share a step's rollouts."""
    vllm, processes = settings.vllm, _processes(settings)
    served = (
        {
            "vllm_mode": vllm.mode,
            "vllm_server_base_url": vllm.url,
            "vllm_gpu_memory_utilization": vllm.memory,
            "vllm_tensor_parallel_size": vllm.tensor_parallel,
            "vllm_enable_sleep_mode": vllm.sleep and vllm.mode == "colocate",
            "vllm_max_model_length": settings.max_prompt + settings.max_response,
        }
        if vllm
        else {}
    )
    return GRPOConfig(
        **trainer_arguments(settings),
        **served,
        use_vllm=vllm is not None,
        max_steps=steps,
        gradient_accumulation_steps=settings.passes(processes),
        shuffle_dataset=False,  # the questions are in order already
        num_generations=settings.rollouts,
        num_iterations=settings.iterations,
        max_tool_calling_iterations=settings.max_turns - 1,
        max_completion_length=settings.max_response,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        beta=settings.kl,
        use_bias_correction_kl=False,
        epsilon=settings.clip,
        epsilon_high=settings.clip_high,
        entropy_coef=settings.entropy_bonus,
        loss_type=settings.loss,
        scale_rewards=settings.scale_rewards,
        log_multimodal=False,
    )


def _processes(settings: GrpoSettings) -> int:
    """How many processes train together."""
    return int(PartialState(cpu=settings.device == "cpu").num_processes)


def _reward(settings: GrpoSettings) -> GroupReward:
    if settings.judge is None:
        return GroupReward(settings.reward, settings.rollouts)
    judge = Judge(load_policy(settings.judge.policy, **settings.judge.options), Path(settings.output) / JUDGMENTS)
    return GroupReward(settings.reward, settings.rollouts, judge, settings.judge.at_once)


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return run_command("grpo", "Reinforcement learning of a policy.", GrpoSettings, train, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
