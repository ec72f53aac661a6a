"""Putting a checkpoint into the package: whole or not at all, and nothing that is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cof_agent import load_policy
from cof_agent.errors import ConfigError
from tests.support.training.seeds import write_smallest
from training.tiny_pretrain import ship
from training.tiny_pretrain.pupil import HEADS, Pupil, write_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stage writes, with the readings that only training needs."""
    where = tmp_path_factory.mktemp("ship")
    seed = write_smallest(where / "seed")
    write_model(Pupil(seed, 1), seed, where / "model")
    return where / "model"


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_takes_what_the_policy_needs_and_keeps_the_card(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (model / HEADS).is_file()
    assets = tmp_path / "assets" / "tiny"
    assert ship.main([str(model), "--assets", str(assets)]) == 0
    assert str(assets) in capsys.readouterr().out
    assert set(held(assets)) == {*ship.NEEDED, ship.CARD}
    assert (assets / ship.CARD).read_bytes() == (ship.ASSETS / ship.CARD).read_bytes()
    (assets / ship.CARD).write_text("mine")
    (model / "focus.json").write_text((model / "focus.json").read_text() + "\n")
    ship.ship(model, assets)
    assert held(assets) == {name: (model / name).read_bytes() for name in ship.NEEDED} | {ship.CARD: b"mine"}
    assert [path.name for path in assets.parent.iterdir()] == ["tiny"]
    load_policy(f"hf:{assets}", device="cpu")


def test_weights_in_32_bits_are_put_into_bfloat16(model: Path, tmp_path: Path) -> None:
    short = load_file(model / "model.safetensors")
    exact = {name: weight.float() for name, weight in short.items()}
    save_file(exact, model / "model.safetensors", {"format": "pt"})
    shipped = load_file(ship.ship(model, tmp_path / "tiny") / "model.safetensors")
    assert {weight.dtype for weight in shipped.values()} == {torch.bfloat16}
    assert all(torch.equal(shipped[name], weight) for name, weight in short.items())


def without(name: str) -> Any:
    def remove(model: Path) -> None:
        (model / name).unlink()

    return remove


def swell(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    save_file(weights | {"more": torch.zeros(ship.LIMIT // 2)}, model / "model.safetensors", {"format": "pt"})


def break_weight(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, model / "model.safetensors", {"format": "pt"})


def lose_weight(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    del weights[next(name for name in weights if name.endswith("q_proj.weight"))]
    save_file(weights, model / "model.safetensors", {"format": "pt"})


def cut(model: Path) -> None:
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-10])


def rename_kind(model: Path) -> None:
    text = (model / "config.json").read_text()
    (model / "config.json").write_text(text.replace('"qwen2_5_vl"', '"qwen2_vl"'))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without("focus.json"), "has no focus.json"),
        (without("model.safetensors"), "has no model.safetensors"),
        (swell, "more than the 12,000,000 of tiny"),
        (break_weight, "weights that are no numbers"),
        (lose_weight, "lacks 1 of its weights"),
        (cut, "is no checkpoint of tiny: SafetensorError"),
        (rename_kind, "is a qwen2_vl"),
    ],
)
def test_what_is_no_such_checkpoint_leaves_all_as_it_was(change: Any, why: str, model: Path, tmp_path: Path) -> None:
    assets = ship.ship(model, tmp_path / "assets" / "tiny")
    before = held(assets)
    change(model)
    with pytest.raises(ConfigError, match=why):
        ship.ship(model, assets)
    assert held(assets) == before
    assert [path.name for path in assets.parent.iterdir()] == ["tiny"]


def test_a_checkpoint_of_another_vocabulary(seed_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="and tiny is a qwen2_5_vl with 1344"):
        ship.ship(seed_checkpoint, tmp_path / "tiny")
    assert ship.main([str(tmp_path / "nothing")]) == 1


def test_a_place_that_holds_something_else(model: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match=r"holds letter\.txt"):
        ship.ship(model, tmp_path / "home")
    assert held(tmp_path / "home") == {"letter.txt": b"dear"}


def test_killed_between_its_two_renames_it_finds_what_was_there(model: Path, tmp_path: Path) -> None:
    assets = ship.ship(model, tmp_path / "tiny")
    (assets / ship.CARD).write_text("mine")
    assets.rename(tmp_path / ".tiny.old")
    (tmp_path / ".tiny.part").mkdir()
    ship.ship(model, assets)
    assert (assets / ship.CARD).read_text() == "mine"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
