"""How runs of reinforcement learning went, side by side: `python -m training.curves RUN_DIR RUN_DIR --out FILE.png`.

Drawn from the last save of each, so that a run that went on is one line. A step plays few questions, some harder than
others: lines are means over several entries of the log, and what is printed are means over five parts of the run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

from cof_agent.evaluation.report.plots import COLOURS
from cof_agent.files import atomic_write

CURVES = {
    "reward": "Reward",
    "accuracy": "Right answers, share",
    "zooms": "Zooms per question",
    "wrong_zooms": "Zooms before a wrong answer, per question",
}
"""What is drawn, by its name in the logs."""
WINDOW = 8
"""Entries of the log over which lines are means."""
NAME = 30
"""Characters of the longest name with which three stand side by side above the picture."""
PARTS = 5
"""Of a run, for the table."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What a run has logged up to its last save."""

    steps: tuple[int, ...]
    """At which it logged; each entry tells of the steps since the one before."""
    values: Mapping[str, tuple[float, ...]]
    """By the names of `CURVES`, a value for each of `steps`."""


def read_curves(run: Path) -> Curves:
    """Raises ConfigError for a directory in which no run of reinforcement learning has saved."""
    save = last_save(run)
    if save is None:
        raise ConfigError(f"{run} has no whole save: name the `output` of a run that has saved")
    try:
        log = json.loads((save / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        log = [entry for entry in log if "reward" in entry]
        values = {name: tuple(float(entry[name]) for entry in log) for name in CURVES}
        steps = tuple(int(entry["step"]) for entry in log)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{save / 'trainer_state.json'} cannot be read ({error!r})") from error
    if not steps:
        raise ConfigError(f"{run} tells of no rewards: name runs of `training.grpo`")
    return Curves(steps, values)


def smooth(values: Sequence[float], window: int = WINDOW) -> list[float]:
    """The mean of each `window` values in a row; of all of them if there are fewer."""
    window = min(window, len(values))
    return [fmean(values[end - window : end]) for end in range(window, len(values) + 1)]


def parts(values: Sequence[float]) -> list[float]:
    """Means over five parts of nearly equal length, or over as many as there are values."""
    count = min(PARTS, len(values))
    ends = [round(part * len(values) / count) for part in range(count + 1)]
    return [fmean(values[start:end]) for start, end in pairwise(ends)]


def draw(runs: Mapping[str, Curves], file: Path) -> None:
    """Write one picture with a panel for each curve and a line for each run. Raises ConfigError if it cannot."""
    FigureCanvasAgg(figure := Figure(figsize=(8.8, 5.6), dpi=160, facecolor="white", layout="constrained"))
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, CURVES.items(), strict=True):
        for number, (run, curves) in enumerate(runs.items()):
            line = smooth(curves.values[name])
            look = {"color": COLOURS[number % len(COLOURS)], "marker": "o" if len(line) == 1 else ""}
            axes.plot(curves.steps[-len(line) :], line, linewidth=1.8, label=run, **look)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_xlabel(f"step (mean of up to {WINDOW} entries of the log)", fontsize=8)
        axes.tick_params(labelsize=8)
    columns = 3 if max(map(len, runs)) <= NAME else 1
    lines = figure.axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=columns, frameon=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file, private=False) as data:
            figure.savefig(data, format="png", metadata={"Software": None})  # the same runs are the same file
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
        runs = {str(run): read_curves(run) for run in given.runs}
        draw(runs, given.out)
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for run, curves in runs.items():
        print(f"{run}, {curves.steps[-1]} steps, means over parts of them:")
        for name, values in curves.values.items():
            print(f"  {name:<12}" + "".join(f"{part:8.3f}" for part in parts(values)))
    print(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
