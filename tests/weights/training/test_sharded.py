"""Weights in shards (FSDP, two processes on the CPU): the result, the saves, and what goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

from tests.support.training.smoke import CONFIGS, told, weights
from tests.support.warm import launched
from training.settings import load_settings
from training.sft import train

RUNS: dict[str, dict[str, Any]] = {"whole": {}, "lora": {"lora": {"rank": 4, "alpha": 8}, "learning_rate": 0.01}}


def furthest(one: Path, other: Path) -> float:
    """The largest difference of two models in any number."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def test_in_shards_the_same_is_learnt_and_a_torn_shard_costs_no_more_than_its_save(
    seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    for name, changes in RUNS.items():
        settings = told(seed_checkpoint, rows, tmp_path / name, save_steps=1, accumulate=1, **changes)
        (tmp_path / f"{name}.yaml").write_text(settings.model_dump_json())  # JSON is YAML
    where = {"model": str(seed_checkpoint), "data": str(rows), "output": str(tmp_path / "7b")}
    large = load_settings(CONFIGS / "sft_qwen2_5_vl_7b_lora.yaml", **where, steps=2, save_steps=1, workers=0)
    (tmp_path / "7b.yaml").write_text(large.model_dump_json())
    launch = ["--config_file", CONFIGS / "accelerate_fsdp.yaml", "--num_processes", "2", "--main_process_port", "0"]
    configs = [tmp_path / f"{name}.yaml" for name in (*RUNS, "7b")]
    said = launched([*launch, "-m", "tests.support.training.sharded_sft", *configs], tmp_path)
    started = [line.rpartition(", ")[2] for line in said.splitlines() if ", from step " in line]
    assert started == ["from step 0", "from step 1"] * 3
    assert furthest(tmp_path / "7b" / "first_final", tmp_path / "7b" / "final") == 0
    assert furthest(seed_checkpoint, tmp_path / "7b" / "final") > 0
    for name, changes in RUNS.items():
        output = tmp_path / name
        assert (output / "checkpoint-2" / "pytorch_model_fsdp_0" / "__1_0.distcp").is_file()
        assert furthest(output / "first_final", output / "final") == 0
        alone = train(told(seed_checkpoint, rows, tmp_path / f"{name}-alone", accumulate=2, **changes))
        assert furthest(output / "final", alone) < 2e-5
        assert furthest(seed_checkpoint, alone) > 1e-3
    adapters = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("lora", "lora-alone")]
    assert adapters[0].keys() == adapters[1].keys()
    for name, weight in adapters[0].items():
        torch.testing.assert_close(weight, adapters[1][name], rtol=0, atol=2e-5)


def test_the_file_for_fsdp_shards_everything_and_saves_shards() -> None:
    config = load_config_from_file(str(CONFIGS / "accelerate_fsdp.yaml"))
    assert (config.distributed_type.value, config.mixed_precision) == ("FSDP", "no")
    assert config.fsdp_config["fsdp_version"] == 2
    assert config.fsdp_config["fsdp_reshard_after_forward"] is True
    assert config.fsdp_config["fsdp_state_dict_type"] == "SHARDED_STATE_DICT"


def test_the_file_for_deepspeed_shards_everything_and_lets_the_model_be_gathered() -> None:
    config = load_config_from_file(str(CONFIGS / "accelerate_deepspeed_zero3.yaml"))
    assert (config.distributed_type.value, config.mixed_precision) == ("DEEPSPEED", "no")
    assert (config.deepspeed_config["zero_stage"], config.deepspeed_config["zero3_save_16bit_model"]) == (3, True)
    assert config.deepspeed_config["gradient_accumulation_steps"] == "auto"
