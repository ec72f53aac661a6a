"""The blocks of Python that train, as they stand there, but for the size of the model and of the run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import TRAINING, blocks


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages before have collected and exported."""
    from cof_agent.learning.collecting import collect
    from cof_agent.learning.exports import export

    folder = tmp_path_factory.mktemp("rows")
    collect("scenes:train", "observer", count=2, limit=8, mix="natural", resolutions=(448,), out=folder / "kept")
    export(folder / "kept", folder / "sft", to="trl")
    export(folder / "kept" / "tried", folder / "prompts", to="trl-grpo")
    return folder


@pytest.mark.filterwarnings("ignore:.*experimental feature:UserWarning")
@pytest.mark.parametrize("name", TRAINING)
def test_it_takes_a_step(
    name: str, rows: Path, seed_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (block for block in blocks("python") if block.id == name)
    assert "Qwen/Qwen2.5-VL-7B-Instruct" in block.code
    code, changed = re.subn(*TRAINING[name], block.code.replace("Qwen/Qwen2.5-VL-7B-Instruct", str(seed_checkpoint)))
    assert changed == 1
    for made in ("sft", "prompts"):
        (tmp_path / made).symlink_to(rows / made)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "out" / "checkpoint-1").is_dir()
