"""Three groups of rollouts as a trainer hands them to a reward; as a program, in each of two processes its half.

`accelerate launch --multi_gpu --num_processes 2 -m tests.support.training.groups DIRECTORY CHECKPOINT` writes what each
half earns to DIRECTORY, and then trains CHECKPOINT there for two steps with each recipe, on DIRECTORY/rows and
DIRECTORY/questions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState

from cof_agent.learning.environment.zoom import ZoomEnvironment
from cof_agent.learning.rewards import REWARDS
from tests.support.conversations import answer, photo
from tests.support.learning.trainer import row_of
from tests.support.toy import PROFILE
from training.grpo import train as train_grpo
from training.grpo_settings import GrpoSettings
from training.reward import GroupReward
from training.settings import load_settings
from training.sft import train as train_sft

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
BOX, BAD = [10, 20, 200, 170], [1, 2, 9000, 40]
SCRIPTS: list[list[tuple[list[list[int]], str]]] = [
    [([], answer("red")), ([BOX], answer("red")), ([BOX, BOX], answer("blue")), ([], "<answer>red</answer>")],
    [([BOX], answer("red")), ([BAD], answer("blue")), ([], answer("blue")), ([], "red?")],
    [([BOX], answer("red")), ([BOX], answer("red")), ([], answer("blue")), ([], answer("cannot answer: too dark"))],
]
"""For each of three questions whose answer is red: the boxes that a rollout asks for, and its last turn."""

Played = tuple[list[ZoomEnvironment], list[list[dict[str, Any]]], dict[str, list[Any]]]
"""Environments, completions, and the rows' columns."""


def played(directory: Path, factory: Callable[[], ZoomEnvironment] = ZoomEnvironment) -> Played:
    environments, completions, ids = [], [], []
    for number, group in enumerate(SCRIPTS):
        row = row_of(directory / f"question {number}", photo(), f"What is number {number}?")
        for boxes, last in group:
            environment = factory()
            environment.reset(**row)
            completions.append([message for box in boxes for message in _looked(environment, box)] + [_said(last)])
            environments.append(environment)
            ids.append(row["id"])
    columns = {"id": ids, "question": ids, "truth": ["red"] * len(ids), "options": [[]] * len(ids)}
    return environments, completions, columns


def earned(
    name: str,
    environments: Sequence[ZoomEnvironment],
    completions: Sequence[Any],
    columns: dict[str, list[Any]],
    log: Callable[[str, float], None] = lambda *_: None,
) -> list[float]:
    return GroupReward(name, len(SCRIPTS[0]))(environments, completions, log, **columns)


def _looked(environment: ZoomEnvironment, box: list[int]) -> list[dict[str, Any]]:
    function = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": box}}
    called = {"role": "assistant", "content": "<think>Closer.</think>", "tool_calls": [{"function": function}]}
    return [
        called,
        {"role": "tool", "name": "image_zoom_in_tool", "content": environment.image_zoom_in_tool(bbox_2d=box)},
    ]


def _said(turn: str) -> dict[str, Any]:
    return {"role": "assistant", "content": turn}


def main(directory: Path, checkpoint: str) -> None:
    state = PartialState(cpu=True)
    environments, completions, columns = played(directory / f"process {state.process_index}")
    half = len(environments) // 2
    mine = slice(state.process_index * half, (state.process_index + 1) * half)
    own = {name: values[mine] for name, values in columns.items()}
    values = {name: earned(name, environments[mine], completions[mine], own) for name in REWARDS}
    (directory / f"earned-{state.process_index}.json").write_text(json.dumps(values))
    both = {"model": checkpoint, "steps": 2, "batch": 1}
    sft = {
        "data": str(directory / "rows"),
        "output": str(directory / "sft"),
        "profile": PROFILE.model_dump(mode="json"),
    }
    train_sft(load_settings(CONFIGS / "sft_tiny_smoke.yaml", **both, **sft))
    grpo = {"data": str(directory / "questions"), "output": str(directory / "grpo"), "questions": 1, "rollouts": 2}
    train_grpo(load_settings(CONFIGS / "grpo_tiny_smoke.yaml", GrpoSettings, max_response=20, **both, **grpo))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
