"""The lean forward passes compute what transformers' own classes compute, over the same weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from cof_agent.errors import ConfigError
from cof_agent.policies import load_policy
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.scenes import Split
from cof_agent.scenes.reach import SCENE_PROFILE
from cof_agent.scenes.scene import CHARACTERS, COLOURS, MOST, SHAPES
from cof_agent.scenes.wording import Name
from tests.support.training.seeds import SMALLEST, write_smallest
from training.tiny_pretrain.chunks import Views, make_views
from training.tiny_pretrain.dialogue import Exchange, exchanges
from training.tiny_pretrain.episodes import Episodes
from training.tiny_pretrain.guidance import guide_loss
from training.tiny_pretrain.heads import Heads, number_waves
from training.tiny_pretrain.lean_language import WATCHED_HEADS, Spoken, speak
from training.tiny_pretrain.lean_tower import look, pack
from training.tiny_pretrain.lessons import episode_readings
from training.tiny_pretrain.marks import CHOICE, Batch, Own, Told, told_place
from training.tiny_pretrain.pupil import Pupil, mean_losses, write_model
from training.tiny_pretrain.seed import write_tiny_seed
from training.tiny_pretrain.truth import NOTHING

_TOLD = "<|im_start|>user\nred one at 3, blue one at 40, cyan one at 14. Which?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smallest(tmp_path_factory.mktemp("seeds") / "smallest")


@pytest.fixture(scope="module")
def pupil(seed: Path) -> Pupil:
    return Pupil(seed, questions=3)


def images(views: Views, folder: Path) -> Any:
    """The views as the checkpoint's own processor prepares them."""
    processor: Any = load_processor(folder)
    return processor.image_processor(images=[Image.fromarray(view) for view in views.pixels], return_tensors="pt")


@pytest.mark.parametrize("grid", [(4, 4), (10, 5), (3, 6)])
def test_the_tower_and_its_gradients_are_those_of_the_real_class(
    grid: tuple[int, int], pupil: Pupil, seed: Path
) -> None:
    views = make_views("crowd", grid, range(2), Split.TRAIN)
    tower, given = pupil.model.model.visual, images(views, seed)
    equal_with_gradients(
        tower,
        tower(given["pixel_values"], grid_thw=given["image_grid_thw"]).pooler_output,
        look(tower, pack(list(views.pixels)), torch.float32).flatten(0, 1),
    )


def test_images_of_several_sizes_side_by_side_are_those_of_the_real_class(pupil: Pupil, seed: Path) -> None:
    views = [make_views("crowd", grid, range(1), Split.TRAIN).pixels[0] for grid in ((4, 4), (10, 5), (3, 6))]
    processor: Any = load_processor(seed)
    given = processor.image_processor(images=[Image.fromarray(view) for view in views], return_tensors="pt")
    tower, packed = pupil.model.model.visual, pack(views)
    equal_with_gradients(
        tower,
        tower(given["pixel_values"], grid_thw=given["image_grid_thw"]).pooler_output,
        look(tower, packed, torch.float32)[packed.tokens],
    )


def equal_with_gradients(tower: torch.nn.Module, real: torch.Tensor, lean: torch.Tensor) -> None:
    torch.manual_seed(0)
    weight, parameters = torch.randn(real.shape), list(tower.parameters())
    found, wanted = (torch.autograd.grad((result * weight).sum(), parameters) for result in (lean, real))
    for one, other in zip((lean, *found), (real, *wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.detach().abs().max()))


def test_views_larger_than_a_window_are_refused(tmp_path: Path) -> None:
    windowed = write_tiny_seed(tmp_path / "seed", replace(SMALLEST, window=112))
    tower = Pupil(windowed, questions=0).model.model.visual
    look(tower, pack([np.zeros((112, 112, 3), np.uint8)]), torch.float32)
    with pytest.raises(ConfigError, match="views of 140x112 pixels are larger than the tower's window of 112"):
        look(tower, pack([np.zeros((112, 140, 3), np.uint8)]), torch.float32)


def test_the_language_model_is_that_of_the_real_class(pupil: Pupil, seed: Path) -> None:
    views = make_views("crowd", (5, 4), range(3), Split.TRAIN)
    talks = [exchanges(things, 140, 112, 3, Random(0)) for things in views.things]
    batch = pupil.scribe.write(talks, (5, 4))
    tokens = look(pupil.model.model.visual, pack(list(views.pixels)), torch.float32).flatten(0, 1)
    is_that_of_the_real_class(pupil, batch, tokens, images(views, seed))


