"""Supervised fine-tuning on rows as they are exported: what is learnt from, what moves, what a kill leaves."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForImageTextToText
from trl import chat_template_utils

from cof_agent import ChainOfFocus
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.exports.exporting import export
from cof_agent.policies import load_policy
from cof_agent.policies.qwen.adapter import add_adapter
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.scenes import Split
from cof_agent.scenes.question import scene_question
from cof_agent.scenes.reach import SCENE_PROFILE
from cof_agent.scenes.render import render
from tests.support.conversations import answer, photo, zoom
from tests.support.learning.spoken import run
from tests.support.training.killed import run_killed
from tests.support.training.smoke import ROOT, told, weights
from training.checkpoints import last_save
from training.rows import load_rows
from training.settings import LoraSettings, load_settings
from training.sft import _template, main, make_trainer, train

SMALL = Profile(overview=SizeRule(max_pixels=224**2), regions=SizeRule(max_pixels=112**2))


def moved(before: Path, after: Path) -> set[str]:
    one, other = weights(before), weights(after)
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name].float(), other[name].float())}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(300, 340)[None]).logits


@pytest.mark.parametrize("template", ["the seed's", "Qwen2.5-VL's"])
def test_what_is_learnt_is_what_the_assistant_said(template: str, seed_checkpoint: Path, tmp_path: Path) -> None:
    turns = [zoom(0, 0, 90, 90), zoom(5, 5, 5, 5), zoom(100, 50, 180, 120), answer("“x”\n")]
    made = run(tmp_path / "runs", turns, SMALL)
    export(tmp_path / "runs", tmp_path / "rows", profile=SMALL)
    model = Path(shutil.copytree(seed_checkpoint, tmp_path / "model"))
    if template == "Qwen2.5-VL's":
        upstream = Path(chat_template_utils.__file__).parent / "chat_templates" / "qwen2_5_vl.jinja"
        shutil.copyfile(upstream, model / "chat_template.jinja")
    settings = told(model, tmp_path / "rows", tmp_path / "out", profile=SMALL.model_dump(mode="json"))
    processor: Any = load_processor(model)
    processor.image_processor.do_resize = False
    found = load_rows(settings, processor, model, _template(processor, settings), 28)
    trainer = make_trainer(settings, processor, found)
    batch = trainer.data_collator([found.table[0]])
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    assert torch.equal(labels[labels != -100], ids[labels != -100])
    assert processor.tokenizer.decode(ids[labels != -100]) == "".join(f"{turn}<|im_end|>" for turn in turns)
    shown = [view.shown for view in made.result.views]
    assert len(shown) == 3
    assert [(int(grid[2]) * 14, int(grid[1]) * 14) for grid in batch["image_grid_thw"]] == shown
    # The length that rows are measured by is the number of tokens.
    for most, kept in ((len(ids), True), (len(ids) - 1, False)):
        measured = settings.model_copy(update={"max_tokens": most})
        if kept:
            assert len(load_rows(measured, processor, model, _template(processor, settings), 28).table) == 1
            continue
        with pytest.raises(ConfigError, match=f"all 1 rows are longer than max_tokens={most}"):
            load_rows(measured, processor, model, _template(processor, settings), 28)


def test_images_that_no_policy_saw_and_profiles_that_do_not_fit_are_refused(
    seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    run(tmp_path / "runs", [answer("x")], SMALL)
    export(tmp_path / "runs", tmp_path / "rows", profile=SMALL)
    tiny = SMALL.model_copy(update={"overview": SizeRule(max_pixels=112**2)}).model_dump(mode="json")
    with pytest.raises(ConfigError, match="shows at most 12544 pixels there: name the profile"):
        train(told(seed_checkpoint, tmp_path / "rows", tmp_path / "out", profile=tiny))
    with pytest.raises(ConfigError, match=r"multiples of 32 pixels.*takes multiples of 28"):
        train(told(seed_checkpoint, rows, tmp_path / "out", profile={"dialect": "qwen3"}))
    with pytest.raises(ConfigError, match="has no rows: write them with `cof-agent export"):
        train(told(seed_checkpoint, tmp_path, tmp_path / "out"))
    broken = shutil.copytree(tmp_path / "rows", tmp_path / "broken")
    next((broken / "images").iterdir()).write_bytes(b"no image")
    with pytest.raises(ConfigError, match=f"an image of row 1 of {broken} cannot be read"):
        train(told(seed_checkpoint, broken, tmp_path / "out", profile=SMALL.model_dump(mode="json")))
    (broken / "metadata.jsonl").write_text('{"messages"')
    with pytest.raises(ConfigError, match=f"the rows of {broken} cannot be read .*export them again"):
        train(told(seed_checkpoint, broken, tmp_path / "out"))
    # None of that has taken the directory.
    assert not (tmp_path / "out" / "training.json").exists()


def test_all_weights_but_the_vision_tower_move_and_the_result_answers(
    seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    final = train(told(seed_checkpoint, rows, tmp_path / "out"))
    changed = moved(seed_checkpoint, final)
    frozen = {name for name in weights(seed_checkpoint) if name.startswith("visual.") and ".merger." not in name}
    assert frozen
    assert not changed & frozen
    assert any(".merger." in name for name in changed)
    assert any("layers.0.self_attn.q_proj" in name for name in changed)
    policy = load_policy(f"hf:{final}", device="cpu", max_new_tokens=4)
    assert policy.profile == SCENE_PROFILE
    question = scene_question(Split.TEST, 0)
    result = ChainOfFocus(policy).ask(render(question.scene, question.scene.size(448)), question.text)
    assert result.views
    # Launched again there is nothing to do, and another configuration does not go there.
    assert train(told(seed_checkpoint, rows, tmp_path / "out")) == final
    with pytest.raises(ConfigError, match=r"learning_rate was 0.001, is 0.5\. Take that"):
        train(told(seed_checkpoint, rows, tmp_path / "out", learning_rate=0.5))


def test_an_adapter_is_left_that_gives_what_the_merged_model_gives(
    seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    settings = told(seed_checkpoint, rows, tmp_path / "out", learning_rate=0.05)
    final = train(settings.model_copy(update={"lora": LoraSettings(rank=4, alpha=8)}))
    changed = moved(seed_checkpoint, final)
    assert not {name for name in changed if name.startswith("visual.") and ".merger." not in name}
    assert any(".merger." in name for name in changed)
    assert not {name for name in changed if "lm_head" in name or "embed_tokens" in name}
    base = AutoModelForImageTextToText.from_pretrained(seed_checkpoint)
    before = logits(base)
    added = logits(add_adapter(base, tmp_path / "out" / "adapter"))
    merged = logits(AutoModelForImageTextToText.from_pretrained(final))
    assert (added - before).abs().max() > 1e-2
    torch.testing.assert_close(added, merged, rtol=1e-4, atol=1e-4)
    policy = load_policy(f"hf:{seed_checkpoint}", adapter=str(tmp_path / "out" / "adapter"), device="cpu")
    assert policy.profile.dialect == "cof"


def test_the_7b_configuration_takes_a_step(seed_checkpoint: Path, rows: Path, tmp_path: Path) -> None:
    config = ROOT / "training" / "configs" / "sft_qwen2_5_vl_7b_lora.yaml"
    where = ["--model", str(seed_checkpoint), "--data", str(rows), "--output", str(tmp_path / "out")]
    assert main(["--config", str(config), *where, "--steps", "1"]) == 0
    assert last_save(tmp_path / "out") == tmp_path / "out" / "checkpoint-1"
    load_policy(f"hf:{tmp_path / 'out' / 'final'}", device="cpu")


def test_published_data_are_learnt_with_their_own_prompt(seed_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("0.jpg", "1.jpg"):
        photo(100, 80).save(tmp_path / name)
    system = "You look.\n<tools>\n{}\n</tools>"
    turns = [("system", system), ("user", "<image>What is it?"), ("assistant", zoom(1, 2, 30, 40))]
    turns += [("user", "<image>"), ("assistant", answer("A cup."))]
    row = {"messages": [{"role": role, "content": text} for role, text in turns], "images": ["0.jpg", "1.jpg"]}
    (tmp_path / "published.json").write_text(json.dumps([row]))
    export(tmp_path / "published.json", tmp_path / "rows", origin="sharegpt", images=tmp_path)
    config = ROOT / "training" / "configs" / "sft_cof_5k.yaml"
    where = ["--model", str(seed_checkpoint), "--data", str(tmp_path / "rows"), "--output", str(tmp_path / "out")]
    assert main(["--config", str(config), *where, "--steps", "1"]) == 0
    profile = load_policy(f"hf:{tmp_path / 'out' / 'final'}", device="cpu").profile
    assert profile.prompts.task == system
    assert profile.overview == SizeRule(min_pixels=112**2, max_pixels=3840**2)
    # Rows that are asked in several ways, or tell of no tools, have no prompt that could be served.
    told_otherwise = load_settings(config, model=str(seed_checkpoint), data=str(tmp_path / "other"), output="o")
    for others, why in (([system, "x"], "have 2 system turns"), (["x"], "tells of no tools in <tools>")):
        rows = [row | {"messages": [{"role": "system", "content": text}, *row["messages"][1:]]} for text in others]
        (tmp_path / "published.json").write_text(json.dumps(rows))
        shutil.rmtree(tmp_path / "other", ignore_errors=True)
        export(tmp_path / "published.json", tmp_path / "other", origin="sharegpt", images=tmp_path)
        with pytest.raises(ConfigError, match=why):
            train(told_otherwise.model_copy(update={"output": str(tmp_path / why[:6])}))


def test_killed_while_it_saves_it_goes_on_and_ends_as_if_undisturbed(
    seed_checkpoint: Path, rows: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = told(seed_checkpoint, rows, tmp_path / "killed", steps=4, save_steps=1, epochs=1.0)
    undisturbed = train(settings.model_copy(update={"output": str(tmp_path / "undisturbed")}))
    config = run_killed("sft", 3, settings, tmp_path)
    torn = tmp_path / "killed" / "checkpoint-3"
    (torn / "optimizer.pt").write_bytes((torn / "optimizer.pt").read_bytes()[:100])
    assert last_save(tmp_path / "killed") == tmp_path / "killed" / "checkpoint-2"
    with caplog.at_level(logging.INFO, "training"):
        assert main(["--config", str(config)]) == 0
    assert "from step 2" in caplog.text
    assert last_save(tmp_path / "killed") == tmp_path / "killed" / "checkpoint-4"
    assert not moved(undisturbed, tmp_path / "killed" / "final")
    losses = [
        {event.step: event.value for event in read.Scalars("train/loss")}
        for read in (EventAccumulator(str(tmp_path / name / "logs")).Reload() for name in ("undisturbed", "killed"))
    ]
    assert losses[0] == losses[1]
    assert list(losses[0]) == [1, 2, 3, 4]


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4, alpha=8)], ids=["whole", "lora"])
def test_a_save_holds_all_that_was_learnt(
    lora: LoraSettings | None, seed_checkpoint: Path, rows: Path, tmp_path: Path
) -> None:
    changes = {"steps": 3, "save_steps": 1, "keep": 3, "learning_rate": 0.01, "dtype": "bfloat16"}
    settings = told(seed_checkpoint, rows, tmp_path / "once", **changes).model_copy(update={"lora": lora})
    once = train(settings)
    shutil.copytree(tmp_path / "once", tmp_path / "again")
    for left in ("final", "adapter", "checkpoint-2", "checkpoint-3"):
        shutil.rmtree(tmp_path / "again" / left, ignore_errors=True)
    again = train(settings.model_copy(update={"output": str(tmp_path / "again")}))
    assert not moved(once, again)
    assert moved(seed_checkpoint, again)
    # Killed after the last step: only what was not written is written.
    (again / "focus.json").replace(tmp_path / "focus.json")
    shutil.rmtree(again)
    assert train(settings.model_copy(update={"output": str(tmp_path / "again")})) == again
    assert not moved(once, again)
    assert (again / "focus.json").read_bytes() == (tmp_path / "focus.json").read_bytes()
