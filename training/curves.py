"""How runs of reinforcement learning went, side by side: `python -m training.curves RUN_DIR RUN_DIR --out FILE.png`.

Drawn from the last save of each, so that a run that went on is one line. A step plays few questions, some harder than
others: lines are means over several steps, and what is printed are means over fifths of the run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from cof_agent.errors import CofError, ConfigError, MissingExtraError

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from training.checkpoints import last_save
except ImportError as missing:
    raise MissingExtraError.for_extra("train", "training") from missing

from cof_agent.evaluation.plots import COLOURS

CURVES = {
    "reward": "Reward",
    "accuracy": "Right answers, share",
    "zooms": "Zooms per question",
    "wrong_zooms": "of these, on the way to a wrong answer",
}
"""What is drawn, by its name in the logs."""
WINDOW = 8
"""Steps over which lines are means."""
PARTS = 5
"""Of a run, for the table."""


def read_curves(run: Path) -> dict[str, list[float]]:
    """Each curve of a run, a value for every step up to its last save.

    Raises ConfigError for a directory in which no run of reinforcement learning has saved.
    """
    save = last_save(run)
    if save is None:
        raise ConfigError(f"{run} has no whole save: name the `output` of a run that has saved")
    try:
        steps = json.loads((save / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        curves = {name: [float(step[name]) for step in steps if "reward" in step] for name in CURVES}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{save / 'trainer_state.json'} cannot be read ({error!r})") from error
    if not curves["reward"]:
        raise ConfigError(f"{run} tells of no rewards: name runs of `training.grpo`")
    return curves


def smooth(values: Sequence[float], window: int = WINDOW) -> list[float]:
    """The mean of each `window` values in a row; of all of them if there are fewer."""
    window = min(window, len(values))
    return [fmean(values[end - window : end]) for end in range(window, len(values) + 1)]


def fifths(values: Sequence[float]) -> list[float]:
    """Means over five parts of equal length, or as many as there are values."""
    parts = min(PARTS, len(values))
    ends = [round(part * len(values) / parts) for part in range(parts + 1)]
    return [fmean(values[start:end]) for start, end in pairwise(ends)]


def draw(runs: Mapping[str, Mapping[str, Sequence[float]]], file: Path) -> None:
    """Write one picture with a panel for each curve and a line for each run. Raises ConfigError if it cannot."""
    FigureCanvasAgg(figure := Figure(figsize=(8.8, 5.6), dpi=160, facecolor="white", layout="constrained"))
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, CURVES.items(), strict=True):
        for number, (run, curves) in enumerate(runs.items()):
            line = smooth(curves[name])
            steps = range(len(curves[name]) - len(line) + 1, len(curves[name]) + 1)
            axes.plot(steps, line, color=COLOURS[number % len(COLOURS)], linewidth=1.8, label=run)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_xlabel(f"step (of it and those before it, {WINDOW} in all, the mean)", fontsize=8)
        axes.tick_params(labelsize=8)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code: 1 for an error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.curves", description="How runs of reinforcement learning went, side by side."
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="what runs of training.grpo have written")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="where the picture is written")
    given = parser.parse_args(arguments)
    try:
        runs = {run.name: read_curves(run) for run in given.runs}
        draw(runs, given.out)
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for run, curves in runs.items():
        print(f"{run}, {len(curves['reward'])} steps, means over fifths of them:")
        for name, values in curves.items():
            print(f"  {name:<12}" + "".join(f"{part:8.3f}" for part in fifths(values)))
    print(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
