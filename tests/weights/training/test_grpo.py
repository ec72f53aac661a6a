"""Reinforcement learning on questions as they are exported: what moves, what is logged, what a kill leaves."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cof_agent import ChainOfFocus
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.exports.exporting import export
from cof_agent.policies import load_policy
from tests.support.conversations import answer, zoom
from tests.support.learning.spoken import run
from tests.support.teaching import teach_by_heart
from tests.support.toy import BOX, PROFILE, Toy, questions
from tests.support.training.killed import run_killed
from training.checkpoints import last_save
from training.curves import read_curves
from training.grpo import main, train, trainer_config
from training.grpo_settings import GrpoSettings
from training.settings import LoraSettings, load_settings

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "training" / "configs"
SMOKE, RELEASE = CONFIGS / "grpo_tiny_smoke.yaml", CONFIGS / "grpo_qwen2_5_vl_7b.yaml"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both questions about one picture."""
    return questions(tmp_path_factory.mktemp("toy"), 1)


@pytest.fixture(scope="module")
def talker(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that mostly zooms and then says "red", whatever it is asked: right for one of the questions."""
    asked = next(iter(Toy(1)))
    turns = [zoom(*BOX), answer("red")]
    return teach_by_heart(
        seed_checkpoint, tmp_path_factory.mktemp("talker") / "checkpoint", PROFILE, turns, (asked.image, asked.text)
    )


def told(model: Path, rows: Path, output: Path, **changes: Any) -> GrpoSettings:
    names = {"model": str(model), "data": str(rows), "output": str(output), "steps": 2, "rollouts": 6, "batch": 6}
    return load_settings(SMOKE, GrpoSettings, **{**names, "max_response": 160, "temperature": 0.9, **changes})


def moved(before: Path, after: Path) -> set[str]:
    one, other = (load_file(directory / "model.safetensors") for directory in (before, after))
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name].float(), other[name].float())}


def curves(output: Path) -> dict[str, dict[int, float]]:
    read = EventAccumulator(str(output / "logs")).Reload()
    return {tag: {event.step: event.value for event in read.Scalars(tag)} for tag in read.Tags()["scalars"]}


def test_questions_are_played_scored_and_learnt_from(talker: Path, rows: Path, tmp_path: Path) -> None:
    settings = told(talker, rows, tmp_path / "out", steps=3)
    final = train(settings)
    changed = moved(talker, final)
    frozen = {name for name in load_file(talker / "model.safetensors") if "visual." in name and ".merger." not in name}
    assert frozen
    assert not changed & frozen
    assert any("layers.0.self_attn.q_proj" in name for name in changed)
    logged = curves(tmp_path / "out")
    assert list(logged["train/reward"]) == [1, 2, 3]
    assert all(0 < value <= 1 for value in logged["train/reward"].values())
    assert max(logged["train/reward_std"].values()) > 0
    assert max(logged["train/zooms"].values()) > 0
    assert max(logged["train/kl"].values()) > 0
    for step in (1, 2, 3):
        direct, zoomed = logged["train/share/direct"][step], logged["train/share/zoom"][step]
        assert direct + zoomed == pytest.approx(1)
        assert logged["train/wrong_zooms"][step] <= logged["train/zooms"][step] + 0.001
        assert logged["train/accuracy"][step] + logged["train/unanswered"][step] < 1.001
        assert logged["train/visual_tokens"][step] == pytest.approx(16 + logged["train/zooms"][step])
        assert logged["train/refused_calls"][step] >= 0
        assert logged["train/completions/mean_length"][step] > 0
    policy = load_policy(f"hf:{final}", device="cpu", max_new_tokens=64)
    assert policy.profile == PROFILE
    question = next(iter(Toy(1)))
    assert ChainOfFocus(policy).ask(question.image, question.text).views
    # Launched again there is nothing to do, and another configuration does not go there.
    assert train(settings) == final
    with pytest.raises(ConfigError, match=r"kl was 0.001, is 0.5\. Take that"):
        train(settings.model_copy(update={"kl": 0.5}))


def test_an_adapter_learns_and_the_rest_stays(talker: Path, rows: Path, tmp_path: Path) -> None:
    settings = told(talker, rows, tmp_path / "out", steps=3, learning_rate=0.01)
    final = train(settings.model_copy(update={"lora": LoraSettings(rank=4, alpha=8)}))
    changed = moved(talker, final)
    assert any("self_attn.q_proj" in name for name in changed)
    assert not {name for name in changed if "lm_head" in name or "embed_tokens" in name}
    assert max(curves(tmp_path / "out")["train/kl"].values()) > 0  # measured from the model without the adapter
    load_policy(f"hf:{talker}", adapter=str(tmp_path / "out" / "adapter"), device="cpu")


def test_killed_while_it_saves_it_goes_on_and_ends_as_if_undisturbed(
    talker: Path, rows: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = told(talker, rows, tmp_path / "killed", steps=4, save_steps=2, iterations=2, kl=0.0)
    undisturbed = train(settings.model_copy(update={"output": str(tmp_path / "undisturbed")}))
    config = run_killed("grpo", 4, settings, tmp_path)
    assert last_save(tmp_path / "killed") == tmp_path / "killed" / "checkpoint-2"
    with caplog.at_level(logging.INFO, "training"):
        assert main(["--config", str(config)]) == 0
    assert "2 questions (0 too long)" in caplog.text
    assert "from step 2" in caplog.text
    assert not moved(undisturbed, tmp_path / "killed" / "final")
    one, other = curves(tmp_path / "undisturbed"), curves(tmp_path / "killed")
    for tag in ("train/loss", "train/reward", "train/accuracy", "train/completions/mean_length"):
        assert one[tag] == other[tag]
    assert max(one["train/reward_std"].values()) > 0
    drawn = read_curves(tmp_path / "killed")
    assert drawn == read_curves(tmp_path / "undisturbed")
    assert dict(zip(drawn.steps, drawn.values["zooms"], strict=True)) == pytest.approx(one["train/zooms"])


def test_the_7b_configuration_takes_a_step(talker: Path, rows: Path, tmp_path: Path) -> None:
    """All of it but vLLM, the number of questions and the room for a response."""
    settings = yaml.safe_load(RELEASE.read_text()) | {"vllm": None, "questions": 1, "max_response": 160}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(settings))
    where = ["--model", str(talker), "--data", str(rows), "--output", str(tmp_path / "out")]
    assert main(["--config", str(config), *where, "--steps", "1"]) == 0
    assert last_save(tmp_path / "out") == tmp_path / "out" / "checkpoint-1"
    load_policy(f"hf:{tmp_path / 'out' / 'final'}", device="cpu")


def test_rows_that_cannot_be_played_are_refused_before_a_model_is_read(
    seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    run(tmp_path / "runs", [answer("x")], PROFILE)
    export(tmp_path / "runs", tmp_path / "imitated", profile=PROFILE)
    with pytest.raises(ConfigError, match=r"have no config, .*prompt.*: export them with --to trl-grpo"):
        train(told(seed_checkpoint, tmp_path / "imitated", tmp_path / "out"))
    with pytest.raises(ConfigError, match="has no rows: write them with `cof-agent export KEPT --to trl-grpo"):
        train(told(seed_checkpoint, tmp_path, tmp_path / "out"))
    with pytest.raises(ConfigError, match="all 2 prompts are longer than max_prompt=20: raise it"):
        train(told(seed_checkpoint, rows, tmp_path / "out", max_prompt=20))
    with pytest.raises(ConfigError, match="may take 1 visual tokens, and max_response=1 leaves no room"):
        train(told(seed_checkpoint, rows, tmp_path / "out", max_response=1))
    with pytest.raises(ConfigError, match="vllm is not installed"):
        train(told(seed_checkpoint, rows, tmp_path / "out", vllm={"mode": "colocate"}))
    cut = Path(shutil.copytree(rows, tmp_path / "cut"))
    lines = [json.loads(line) for line in (rows / "metadata.jsonl").read_text().splitlines()]
    lines[1]["images_file_names"] = [lines[1]["original_file_name"]]
    (cut / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigError, match=r"shows the image at \(896, 896\) pixels, and its profile at \(112, 112\)"):
        train(told(seed_checkpoint, cut, tmp_path / "out"))
    lines[1] = lines[0] | {
        "id": "other",
        "profile": PROFILE.model_copy(update={"overview": SizeRule()}).model_dump_json(),
    }
    lines[1]["images_file_names"] = [lines[1]["original_file_name"]]
    (cut / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ConfigError, match="were made with 2 profiles: name the one"):
        train(told(seed_checkpoint, cut, tmp_path / "out"))
    assert not (tmp_path / "out" / "training.json").exists()


def test_the_trainer_is_told_what_the_release_configuration_says() -> None:
    settings = load_settings(RELEASE, GrpoSettings)
    assert (settings.questions, settings.rollouts, settings.max_prompt, settings.reward) == (
        64,
        6,
        25_600,
        "agar-released",
    )
    config = trainer_config(settings.model_copy(update={"device": "cpu"}), steps=7)
    assert config.generation_batch_size == 64 * 6
    assert (config.num_generations, config.learning_rate, config.beta) == (6, 1e-6, 0.001)
    assert (config.temperature, config.entropy_coef, config.max_completion_length) == (1.0, 0.0, 32_756)
    assert (config.max_tool_calling_iterations, config.use_bias_correction_kl, config.max_steps) == (3, False, 7)
    assert (config.use_vllm, config.vllm_mode, config.vllm_max_model_length) == (True, "colocate", 58_356)
