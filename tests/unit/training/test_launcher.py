"""What processes would wait for for ever is refused, however it was configured."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cof_agent.errors import ConfigError
from training.grpo_settings import GrpoSettings
from training.launcher import is_sharded
from training.settings import load_settings

CONFIGS = Path(__file__).parents[3] / "training" / "configs"
FSDP = {"ACCELERATE_USE_FSDP": "true"}
ZERO3 = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}


def settings(**changes: Any) -> GrpoSettings:
    return GrpoSettings(**{"model": "m", "data": "d", "output": "o", **changes})


@pytest.mark.parametrize(
    ("environment", "sharded"),
    [
        ({}, False),
        (FSDP, True),
        ({"ACCELERATE_USE_FSDP": "True"}, True),
        ({"ACCELERATE_USE_FSDP": "1"}, True),
        ({"ACCELERATE_USE_FSDP": "false"}, False),
        (ZERO3, True),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, False),  # accelerate's default is stage 2
        (ZERO3 | {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"}, False),
        (ZERO3 | {"ACCELERATE_USE_DEEPSPEED": "false"}, False),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, True),
        ({"PARALLELISM_CONFIG_DP_SHARD_SIZE": "2"}, True),
        ({"PARALLELISM_CONFIG_TP_SIZE": "4"}, True),
        ({"PARALLELISM_CONFIG_DP_SHARD_SIZE": "1", "PARALLELISM_CONFIG_TP_SIZE": "None"}, False),
    ],
)
def test_what_a_launcher_says(environment: dict[str, str], sharded: bool) -> None:
    assert is_sharded(environment) is sharded


@pytest.mark.parametrize("stage", [0, 1, 2, 3, "auto", None])
def test_deepspeeds_own_configuration_counts_first(stage: Any, tmp_path: Path) -> None:
    told = {"zero_optimization": {} if stage is None else {"stage": stage}}
    path = tmp_path / "deepspeed.json"
    path.write_text(json.dumps(told))
    encoded = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
    for form in (str(path), encoded):
        for of_accelerate in ("2", "3"):
            environment = {
                "ACCELERATE_USE_DEEPSPEED": "true",
                "ACCELERATE_DEEPSPEED_ZERO_STAGE": of_accelerate,
                "ACCELERATE_DEEPSPEED_CONFIG_FILE": form,
            }
            expected = of_accelerate == "3" if stage in ("auto", None) else stage == 3
            assert is_sharded(environment) is expected


COLOCATE: dict[str, Any] = {"mode": "colocate"}


@pytest.mark.parametrize(
    ("vllm", "sharded", "remedy"),
    [
        (COLOCATE | {"sleep": True}, True, "Set sleep: false in vllm"),
        (COLOCATE, True, "Set sleep: false in vllm"),  # which is the default
        (COLOCATE | {"tensor_parallel": 2, "sleep": False}, False, "Set tensor_parallel: 1"),
        ({"mode": "server", "url": "http://127.0.0.1:1"}, False, "Set mode: colocate, or launch one process"),
        (None, True, r"let vLLM write them \(vllm: \{mode: colocate, sleep: false\}\), or keep the weights whole"),
    ],
)
def test_processes_that_would_wait_for_each_other_are_refused(vllm: Any, sharded: bool, remedy: str) -> None:
    told = settings(vllm=vllm)
    with pytest.raises(ConfigError, match=remedy):
        told.check_shared_out(2, sharded)
    told.check_shared_out(1, sharded)


@pytest.mark.parametrize(
    ("changes", "sharded"),
    [
        ({"vllm": COLOCATE | {"sleep": False}}, True),
        ({"vllm": COLOCATE | {"sleep": True}}, False),
        ({"vllm": COLOCATE | {"sleep": True}, "max_turns": 1}, True),  # one turn, that of all processes
        ({}, False),
    ],
)
def test_processes_that_need_nothing_of_each_other_in_a_turn_are_not(changes: Any, sharded: bool) -> None:
    settings(**changes).check_shared_out(8, sharded)


def test_the_shipped_configuration_for_sharded_weights_is_none_that_waits() -> None:
    for environment in (FSDP, ZERO3):
        load_settings(CONFIGS / "grpo_qwen2_5_vl_7b.yaml", GrpoSettings).check_shared_out(8, is_sharded(environment))
