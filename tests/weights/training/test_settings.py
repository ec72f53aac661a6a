"""A configuration is understood whole or refused by name, and a directory belongs to one configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from cof_agent.errors import ConfigError
from training.checkpoints import TimelySaves, check_same_run, last_save, mark_whole, record_run
from training.grpo_settings import GrpoSettings
from training.settings import SftSettings, load_settings
from training.tiny_pretrain.settings import PretrainSettings

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
PLAIN = {"model": "m", "data": "d", "output": "o"}
KINDS = {"sft": SftSettings, "grpo": GrpoSettings, "tiny": PretrainSettings}


@pytest.mark.parametrize(
    "path", sorted(path for kind in KINDS for path in CONFIGS.glob(f"{kind}_*.yaml")), ids=lambda path: path.stem
)
def test_every_configuration_loads(path: Path) -> None:
    assert load_settings(path, KINDS[path.stem.partition("_")[0]]).model


def test_the_7b_configuration_is_that_of_the_release() -> None:
    settings = load_settings(CONFIGS / "sft_qwen2_5_vl_7b_lora.yaml")
    assert settings.lora is not None
    assert (settings.lora.rank, settings.train_vision_tower, settings.train_projector) == (32, False, True)
    assert (settings.learning_rate, settings.schedule, settings.warmup) == (1e-5, "cosine", 0.1)
    assert (settings.epochs, settings.batch, settings.accumulate) == (3, 2, 2)
    assert (settings.dtype, settings.max_tokens) == ("bfloat16", 81_920)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("learning_rat: 1", r"no setting learning_rat: did you mean learning_rate\? There are model, "),
        ("lora: {r: 8}", r"^lora in .*no setting r: .*There are rank, alpha, dropout"),
        ("save_minutes: 11", "not valid at save_minutes: .*less than or equal to 10"),
        ("epochs: soon", "not valid at epochs"),
        ("model: [", "is not YAML"),
        ("- model", "holds no settings"),
    ],
)
def test_a_wrong_setting_is_named(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    changes = {} if "YAML" in why or "holds" in why else PLAIN
    with pytest.raises(ConfigError, match=why):
        load_settings(path, **changes)


def test_a_directory_belongs_to_one_configuration_and_its_rows(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    rows = tmp_path / "d" / "metadata.jsonl"
    rows.write_text("{}\n")
    output = tmp_path / "o"
    settings = SftSettings(model="m", data=str(tmp_path / "d"), output=str(output))
    check_same_run(output, settings)
    record_run(output, settings)
    check_same_run(output, settings)
    with pytest.raises(ConfigError, match=r"epochs was 3.0, is 2.0; learning_rate was 1e-05, is 0.1\. Take that"):
        check_same_run(output, settings.model_copy(update={"learning_rate": 0.1, "epochs": 2.0}))
    moved = (tmp_path / "d").rename(tmp_path / "moved")
    check_same_run(output, settings.model_copy(update={"data": str(moved), "log_steps": 7, "save_steps": 3}))
    moved.rename(tmp_path / "d")
    (tmp_path / "m").mkdir()
    base = settings.model_copy(update={"model": str(tmp_path / "m"), "output": str(tmp_path / "p")})
    (tmp_path / "m" / "model.safetensors").write_bytes(b"1" * 9)
    record_run(tmp_path / "p", base)
    check_same_run(tmp_path / "p", base)
    (tmp_path / "m" / "model.safetensors").write_bytes(b"2" * 9)
    with pytest.raises(ConfigError, match=r"model \(SHA-256\) was"):
        check_same_run(tmp_path / "p", base)
    rows.write_text("{}\n{}\n")
    with pytest.raises(ConfigError, match=r"rows \(SHA-256\) was"):
        check_same_run(output, settings)
    (output / "training.json").unlink()
    (output / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no run of this kind: name a new directory"):
        check_same_run(output, settings)


def test_a_save_is_due_ten_minutes_after_the_last(tmp_path: Path) -> None:
    now = [0.0]
    saves = TimelySaves(10, clock=lambda: now[0])
    args, state = TrainingArguments(str(tmp_path), use_cpu=True), TrainerState(global_step=7)
    due = []
    for second in (1, 599, 600, 601, 1199, 1201):
        now[0] = second
        control = saves.on_step_end(args, state, TrainerControl())
        due.append(control.should_save)
        if control.should_save:
            (tmp_path / "checkpoint-7").mkdir(exist_ok=True)
            (tmp_path / "checkpoint-7" / "weights").write_text("w")
            saves.on_save(args, state, control)
    assert due == [False, False, True, False, False, True]
    assert last_save(tmp_path) == tmp_path / "checkpoint-7"


def test_the_newest_whole_save_is_taken_and_torn_ones_go(tmp_path: Path) -> None:
    for step in (2, 9, 10, 11):
        save = tmp_path / f"checkpoint-{step}"
        save.mkdir()
        (save / "optimizer.pt").write_bytes(b"12345")
        if step != 11:  # killed while it was written
            mark_whole(save)
    (tmp_path / "checkpoint-10" / "optimizer.pt").write_bytes(b"123")  # a disk that was cut off
    assert last_save(tmp_path) == tmp_path / "checkpoint-9"
    assert last_save(tmp_path, clean=True) == tmp_path / "checkpoint-9"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-9"]
    assert last_save(tmp_path / "none") is None
