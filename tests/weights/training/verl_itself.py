"""The agent loop inside of verl's own worker, with verl's dataset and configuration, against the stand-in server.

verl asks for other versions than this project does, so this has an environment of its own and is no part of the suite:

    python -m venv verl-env
    verl-env/bin/pip install --no-deps verl==0.9.1 .
    verl-env/bin/pip install torch==2.13.0 "transformers==5.10.*" "tensordict<=0.10" ray hydra-core codetiming datasets
    verl-env/bin/pip install dill langchain-core langgraph matplotlib peft pylatexenc rich tensorboard torchdata typer
    verl-env/bin/pip install hypothesis pytest-asyncio
    PYTHONPATH=. verl-env/bin/python -m pytest tests/weights/training/verl_itself.py
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hydra import compose, initialize_config_dir
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.protocol import DataProto
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

from cof_agent.learning.environment.speech import prepare
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.rewards import REWARDS, Rollout
from cof_agent.policies.qwen.processor import load_processor
from tests.support.conversations import answer, zoom
from tests.support.training.rollout_server import ScriptedServer
from tests.support.training.smoke import CONFIGS

GROUP = 3


class Servers:
    """Conversations by their requests. Of a question the first is right after a zoom, the next at once, then wrong."""

    def __init__(self, tokenizer: Any, truths: dict[str, str]) -> None:
        self.tokenizer, self.truths = tokenizer, truths
        self.by_request: dict[str, ScriptedServer] = {}
        self.seen: Counter[str] = Counter()

    async def generate(self, request_id: str, *, prompt_ids: list[int], **more: Any) -> Any:
        if request_id not in self.by_request:
            self.by_request[request_id] = ScriptedServer(self.tokenizer, self.script(self.tokenizer.decode(prompt_ids)))
        return await self.by_request[request_id].generate(request_id, prompt_ids=prompt_ids, **more)

    def script(self, prompt: str) -> list[str]:
        asked = next(question for question in self.truths if question in prompt)
        self.seen[asked] += 1
        truth = self.truths[asked]
        return [[zoom(2, 2, 60, 60), answer(truth)], [answer(truth)], [answer("never")]][self.seen[asked] - 1]


@pytest.fixture(scope="module")
def config(seed_checkpoint: Path, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = export(kept, tmp_path_factory.mktemp("verl") / "rows", to="verl").directory / "train.parquet"
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose(
            "verl_grpo_qwen2_5_vl_7b",
            overrides=[
                f"data.train_files={rows}",
                f"actor_rollout_ref.model.path={seed_checkpoint}",
                f"actor_rollout_ref.rollout.n={GROUP}",
                f"actor_rollout_ref.rollout.agent.agent_loop_config_path={CONFIGS / 'verl_loop.yaml'}",
                "data.max_prompt_length=3000",
                "data.max_response_length=3000",
            ],
        )


def test_the_configuration_is_one_of_verls(config: Any) -> None:
    assert (need_reference_policy(config), need_critic(config)) == (True, False)
    validate_config(config, use_reference_policy=True, use_critic=False)
    assert config.trainer.use_v1 is True


def test_a_worker_of_verl_plays_groups_of_rows_that_its_dataset_reads(config: Any, seed_checkpoint: Path) -> None:
    processor: Any = prepare(load_processor(seed_checkpoint))
    dataset = RLHFDataset([config.data.train_files], processor.tokenizer, config.data, processor)
    items = [dataset[position] for position in range(2)]
    truths = {item["extra_info"]["question"]: item["reward_model"]["ground_truth"] for item in items}
    servers = Servers(processor.tokenizer, truths)
    worker = AgentLoopWorker(config, servers)
    worker.processor = processor  # verl's own needs torchvision
    batch = DataProto.from_single_dict(collate_fn(items))
    batch.non_tensor_batch["uid"] = numpy.array(["first", "second"], dtype=object)
    made = asyncio.run(worker.generate_sequences(batch.repeat(GROUP, interleave=True)))
    group = [
        Rollout(zoom(1, 1, 2, 2) + answer("x"), "x", True, 1),
        Rollout(answer("x"), "x", True),
        Rollout(answer("y"), "y", False),
    ]
    earned = REWARDS["agar-released"](group)
    images = [inputs["image_grid_thw"].shape[0] for inputs in made.non_tensor_batch["multi_modal_inputs"]]
    columns = [made.non_tensor_batch[name].tolist() for name in ("acc", "zooms", "__num_turns__")]
    scores = [round(score, 3) for score in made.batch["rm_scores"].sum(dim=1).tolist()]
    told = list(zip(scores, *columns, images, strict=True))
    wanted = sorted(zip(earned, (1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (4, 2, 2), (2, 1, 1), strict=True))
    assert sorted(told[:GROUP]) == sorted(told[GROUP:]) == wanted  # who comes first within a group is left to chance
    rows = zip(made.batch["responses"], made.batch["response_mask"], made.batch["rollout_log_probs"], strict=True)
    said = [[token for turn in server.said for token in turn.token_ids] for server in servers.by_request.values()]
    logged = [
        [value for turn in server.said for value in turn.log_probs or ()] for server in servers.by_request.values()
    ]
    for ids, mask, logprobs in rows:
        own = mask.bool()
        position = said.index(ids[own].tolist())
        assert torch.allclose(logprobs[own], torch.tensor(logged[position]))
        assert not logprobs[~own].any()
        said[position] = []
