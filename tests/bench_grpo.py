"""Whether reinforcement learning learns, under each reward: `python -m tests.bench_grpo [STEPS [SEEDS [CHECKPOINT]]]`.

The toy task of `tests.toy`, from a checkpoint that zooms as often as not (CHECKPOINT: one made before). Runs the recipe
itself with every reward of `cof_agent.rewards`. Prints reward, accuracy and share of rollouts that zoom: means over the
first and the last tenth of the steps (at least five) of all seeds, with the standard error over steps. Then, for each
seed, how often the trained policy is right and zooms on pictures that it has not seen, by the kind of question.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cof_agent import ChainOfFocus
from cof_agent.policies import load_policy
from cof_agent.rewards import REWARDS
from tests.toy import Toy, questions, warm
from training.grpo import train
from training.grpo_settings import GrpoSettings

PICTURES, WARM_STEPS = 32, (150, 400)
QUESTIONS, ROLLOUTS = 4, 6
UNSEEN = 20
"""Pictures on which a trained policy is asked both questions."""
SHOWN = ("reward", "accuracy", "share/zoom")


def main(steps: int = 40, seeds: int = 2, checkpoint: str | None = None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        directory, began = Path(folder), time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            model = Path(checkpoint) if checkpoint else warm(directory / "warm", PICTURES, steps=WARM_STEPS)
            rows = questions(directory, PICTURES)
        print(f"warm checkpoint after {time.monotonic() - began:.0f} s; unseen {_asked(model)}", flush=True)
        print(f"{steps} steps of {QUESTIONS} questions with {ROLLOUTS} rollouts, {seeds} seeds")
        for reward in REWARDS:
            curves, asked, began = [], [], time.monotonic()
            for seed in range(seeds):
                output = directory / f"{reward} {seed}"
                with contextlib.redirect_stdout(io.StringIO()):
                    final = train(_settings(model, rows, output, reward, steps, seed))
                curves.append(_curves(output))
                asked.append(_asked(final))
            print(f"\n{reward} ({(time.monotonic() - began) / seeds:.0f} s a seed)")
            for name in SHOWN:
                print(f"  {name:10}  {_ends([curve[name] for curve in curves])}")
            print("  unseen      " + "\n              ".join(asked), flush=True)
    return 0


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


def _curves(output: Path) -> dict[str, list[float]]:
    read = EventAccumulator(str(output / "logs")).Reload()
    return {name: [event.value for event in read.Scalars(f"train/{name}")] for name in SHOWN}


def _ends(curves: Sequence[Sequence[float]]) -> str:
    """The first and the last values of several curves."""
    part = max(5, len(curves[0]) // 10)
    first = [value for curve in curves for value in curve[:part]]
    last = [value for curve in curves for value in curve[-part:]]
    return f"{_mean(first)} -> {_mean(last)}"


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.2f} ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"


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
    raise SystemExit(main(*map(int, sys.argv[1:3]), *sys.argv[3:4]))
