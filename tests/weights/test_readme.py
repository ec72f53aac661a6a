"""What README.md shows of training runs as it stands, but for the size of the model and of the run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports.exporting import export
from tests.support.readme import snippet


def test_reinforcement_learning_takes_a_step(
    seed_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("scenes:train", "observer", count=2, limit=2, resolutions=(224,), out=tmp_path / "kept")
    export(tmp_path / "kept" / "tried", tmp_path / "prompts", to="trl-grpo")
    small = (
        'GRPOConfig("out", max_steps=1, num_generations=2, per_device_train_batch_size=2, report_to="none", '
        "gradient_accumulation_steps=1, use_cpu=True, bf16=False, save_steps=1, disable_tqdm=True, "
        "max_completion_length=16)"
    )
    code = snippet("Reinforcement learning with TRL").replace("Qwen/Qwen2.5-VL-7B-Instruct", str(seed_checkpoint))
    code, changed = re.subn(r'GRPOConfig\("out", [^()]*\)', small, code)
    assert changed == 1
    assert str(seed_checkpoint) in code
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="an experimental feature"):
        exec(code, {})
    assert (tmp_path / "out" / "checkpoint-1").is_dir()
