"""GRPO trainers on the CPU whose policy is the seed checkpoint, or a script."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image
from trl import GRPOConfig, GRPOTrainer

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.dialects.profile import Profile
from cof_agent.learning.environment.speech import prepare
from cof_agent.learning.environment.zoom import ZoomEnvironment, raise_recorded
from cof_agent.learning.exports.replay import opening
from cof_agent.learning.exports.trl import blocks_of
from cof_agent.policies.qwen.processor import load_processor
from tests.support.conversations import answer, scripted


def row_of(
    directory: Path,
    image: Image.Image | list[Image.Image],
    question: str,
    profile: Profile | None = None,
    config: FocusConfig | None = None,
) -> dict[str, Any]:
    """The row of a question about an image or several, as an export writes it. `directory` gets the images."""
    profile, config = profile or Profile(), config or FocusConfig()
    agent = ChainOfFocus(scripted(answer("x"), profile=profile), save=directory, config=config)
    trajectory = agent.ask(image, question).trajectory
    files = {file.stem: file for file in (directory / "images").iterdir()}
    messages = opening(trajectory, profile, files)
    shown = []
    for picture in (picture for message in messages for picture in message.images):
        with Image.open(io.BytesIO(picture.read())) as opened:
            shown.append(opened.convert("RGB"))
    original, *others = image if isinstance(image, list) else [image]
    return {
        "id": question,
        "prompt": blocks_of(messages),
        "images": shown,
        "original": original,
        "profile": profile.model_dump_json(),
        "config": config.model_dump_json(),
    } | ({"other_originals": others} if others else {})


def reward(environments: Sequence[ZoomEnvironment], **_: Any) -> list[float]:
    """More for those that come later in a batch, so that there is something to learn."""
    raise_recorded(environments)
    return [float(position) for position, _ in enumerate(environments)]


def trainer(
    checkpoint: Path,
    rows: Sequence[dict[str, Any]],
    out: Path,
    factory: Callable[[], Any] = ZoomEnvironment,
    kind: type[GRPOTrainer] = GRPOTrainer,
    **more: Any,
) -> Any:
    """Two rollouts a question, one question a step."""
    settings = {
        "output_dir": str(out),
        "use_cpu": True,
        "bf16": False,
        "num_generations": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "max_completion_length": 4000,
        "max_steps": 2,
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "top_k": 1,
        "learning_rate": 1e-6,
    }
    with pytest.warns(UserWarning, match="an experimental feature"):
        return kind(
            model=str(checkpoint),
            reward_funcs=reward,
            args=GRPOConfig(**settings | more),
            train_dataset=datasets.Dataset.from_list(list(rows)),
            processing_class=prepare(load_processor(checkpoint)),
            environment_factory=factory,
        )


class ScriptedTrainer(GRPOTrainer):
    """The trainer's own loop around a policy that says the turns of a script."""

    scripts: Sequence[Sequence[str]] = ()
    """One a rollout."""
    played: int
    """Turns of the longest rollout."""

    def play(
        self, rows: Sequence[dict[str, Any]], scripts: Sequence[Sequence[str]]
    ) -> list[tuple[list[int], list[Image.Image]]]:
        """Token ids of each rollout as a whole and the images in it."""
        self.scripts = scripts
        self._generate_and_score_completions([dict(row) for row in rows])
        prompts, completions, _, _, _, _, images, _ = self.generated
        wholes = [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
        return list(zip(wholes, images, strict=True))

    def _generate(self, prompts: Any) -> Any:
        self.played = 0
        self.generated = super()._generate(prompts)
        return self.generated

    def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> Any:
        if self.played == 0:
            self.first = [list(ids) for ids in prompt_ids]
        said = [self._script(ids)[self.played] for ids in prompt_ids]
        self.played += 1
        return [self._tokenizer(f"{turn}<|im_end|>")["input_ids"] for turn in said], None

    def _script(self, ids: list[int]) -> Sequence[str]:
        return next(
            script for first, script in zip(self.first, self.scripts, strict=True) if ids[: len(first)] == first
        )
