"""Whether reinforcement learning learns, under each reward: `python -m tests.benchmarks.grpo [STEPS [SEEDS]]`.

The toy task of `tests.support.toy`, anew for each seed: pictures, a checkpoint that zooms about as often as not, and
from it the recipe itself with every reward of `cof_agent.learning.rewards`. The settings were chosen on seed 0; those
measured begin at 1. Prints how often each policy is right and zooms on pictures that it has not seen, by the kind of
question. Then, for each reward, what the rollouts earned, were right and zoomed: means over the first and the last
tenth of the steps (at least five) of all seeds, with the standard error over steps and seeds.

Exits 1 unless under each reward the mean reward rises in every seed, and over all seeds by more than two standard
errors of the difference.
"""

from __future__ import annotations

import contextlib
import io
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cof_agent import ChainOfFocus
from cof_agent.learning.rewards import REWARDS
from cof_agent.policies import load_policy
from tests.support.toy import Toy, questions, warm
from training.grpo import train
from training.grpo_settings import GrpoSettings

PICTURES, WARM_STEPS = 32, (150, 400)
QUESTIONS, ROLLOUTS = 4, 6
UNSEEN = 20
"""Pictures on which a trained policy is asked both questions."""
SHOWN = ("reward", "accuracy", "share/zoom")

Curves: TypeAlias = Mapping[str, Sequence[float]]
"""What a run logged, a value a step."""


def main(steps: int = 40, seeds: int = 3) -> int:
    runs: dict[str, list[Curves]] = {reward: [] for reward in REWARDS}
    print(f"{steps} steps of {QUESTIONS} questions with {ROLLOUTS} rollouts", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, seeds + 1):
            directory, began = Path(folder, str(seed)), time.monotonic()
            with contextlib.redirect_stdout(io.StringIO()):
                model = warm(directory / "warm", PICTURES, steps=WARM_STEPS, seed=seed)
                rows = questions(directory, PICTURES, seed)
            _tell(seed, "warm", began, model)
            for reward, curves in runs.items():
                output, began = directory / reward, time.monotonic()
                with contextlib.redirect_stdout(io.StringIO()):
                    final = train(_settings(model, rows, output, reward, steps, seed))
                curves.append(_curves(output))
                _tell(seed, reward, began, final)
    learnt = [_rises(reward, curves) for reward, curves in runs.items()]
    return 0 if all(learnt) else 1


def _tell(seed: int, stage: str, began: float, model: Path) -> None:
    seconds = time.monotonic() - began
    print(f"seed {seed}, {stage:13} {seconds:3.0f} s; unseen {_asked(model)}", flush=True)


def _settings(model: Path, rows: Path, output: Path, reward: str, steps: int, seed: int) -> GrpoSettings:
    return GrpoSettings(
        model=str(model),
        data=str(rows),
        output=str(output),
        reward=reward,
        steps=steps,
        seed=seed,
        questions=QUESTIONS,
        rollouts=ROLLOUTS,
        batch=QUESTIONS * ROLLOUTS,
        max_response=160,
        temperature=0.7,
        learning_rate=3e-4,
        scale_rewards="none",
        dtype="float32",
        gradient_checkpointing=False,
        device="cpu",
        save_steps=steps,
    )


def _curves(output: Path) -> Curves:
    read = EventAccumulator(str(output / "logs")).Reload()
    return {name: [event.value for event in read.Scalars(f"train/{name}")] for name in SHOWN}


def _rises(reward: str, runs: Sequence[Curves]) -> bool:
    """Whether the mean reward of several runs rises beyond noise. Prints what they did."""
    print(f"\n{reward}")
    for name in SHOWN:
        first, last = _ends([run[name] for run in runs])
        print(f"  {name:10}  {_mean(first)} -> {_mean(last)}")
    rewards = [run["reward"] for run in runs]
    rise, noise = _rise(rewards)
    each = [_rise([curve])[0] for curve in rewards]
    beyond = min(each) > 0 and rise > 2 * noise
    print(f"  rise        {rise:.3f} ± {noise:.3f}, {'beyond' if beyond else 'NOT beyond'} noise; by seed ", end="")
    print(", ".join(f"{one:.2f}" for one in each))
    return beyond


def _rise(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """How far the last values are above the first ones, and the standard error of that."""
    first, last = _ends(curves)
    return statistics.fmean(last) - statistics.fmean(first), math.hypot(_error(first), _error(last))


def _ends(curves: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The first and the last values of several curves."""
    part = max(5, len(curves[0]) // 10)
    return [value for curve in curves for value in curve[:part]], [value for curve in curves for value in curve[-part:]]


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.2f} ± {_error(values):.2f}"


def _error(values: Sequence[float]) -> float:
    """The standard error of the mean."""
    return statistics.stdev(values) / math.sqrt(len(values))


def _asked(model: Path) -> str:
    """What a policy does with pictures that it has not seen, one sample a question."""
    policy = load_policy(f"hf:{model}", device="cpu", temperature=0.7, max_new_tokens=80)
    agent, told = ChainOfFocus(policy), dict[str, list[tuple[bool, bool]]]()
    for question in Toy(UNSEEN, seed=1000):
        result = agent.ask(question.image, question.text)
        told.setdefault(question.category, []).append((result.answer == question.answer, result.usage.zooms > 0))
    return _shares(told)


def _shares(told: Mapping[str, Sequence[tuple[bool, bool]]]) -> str:
    return "; ".join(
        f"{kind}: {statistics.fmean(right for right, _ in seen):.0%} right, "
        f"{statistics.fmean(zoomed for _, zoomed in seen):.0%} zoom"
        for kind, seen in told.items()
    )


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:3])))
