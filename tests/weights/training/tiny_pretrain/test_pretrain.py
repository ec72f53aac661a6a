"""Stages of pretraining, launched as a person would: they learn, save, and go on after a kill as if undisturbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cof_agent.errors import ConfigError
from tests.support.training.killed import run_killed
from tests.support.training.seeds import write_smallest
from training.checkpoints import last_save
from training.settings import load_settings
from training.tiny_pretrain.__main__ import main
from training.tiny_pretrain.pupil import HEADS
from training.tiny_pretrain.run import pretrain, resolve_dtype
from training.tiny_pretrain.settings import PretrainSettings

ROOT = Path(__file__).parents[4]
CONFIGS = ROOT / "training" / "configs"


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smallest(tmp_path_factory.mktemp("seeds") / "smallest")


def told(seed: Path, output: Path, stage: str = "tower", **changes: Any) -> PretrainSettings:
    small = {"model": str(seed), "output": str(output), "steps": 4, "tokens": 64, "held": 2, "reuse": 1, "warmup": 1}
    small |= {"log_steps": 2, "measure_steps": 4, "measure_views": 4}
    return load_settings(CONFIGS / f"tiny_{stage}.yaml", PretrainSettings, **{**small, **changes})


def weights(directory: Path) -> dict[str, torch.Tensor]:
    found = load_file(directory / "model.safetensors")
    return found | load_file(directory / HEADS) if (directory / HEADS).exists() else found


def moved(before: Path, after: Path) -> set[str]:
    """Names of the weights that differ in bfloat16, or are new."""
    one, other = weights(before), weights(after)
    return {name for name in other if name not in one or not torch.equal(one[name].bfloat16(), other[name].bfloat16())}


def lines(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_killed_while_it_saves_it_goes_on_and_ends_as_if_undisturbed(seed: Path, tmp_path: Path) -> None:
    settings = told(seed, tmp_path / "killed", "language", save_minutes=1e-9)
    undisturbed = pretrain(settings.model_copy(update={"output": str(tmp_path / "undisturbed")}))
    config = run_killed("tiny_pretrain.__main__", 3, settings, tmp_path)
    assert last_save(tmp_path / "killed") == tmp_path / "killed" / "checkpoint-2"
    assert main(["--config", str(config)]) == 0
    assert not moved(undisturbed, tmp_path / "killed" / "model")
    assert sorted(save.name for save in (tmp_path / "killed").glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-4"]


def test_the_first_stage_moves_the_tower_alone_and_the_second_goes_on_from_it(seed: Path, tmp_path: Path) -> None:
    tower = pretrain(told(seed, tmp_path / "tower"))
    readings = {"classes", "offsets", "places", "named", "looked", "strips"}
    assert {name.split(".")[0] for name in moved(seed, tower) if "visual." not in name} == readings
    language = pretrain(told(tower, tmp_path / "language", "language", tower=True))
    assert any(name.startswith("model.layers.") for name in moved(tower, language))
    last = {name for line in lines(tmp_path / "language") for name in line}
    assert {
        "loss/boxes",
        "loss/words",
        "loss/places",
        "loss/looks",
        "loss/named",
        "loss/offsets",
        "overview_56/row",
        "zoom_16/box",
    } <= last
    assert any("/answer/place" in name for name in last)
    third = pretrain(told(language, tmp_path / "episodes", "episodes", episodes=2, texts=2, drills=2, tours=2))
    assert any(name.startswith("model.layers.") for name in moved(language, third))
    names = {name for line in lines(tmp_path / "episodes") for name in line}
    assert {f"loss/episode/{name}" for name in ("boxes", "words", "places", "looks", "named")} <= names
    assert {"loss/text/words", "loss/episode/values", "loss/episode/seen", "loss/episode/openings"} <= names
    assert names >= {"loss/text/seen", "loss/text/values", "loss/text/openings"}
    assert "loss/text/boxes" not in names
    assert {f"loss/{of}/{name}" for of in ("tour", "text") for name in ("strips", "lefts", "looks")} <= names
    assert {
        "loss/tour/choices",
        "loss/tour/looked",
        "loss/episode/strips",
        "loss/episode/lefts",
        "loss/episode/aims",
        "loss/text/retold",
    } <= names
    assert {f"loss/drill/{name}" for name in ("letters", "lines", "looks")} <= names
    resting = pretrain(told(language, tmp_path / "resting", "language", tower=False))
    assert not [name for name in moved(language, resting) if ".visual." in name or name.startswith("classes")]
    assert any(name.startswith("model.layers.") for name in moved(language, resting))


def test_the_configuration_for_a_gpu_learns_on_a_cpu_with_another_process(seed: Path, tmp_path: Path) -> None:
    few = {"episodes": 2, "texts": 2, "drills": 2, "tours": 2, "steps": 2, "measure_steps": 2}
    output = pretrain(told(seed, tmp_path / "gpu", "gpu", device="cpu", workers=1, **few))
    assert {"layers", "visual"} <= {part for name in moved(seed, output) for part in name.split(".")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_none_is_used(seed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device: cuda, but PyTorch finds no GPU here: set device to cpu"):
        pretrain(told(seed, tmp_path / "gpu", "gpu"))


@pytest.mark.parametrize(
    ("cpu", "changes", "used"),
    [
        ("AVX2", {}, "float32"),
        ("DEFAULT", {}, "float32"),
        ("AVX512", {}, "bfloat16"),
        ("AVX2", {"device": "cuda"}, "bfloat16"),
        ("AVX2", {"dtype": "bfloat16"}, "bfloat16"),
        ("AVX512", {"dtype": "float32"}, "float32"),
    ],
)
def test_it_computes_in_what_is_fast_unless_told(
    cpu: str, changes: dict[str, Any], used: str, seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: cpu)
    assert resolve_dtype(told(seed, tmp_path, **changes)).dtype == used


def test_a_run_goes_on_in_what_it_began_in(seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = told(seed, tmp_path / "out", steps=1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    pretrain(settings)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    with pytest.raises(ConfigError, match="dtype was 'float32', is 'bfloat16'"):
        pretrain(settings)
    pretrain(settings.model_copy(update={"dtype": "float32"}))


def test_losses_of_both_precisions_are_alike(seed: Path, tmp_path: Path) -> None:
    def first(dtype: str) -> dict[str, float]:
        pretrain(told(seed, tmp_path / dtype, "language", dtype=dtype, steps=1, log_steps=1, measure_steps=9))
        [line] = lines(tmp_path / dtype)
        return {name: value for name, value in line.items() if name.startswith("loss/")}

    exact, short = first("float32"), first("bfloat16")
    assert exact != short
    assert short == pytest.approx(exact, rel=0.05, abs=0.02)


def test_a_batch_seen_again_and_again_is_learnt(seed: Path, tmp_path: Path) -> None:
    pretrain(
        told(
            seed,
            tmp_path / "run",
            "language",
            tower=True,
            texts=0,
            steps=60,
            reuse=60,
            held=1,
            log_steps=20,
            measure_steps=100,
        )
    )
    first, *_, last = lines(tmp_path / "run")
    for name in ("loss/colour", "loss/offsets", "loss/places", "loss/words", "loss/boxes"):
        assert last[name] < 0.95 * first[name], name


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"questions": -1}, "not valid at questions"),
        ({"views": {"crowds": 1}}, "not valid at views.crowds"),
        ({"questions": 0, "tower": False}, "without questions the language model rests"),
        ({"questions": 0, "episodes": 4}, "leave out episodes, texts, drills, tours and tower: false"),
        ({"view": {}}, "no setting view: did you mean views?"),
    ],
)
def test_settings_that_do_not_exist_are_refused_by_name(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        told(tmp_path, tmp_path / "run", **changes)


def test_a_directory_belongs_to_one_configuration(seed: Path, tmp_path: Path) -> None:
    pretrain(told(seed, tmp_path / "run", steps=1, measure_steps=9))
    with pytest.raises(ConfigError, match="tokens was 64, is 96"):
        pretrain(told(seed, tmp_path / "run", steps=1, measure_steps=9, tokens=96))