def test_the_language_model_is_that_of_the_real_class_in_conversations_of_several_images(
    pupil: Pupil, seed: Path
) -> None:
    episodes = Episodes(pupil.processor, SCENE_PROFILE, 0, 4, {"adaptive": 1.0}).make(0)
    assert max(len(told.pixels) for told in episodes) > 1
    batch = pupil.scribe.batch([pupil.scribe.episode(told.text, told.grids, told.own) for told in episodes])
    shown = [Image.fromarray(image) for told in episodes for image in told.pixels]
    given = pupil.processor.image_processor(images=shown, return_tensors="pt", do_resize=False)
    tower = pupil.model.model.visual
    tokens = tower(given["pixel_values"], grid_thw=given["image_grid_thw"]).pooler_output
    packed = pack([image for told in episodes for image in told.pixels])
    assert not packed.tokens.all()
    torch.testing.assert_close(look(tower, packed, torch.float32)[packed.tokens], tokens, rtol=0, atol=1e-4)
    is_that_of_the_real_class(pupil, batch, tokens, given)


@torch.no_grad()
def is_that_of_the_real_class(pupil: Pupil, batch: Batch, tokens: torch.Tensor, given: Any) -> None:
    """`tokens` are the visual tokens of the images `given` as the processor prepares them."""
    written = batch.ids != pupil.scribe.pad
    pupil.model.set_attn_implementation("eager")  # which tells what it attends to
    real = pupil.model(
        input_ids=batch.ids,
        attention_mask=written.long(),
        mm_token_type_ids=(batch.ids == pupil.model.config.image_token_id).int(),
        output_attentions=True,
        **given,
    )
    first = int((batch.about[:, :, 0] >= 0).any(0).int().argmax())
    spoken = speak(pupil.model, batch.ids, tokens, batch.positions, torch.float32, first)
    assert written.sum() < written.numel()
    said = F.linear(spoken.last, pupil.model.lm_head.weight)
    torch.testing.assert_close(said[written], real.logits[written], rtol=0, atol=1e-4)
    second_half = real.attentions[len(real.attentions) // 2 :]
    for attention, told in zip(second_half, spoken.looks, strict=True):
        shares = attention[:, :WATCHED_HEADS, first:].transpose(1, 2)[written[:, first:]]
        torch.testing.assert_close(told.exp().transpose(1, 2)[written[:, first:]], shares, rtol=0, atol=1e-5)


def test_conversations_weigh_the_same_however_they_are_grouped(pupil: Pupil) -> None:
    episodes = Episodes(pupil.processor, SCENE_PROFILE, 0, 8, {"adaptive": 1.0}).make(0)
    zooming = [episode for episode in episodes if len(episode.own) > 1]
    told = max(zooming, key=lambda episode: len(episode.own[-1].values))
    readings = [episode_readings(pupil.scribe, made, 3) for made in ([told], [told] * 7)]
    with torch.no_grad():
        one, many = (mean_losses(reading, pupil.episode_losses) for reading in readings)
    assert [len(reading.batch.ids) for reading in readings[1]] == [3, 3, 1]
    assert set(one) == set(many) >= {"words", "values", "seen", "boxes", "looks", "named", "places"}
    for name, loss in one.items():
        torch.testing.assert_close(many[name], loss, rtol=1e-2, atol=1e-2)


def test_looks_are_guided_to_what_a_question_is_about(pupil: Pupil) -> None:
    views = make_views("crowd", (4, 4), range(1), Split.TRAIN)
    [talk] = [exchanges(things, 112, 112, 1, Random(0)) for things in views.things]
    batch = pupil.scribe.write([talk], (4, 4))
    answering = batch.about[0, :, 0] >= 0
    assert torch.equal(answering, batch.labels[0] != NOTHING)
    assert set(batch.about[0, answering].flatten().tolist()) == set(talk[0].about)
    owner, length = torch.full_like(batch.ids, -1), batch.ids.shape[1]
    owner[0, [3, 5]] = talk[0].about[0]
    looks = torch.full((1, WATCHED_HEADS, length, length), 0.05).log()
    looks[:, :, answering, 3] = torch.tensor(0.3).log()
    looks[:, :, ~answering] = torch.tensor(1e-9).log()
    assert float(guide_loss([looks], batch.about, owner)["looks"]) == pytest.approx(-math.log(0.35))
    assert not guide_loss([looks], batch.about, torch.full_like(owner, -1))
    owner.fill_(-1)[0, -1] = talk[0].about[0]
    assert not guide_loss([looks], batch.about, owner)  # what comes later cannot be looked at


def test_the_names_in_a_question_are_known_where_it_is_answered(pupil: Pupil) -> None:
    names = Name(shape=SHAPES[3], colour=COLOURS[2]), Name(character=CHARACTERS[5])
    batch = pupil.scribe.write([[Exchange("relation", "?", "left", (1, 0), names)]], (4, 4))
    own = batch.labels[0] != NOTHING
    assert batch.names[0, own].unique(dim=0).tolist() == [[[2, 3, NOTHING], [NOTHING, NOTHING, 5]]]
    assert (batch.names[0, ~own] == NOTHING).all()


def test_the_state_that_answers_is_asked_for_the_names_in_the_question(pupil: Pupil) -> None:
    width = pupil.model.config.text_config.hidden_size
    heads, names = Heads(width), torch.full((1, 4, 2, 3), NOTHING)
    names[0, 2] = torch.tensor([[0, 1, NOTHING], [2, 0, NOTHING]])
    heads.requires_grad_(False)
    heads.named.weight.zero_()
    heads.named.bias.fill_(-20.0)
    heads.named.bias.unflatten(0, (2, -1))[0, [0, len(COLOURS) + 1]] = 20.0  # colour 0 and shape 1
    heads.named.bias.unflatten(0, (2, -1))[1, [2, len(COLOURS) + 0]] = 20.0
    assert float(heads.name_loss(torch.zeros(1, 4, width), names)["named"]) < 1e-6
    assert float(heads.name_loss(torch.zeros(1, 4, width), names.flip(2))["named"]) > 20
    assert not heads.name_loss(torch.zeros(1, 4, width), torch.full_like(names, NOTHING))


def test_what_has_been_looked_at_is_asked_for_where_it_chooses(seed: Path) -> None:
    pupil = Pupil(seed, questions=3).requires_grad_(False)
    heads, width = pupil.heads, pupil.model.config.text_config.hidden_size
    said = "I look for the star: the red one at 3. I look on: the blue one at 40. I look on: the cyan one at 14."
    text = f"{_TOLD}<think>{said}</think><|im_end|>\n"
    batch = pupil.scribe.batch([pupil.scribe.episode(text, (), (Own((-1, -1), (Name(shape="star"),)),))])
    chosen = batch.turning == CHOICE
    colours, lefts = chosen & (batch.numbers == NOTHING), chosen & (batch.numbers != NOTHING)
    states = torch.zeros((*batch.ids.shape, width), dtype=torch.bfloat16)
    states[colours] = torch.eye(width)[:3].bfloat16()
    states[lefts] = torch.eye(width)[3:6].bfloat16()
    red, blue = COLOURS.index("red"), COLOURS.index("blue")
    for head, first, told in ((heads.looked, 0, ([], [red], [red, blue])), (heads.strips, 3, ([], [0], [0, 2]))):
        head.weight.zero_()
        head.bias.fill_(-20.0)
        for place, things in enumerate(told):
            head.weight[things, first + place] = 40.0
    losses = pupil._choice_losses(batch, Spoken(states, states, ()))
    assert float(losses["looked"]) < 1e-6
    assert float(losses["strips"]) < 1e-6
    heads.strips.weight.copy_(heads.strips.weight.roll(1, 0))
    assert float(pupil._choice_losses(batch, Spoken(states, states, ()))["strips"]) > 1


def test_a_look_that_went_astray_is_not_learnt_but_counts_as_one(seed: Path) -> None:
    pupil = Pupil(seed, questions=3).requires_grad_(False)
    text = (
        f"{_TOLD}<think>I look for the star: the red one at 3.</think>[3, 1, 40, 9]<|im_end|>\n<|im_start|>user\n. "
        "<|im_end|>\n<|im_start|>assistant\n<think>Nothing is here. I look on: the blue one at 40.</think><|im_end|>\n"
    )
    own = [Own((-1, -1), (Name(shape="star"),), astray=astray) for astray in (True, False)]
    batch = pupil.scribe.batch([pupil.scribe.episode(text, (), own)])
    width = pupil.model.config.text_config.hidden_size
    states = torch.zeros((*batch.ids.shape, width), dtype=torch.bfloat16)
    chosen = batch.turning == CHOICE
    states[chosen] = torch.eye(width)[:4].bfloat16()
    for head, place, thing in ((pupil.heads.looked, 2, COLOURS.index("red")), (pupil.heads.strips, 3, 0)):
        head.weight.zero_()
        head.bias.fill_(-20.0)
        head.weight[thing, place] = 40.0
    losses = pupil._choice_losses(batch, Spoken(states, states, ()))
    assert float(losses["looked"]) < 1e-6
    assert float(losses["strips"]) < 1e-6
    [_, second] = torch.nonzero(chosen & (batch.numbers == NOTHING))[:, 1].tolist()
    blue = F.cross_entropy(pupil._scores(states[0, second]), batch.ids[0, second + 1])
    torch.testing.assert_close(losses["choices"], blue)
    looks = torch.full((1, WATCHED_HEADS, batch.ids.shape[1], batch.ids.shape[1]), 0.01).log()
    lefts = pupil._left_losses(batch, Spoken(states, states, (looks,)))
    assert float(lefts["looks"]) == pytest.approx(-math.log(0.01))
    left = F.cross_entropy(pupil._scores(states[0, chosen[0].nonzero()[-1, 0]]), pupil.scribe.number_ids[40])
    torch.testing.assert_close(lefts["lefts"], left)


def test_a_left_side_is_looked_up_where_the_text_tells_it(pupil: Pupil) -> None:
    text = f"{_TOLD}<think>I look for the red star: the one at 40.</think><|im_end|>\n"
    batch = pupil.scribe.batch([pupil.scribe.episode(text, (), (Own((-1, -1), (Name(shape="star"),)),))])
    [place] = torch.nonzero(batch.numbers[0] == 40).flatten().tolist()
    told, said = torch.nonzero(batch.ids[0] == pupil.scribe.number_ids[40]).flatten().tolist()
    assert told < place == said - 1
    length = batch.ids.shape[1]
    looks = torch.full((1, WATCHED_HEADS, length - place, length), 1e-9).log()
    looks[:, :, 0, told] = math.log(0.3)
    states = torch.zeros((*batch.ids.shape, pupil.model.config.text_config.hidden_size), dtype=torch.bfloat16)
    assert float(pupil._left_losses(batch, Spoken(states, states, (looks,)))["looks"]) == pytest.approx(-math.log(0.3))


@torch.no_grad()
def test_a_place_is_looked_up_where_it_was_written(pupil: Pupil) -> None:
    star = Name(shape="star")
    text = (
        "<|im_start|>assistant\n<think>This is a star at 57.</think><|im_end|>\n<|im_start|>assistant\n"
        "<think>Here is a star at 57.</think><|im_end|>\n"
    )
    told = Told(MOST, star, said=told_place(0)), Told(0, star, again=told_place(0))
    own = tuple(Own((-1, -1), (star,), (sentence,)) for sentence in told)
    batch = pupil.scribe.batch([pupil.scribe.episode(text, (), own)])
    first, second = torch.nonzero(batch.ids[0] == pupil.scribe.number_ids[57]).flatten().tolist()
    length = batch.ids.shape[1]
    looks = torch.full((1, WATCHED_HEADS, length - second + 1, length), 1e-9).log()
    looks[:, 1, :, first] = math.log(0.3)
    states = torch.zeros((*batch.ids.shape, pupil.model.config.text_config.hidden_size), dtype=torch.bfloat16)
    losses = pupil._again_losses(batch, Spoken(states, states, (looks,)))
    assert {name: float(loss) for name, loss in losses.items()} == {
        "retold": pytest.approx(math.log(pupil.model.config.text_config.vocab_size), rel=1e-3),
        "aims": pytest.approx(-math.log(0.3)),
    }
    lost = replace(batch, owner=torch.full_like(batch.owner, -1))
    assert set(pupil._again_losses(lost, Spoken(states, states, (looks,)))) == {"retold"}
    none = replace(batch, turning=torch.zeros_like(batch.turning))
    assert pupil._again_losses(none, Spoken(states, states, (looks,))) == {}


def test_what_is_written_loads_as_a_policy_and_is_the_same(pupil: Pupil, seed: Path, tmp_path: Path) -> None:
    write_model(pupil, seed, tmp_path / "model")
    policy = load_policy(f"hf:{tmp_path / 'model'}")
    assert policy.profile.overview.max_pixels == 224**2
    again = Pupil(tmp_path / "model", questions=3)
    for (name, weight), other in zip(pupil.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(weight.to(torch.bfloat16).float(), other), name


def test_numbers_are_single_tokens_and_near_ones_are_alike(pupil: Pupil) -> None:
    encode = pupil.scribe.tokenizer.encode
    parts = [encode(part) for part in ("[", "12", ", ", "7", ", ", "305", ", ", "84", "]")]
    assert [len(part) for part in parts[1::2]] == [1, 1, 1, 1]
    assert encode("[12, 7, 305, 84]") == [token for part in parts for token in part]
    rows = pupil.model.get_input_embeddings().weight[pupil.scribe.number_ids]
    alike = F.cosine_similarity(rows[:-1], rows[1:], dim=-1)
    assert alike.min() > F.cosine_similarity(rows[:100], rows[200:300], dim=-1).max()
    waves = number_waves()
    nearest = (waves @ waves.T).fill_diagonal_(-1).argmax(-1)
    assert (nearest - torch.arange(len(waves))).abs().max() == 1
