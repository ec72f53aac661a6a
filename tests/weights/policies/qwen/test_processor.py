"""Processors load without torchvision, keep the checkpoint's own settings, and say what is wrong with a directory."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image
from transformers import AutoTokenizer

from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.processor import load_processor, local_directory
from tests.support.patience import PATIENCE

QWEN3_IMAGES = {
    "size": {"longest_edge": 16_777_216, "shortest_edge": 65_536}, "patch_size": 16, "temporal_patch_size": 2,
    "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    "processor_class": "Qwen3VLProcessor", "image_processor_type": "Qwen2VLImageProcessorFast",
}  # fmt: skip
"""As in the published checkpoints."""


@pytest.fixture
def checkpoint(seed_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(seed_checkpoint, tmp_path / "checkpoint"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def shown(processor: Any, *images: Image.Image, **settings: Any) -> Any:
    text = "<|vision_start|><|image_pad|><|vision_end|>" * len(images)
    return processor(images=list(images), text=[text], return_tensors="np", **settings)


@pytest.mark.parametrize(
    ("model_type", "name"),
    [
        ("qwen2_vl", "Qwen2VLProcessor"), ("qwen2_5_vl", "Qwen2_5_VLProcessor"), ("qwen3_vl", "Qwen3VLProcessor"),
        ("qwen3_vl_moe", "Qwen3VLProcessor"), ("qwen3_5", "Qwen3VLProcessor"), ("qwen3_5_moe", "Qwen3VLProcessor"),
    ],
)  # fmt: skip
def test_the_class_follows_the_model(checkpoint: Path, tmp_path: Path, model_type: str, name: str) -> None:
    change(checkpoint / "config.json", model_type=model_type)
    processor = load_processor(checkpoint)
    assert isinstance(processor, getattr(transformers, name))
    assert processor.video_processor is None
    processor.save_pretrained(tmp_path / "saved")
    for file in ("processor_config.json", "preprocessor_config.json", "chat_template.jinja", "tokenizer.json"):
        assert (tmp_path / "saved" / file).is_file()
    saved = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert saved["processor_class"] == name
    assert saved["image_processor"]["image_processor_type"] == "Qwen2VLImageProcessor"
    shutil.copy(checkpoint / "config.json", tmp_path / "saved")
    (tmp_path / "saved" / "preprocessor_config.json").unlink()
    again = load_processor(str(tmp_path / "saved"))
    assert again.chat_template == processor.chat_template
    image = Image.effect_noise((112, 84), 80).convert("RGB")
    before, after = shown(processor, image), shown(again, image)
    assert {key: value.tolist() for key, value in after.items()} == {k: v.tolist() for k, v in before.items()}


@pytest.mark.parametrize("size", [(28, 28), (28, 1400), (644, 476), (1288, 756), (112, 112)])
def test_a_view_goes_in_as_it_is(checkpoint: Path, size: tuple[int, int]) -> None:
    """Each pixel stands where it stood, so nothing was resized, with or without `do_resize`."""
    image = Image.effect_noise(size, 100).convert("RGB")
    processor = load_processor(checkpoint)
    wide, high = size[0] // 28, size[1] // 28
    for settings in ({}, {"do_resize": False}):
        inputs = shown(processor, image, **settings)
        assert inputs["image_grid_thw"].tolist() == [[1, 2 * high, 2 * wide]]
        assert (inputs["input_ids"] == processor.image_token_id).sum() == wide * high
        patches = inputs["pixel_values"].reshape(high, wide, 2, 2, 3, 2, 14, 14)
        mean, deviation = processor.image_processor.image_mean[0], processor.image_processor.image_std[0]
        red = (patches[:, :, :, :, 0, 0] * deviation + mean) * 255
        pixels = red.transpose(0, 2, 4, 1, 3, 5).reshape(size[1], size[0])
        assert np.abs(pixels - np.asarray(image)[:, :, 0]).max() < 0.01


def test_a_kind_that_is_not_supported_yet_says_so(checkpoint: Path) -> None:
    change(checkpoint / "config.json", model_type="qwen4_exp")
    with pytest.raises(ConfigError, match="'qwen4_exp', which is not supported yet: start a server"):
        load_processor(checkpoint)


def test_settings_of_the_checkpoint_are_kept(checkpoint: Path) -> None:
    change(checkpoint / "config.json", model_type="qwen3_vl")
    (checkpoint / "preprocessor_config.json").write_text(json.dumps(QWEN3_IMAGES))
    processor = load_processor(checkpoint)
    inputs = shown(processor, Image.new("RGB", (320, 256), (255, 255, 255)))
    assert inputs["image_grid_thw"].tolist() == [[1, 16, 20]]
    assert inputs["pixel_values"].max() == inputs["pixel_values"].min() == 1.0
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 80


def test_several_images_keep_their_order_and_sizes(checkpoint: Path) -> None:
    inputs = shown(load_processor(checkpoint), *(Image.new("RGB", (28 * n, 56)) for n in (3, 1, 2)))
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 6], [1, 4, 2], [1, 4, 4]]
    assert inputs["mm_token_type_ids"].sum() == 12


def test_it_can_be_pickled(checkpoint: Path) -> None:
    processor = load_processor(checkpoint)
    again = pickle.loads(pickle.dumps(processor))
    assert type(again) is type(processor)
    assert again.apply_chat_template([{"role": "user", "content": "x"}]) == "<|im_start|>user\nx<|im_end|>\n"


@pytest.mark.parametrize("where", ["chat_template.json", "tokenizer_config.json"])
def test_the_template_may_stand_where_older_checkpoints_have_it(checkpoint: Path, where: str) -> None:
    (checkpoint / "chat_template.jinja").unlink()
    file = checkpoint / where
    if not file.exists():
        file.write_text("{}")
    change(file, chat_template="{% for message in messages %}[{{ message.content }}]{% endfor %}")
    assert load_processor(checkpoint).apply_chat_template([{"role": "user", "content": "x"}]) == "[x]"


def test_a_missing_tokenizer_config_would_end_turns_wrongly(checkpoint: Path) -> None:
    """Which is why load_processor refuses."""
    (checkpoint / "tokenizer_config.json").unlink()
    assert AutoTokenizer.from_pretrained(checkpoint).eos_token != "<|im_end|>"


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def _delete(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_delete("config.json"), "config.json"), (_write("config.json", "{"), "config.json is not JSON"),
        (_write("config.json", "[]"), "config.json is not a JSON object"), (_write("config.json", "{}"), "None"),
        (_write("config.json", '{"model_type": "llama"}'), "'llama'.*openai:MODEL"),
        (_delete("tokenizer_config.json"), "tokenizer_config.json.*turns would not end"),
        (_write("tokenizer_config.json", "oops"), "tokenizer_config.json is not JSON"),
        (_write("tokenizer.json", "{}"), "cannot be loaded"), (_delete("tokenizer.json"), "cannot be loaded|no token"),
        (_delete("preprocessor_config.json"), "preprocessor_config.json"),
        (_write("preprocessor_config.json", "{"), "preprocessor_config.json is not JSON"),
        (_template, "no chat template.*chat_template.jinja"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_checkpoint_is_named(
    checkpoint: Path, damage: Callable[[Path], object], named: str
) -> None:
    damage(checkpoint)
    with pytest.raises(ConfigError, match=named) as caught:
        load_processor(checkpoint)
    assert str(checkpoint) in str(caught.value)


def test_a_tokenizer_without_images_is_refused(checkpoint: Path) -> None:
    plain = (checkpoint / "tokenizer.json").read_text().replace("<|image_pad|>", "<|other_pad|>")
    (checkpoint / "tokenizer.json").write_text(plain)
    with pytest.raises(ConfigError, match="image_pad"):
        load_processor(checkpoint)


def test_code_of_a_checkpoint_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    own = {"AutoConfig": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"], "AutoProcessor": "own.Own"}
    for file in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        change(checkpoint / file, auto_map=own)
    load_processor(checkpoint)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["/no/such/dir", "./nothing", "~/no-such-dir", "a/b/c", "", "with space", "x" * 300, "a//b", "a/../b"]
)
def test_a_place_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="check the path"):
        load_processor(name)


def test_a_file_is_not_a_directory(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint directory"):
        load_processor(checkpoint / "config.json")


def test_a_directory_has_no_revision(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="no revision 'main'"):
        local_directory(checkpoint, revision="main")


ON_THE_HUB = """
import sys
from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.processor import load_processor
for name in sys.argv[1:]:
    name, *revision = name.split("@")
    try:
        print(type(load_processor(name, revision=revision[0] if revision else None)).__name__)
    except ConfigError as error:
        print(error)
"""


def test_an_id_comes_from_the_cache_where_there_is_no_network(seed_checkpoint: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--someone--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(seed_checkpoint, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    for ref in ("main", "v1"):
        (repository / "refs" / ref).write_text(commit)
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}

    names = ["someone/tiny", f"someone/tiny@{commit}", "someone/tiny@v1", "someone/other", "someone/tiny@v2"]
    run = subprocess.run(
        [sys.executable, "-c", ON_THE_HUB, *names], capture_output=True, text=True, timeout=PATIENCE, env=environment
    )
    assert run.returncode == 0, run.stderr
    *loaded, missing, revision = run.stdout.splitlines()
    assert loaded == ["Qwen2_5_VLProcessor"] * 3
    assert "hf download someone/other" in missing
    assert "someone/tiny at revision v2" in revision
