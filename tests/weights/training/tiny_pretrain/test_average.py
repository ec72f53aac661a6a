"""The mean of checkpoints: of all weights, whole, and of nothing that has none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cof_agent.errors import ConfigError
from tests.support.training.seeds import SMALLEST, write_smallest
from training.tiny_pretrain import average
from training.tiny_pretrain.pupil import HEADS, Pupil, write_model
from training.tiny_pretrain.seed import write_tiny_seed


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two that began as one."""
    where = tmp_path_factory.mktemp("average")
    seed = write_smallest(where / "seed")
    pupil = Pupil(seed, 1)
    made = []
    for name in ("one", "other"):
        torch.manual_seed(len(made))
        with torch.no_grad():
            for weight in pupil.parameters():
                weight.add_(torch.randn_like(weight) * 0.01)
        write_model(pupil, seed, where / name)
        made.append(where / name)
    return made


def test_the_mean_is_that_of_every_weight_and_a_checkpoint(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mean = tmp_path / "mean"
    assert average.main([*map(str, models), "--into", str(mean)]) == 0
    assert str(mean) in capsys.readouterr().out
    for file in ("model.safetensors", HEADS):
        one, other, found = (load_file(folder / file) for folder in (*models, mean))
        assert any(not torch.equal(one[name], other[name]) for name in one)
        for name, weight in found.items():
            wanted = (one[name].float() + other[name].float()) / 2
            torch.testing.assert_close(weight.float(), wanted, rtol=2**-8, atol=0)
            assert weight.dtype == one[name].dtype
    assert Pupil(mean, 1).scribe.end == Pupil(models[0], 1).scribe.end
    assert [path.name for path in tmp_path.iterdir()] == ["mean"]


def test_what_has_no_mean_is_refused_by_name(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = write_tiny_seed(tmp_path / "seed", replace(SMALLEST, text_mlp=64))
    other = tmp_path / "other"
    write_model(Pupil(seed, 1), seed, other)
    with pytest.raises(ConfigError, match=r"other/model\.safetensors has other weights than .*one/model\.safetensors"):
        average.average([models[0], other], tmp_path / "mean")
    broken = Path(shutil.copytree(models[0], tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"{")
    with pytest.raises(ConfigError, match="name directories that stages have written"):
        average.average([models[0], broken], tmp_path / "mean")
    assert average.main([str(models[0]), str(tmp_path / "nowhere"), "--into", str(tmp_path / "mean")]) == 1
    assert "nowhere/model.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()
    with pytest.raises(ConfigError, match="other is not empty"):
        average.average(models, other)
