"""Weights are safetensors inside of the checkpoint, whatever its files name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cof_agent.errors import ConfigError
from cof_agent.policies.weights import INDEX, WHOLE, check_links, weight_files

SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of two shards, a pickle in it, and a file of weights beside it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in (*SHARDS, "pytorch_model.bin", "../private.safetensors"):
        (folder / name).write_bytes(b"weights")
    indexed(folder, *SHARDS)
    (folder / "config.json").write_text("{}")
    return folder


def indexed(folder: Path, *names: Any) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"w{at}": name for at, name in enumerate(names)}}))


def test_one_file_or_those_of_an_index(folder: Path) -> None:
    assert weight_files(folder) == [folder / name for name in SHARDS]
    (folder / WHOLE).write_bytes(b"weights")
    assert weight_files(folder) == [folder / WHOLE]
    (folder / "config.json").write_text(json.dumps({"transformers_weights": SHARDS[0]}))
    assert weight_files(folder) == [folder / SHARDS[0]]
    (folder / "config.json").write_text(json.dumps({"transformers_weights": INDEX}))
    assert weight_files(folder) == [folder / name for name in SHARDS]


NAMES = ["pytorch_model.bin", "model.pt", "../private.safetensors", "{}/private.safetensors", "link.safetensors",
         "sub/../../private.safetensors", 7, None, ["a"], "\0.safetensors", "a" * 5000 + ".safetensors"]  # fmt: skip


@pytest.mark.parametrize("told_by", ["index", "config"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: str(name)[:20])
def test_what_else_is_named_is_not_read(name: Any, told_by: str, folder: Path) -> None:
    name = name.format(folder.parent) if isinstance(name, str) else name
    (folder / "sub").mkdir()
    (folder / "link.safetensors").symlink_to(folder.parent / "private.safetensors")
    if told_by == "config" and name is None:
        return  # as if there were none
    if told_by == "config":
        (folder / "config.json").write_text(json.dumps({"transformers_weights": name}))
    elif isinstance(name, list):
        (folder / INDEX).write_text(json.dumps({"weight_map": {"w": name}}))
    else:
        indexed(folder, name)
    with pytest.raises(ConfigError, match=r"only \.safetensors|leads out|is not a file|is damaged|are not there"):
        weight_files(folder)


@pytest.mark.parametrize("name", [WHOLE, INDEX, SHARDS[0]])
def test_a_link_that_leads_out_is_not_followed(name: str, folder: Path) -> None:
    outside = folder.parent / name
    outside.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"weights")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    with pytest.raises(ConfigError, match="leads out of"):
        weight_files(folder)


def test_in_the_hubs_cache_files_are_links_to_content_beside_them(folder: Path) -> None:
    cached = folder.parent / "hub" / "models--a--b"
    snapshot = cached / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (cached / "blobs").mkdir()
    for at, name in enumerate([*SHARDS, INDEX, "config.json"]):
        content = (folder / name).rename(cached / "blobs" / (f"{at}" * 64))
        (snapshot / name).symlink_to(Path("../../blobs") / content.name)
    assert weight_files(snapshot) == [snapshot / name for name in SHARDS]
    check_links(snapshot, ("*.json", "*.safetensors"))


def test_small_files_are_no_way_out_either(folder: Path) -> None:
    check_links(folder, ("*.json",))
    (folder / "tokenizer.json").symlink_to(folder.parent / "private.safetensors")
    with pytest.raises(ConfigError, match=r"tokenizer\.json is a link that leads out of"):
        check_links(folder, ("*.json",))


def test_an_adapter_in_the_checkpoint_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    with pytest.raises(ConfigError, match="holds a model and an adapter: move"):
        weight_files(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"attn_implementation": "somebody/kernel"},
        {"_attn_implementation": {"": "sdpa", "vision_config": "somebody/kernel@main"}},
        {"text_config": {"attn_implementation": "somebody/kernel"}},
    ],
    ids=str,
)
def test_a_kernel_from_the_hub_is_code(config: dict[str, Any], folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"names .*somebody/kernel.* as _?attn_implementation, which is code"):
        weight_files(folder)
    (folder / "config.json").write_text(json.dumps({"attn_implementation": "sdpa"}))
    assert len(weight_files(folder)) == 2


def test_a_pickle_alone_and_nothing_at_all_are_told(folder: Path) -> None:
    for name in (*SHARDS, INDEX):
        (folder / name).unlink()
    with pytest.raises(ConfigError, match=r"as pickle \(pytorch_model\.bin\), .* save_pretrained"):
        weight_files(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ConfigError, match=r"has no weights: .* get it again"):
        weight_files(folder, "get it again")
