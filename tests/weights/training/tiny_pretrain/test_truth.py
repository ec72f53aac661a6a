"""What tokens are said to show is what the pixels show, wherever a view is cut."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from cof_agent.images.geometry import Box
from cof_agent.scenes import CHARACTERS, COLOURS, SHAPES, Split
from cof_agent.scenes.observer import best
from cof_agent.scenes.reading import ViewGrid, read_character, read_colour, read_shape
from training.tiny_pretrain.chunks import Chunks, Plan, Views, make_views
from training.tiny_pretrain.dialogue import UNREADABLE, exchanges
from training.tiny_pretrain.framing import KINDS, TOKEN, Kind
from training.tiny_pretrain.marks import NAMING
from training.tiny_pretrain.truth import GROUND, NOTHING, truth

READ = {"colour": (read_colour, COLOURS), "shape": (read_shape, SHAPES), "character": (read_character, CHARACTERS)}


def plan(**changes: object) -> Plan:
    given = {"seed": 3, "tokens": 64, "reuse": 2, "mix": {"crowd": 0.5, "zoom": 0.5}, "held": 2, "batches": 2}
    return Plan(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_what_the_ideal_observer_reads_there(kind: Kind) -> None:
    views = make_views(kind, (7, 6), range(40), Split.VALIDATION)
    assert _agreement(views) > 0.97


def test_they_still_are_in_views_that_are_cut() -> None:
    assert _agreement(Chunks(plan(tokens=640)).batch(0)) > 0.97


def test_each_object_is_told_where_its_middle_lies() -> None:
    shown = (9 * TOKEN, 6 * TOKEN)
    for seed in range(20):
        framing = KINDS["overview"](seed, shown, Split.VALIDATION, Random(seed))
        scene, (x1, y1, x2, y2) = framing.scene, framing.frame
        true = truth(framing.things()[None], 6, 9)
        for thing in scene.objects:
            x, y = (thing.x / scene.width - x1) / (x2 - x1) * 9, (thing.y / scene.height - y1) / (y2 - y1) * 6
            token = int(y) * 9 + int(x)
            if not (0 <= x < 9 and 0 <= y < 6) or true.side[0, token] > thing.size * 1000:
                continue
            assert true.row[0, token] == int(y)
            assert true.column[0, token] == int(x)
            across = shown[0] / ((x2 - x1) * scene.width)
            if abs(float(true.side[0, token]) - thing.size * across) < 1e-3:  # not a larger one's
                assert true.colour[0, token] in (COLOURS.index(thing.colour), NOTHING)
                box = [(thing.box[0] / scene.width - x1) / (x2 - x1) * shown[0], thing.box[1]]
                assert abs(max(box[0], 0) - float(true.numbers[0, token, 0])) <= 0.51
                assert torch.equal(true.offsets[0, token] - 336 + true.corners[0, token], true.numbers[0, token])


def test_tokens_without_an_object_are_ground() -> None:
    things = np.zeros((1, 12, 8), dtype=np.float32)
    things[0, 11] = (30, 30, 50, 54, 2, 3, 4, 20)
    true = truth(things, 3, 3)
    assert true.colour.tolist() == [[GROUND] * 4 + [2] + [GROUND] * 4]
    assert true.character.tolist() == [[NOTHING] * 4 + [4] + [NOTHING] * 4]
    assert true.legibility[0, 4] == 3
    assert true.numbers[0, 4].tolist() == [30, 30, 50, 54]
    assert true.numbers[0, 0].tolist() == [NOTHING] * 4
    assert true.owner.tolist() == [[-1] * 4 + [11] + [-1] * 4]


def test_the_tokens_of_an_object_count_as_one() -> None:
    views = make_views("crowd", (6, 6), range(8), Split.VALIDATION)
    true = truth(views.things, 6, 6)
    sizes = set()
    for owner, share in zip(true.owner, true.share, strict=True):
        for number in set(owner.tolist()) - {-1}:
            sizes.add(int((owner == number).sum()))
            assert float(share[owner == number].sum()) == pytest.approx(1)
        assert (share[owner == -1] == 1).all()
    assert min(sizes) == 1 < max(sizes)


def test_characters_are_told_on_one_token_alone() -> None:
    things = np.zeros((1, 12, 8), dtype=np.float32)
    things[0, 11] = (5, 5, 80, 80, 2, 3, 4, 75)
    true = truth(things, 3, 3)
    assert true.colour.tolist() == [[2] * 9]
    assert true.character.tolist() == [[NOTHING] * 4 + [4] + [NOTHING] * 4]


def test_a_batch_is_a_function_of_its_step() -> None:
    one, other = Chunks(plan()), Chunks(plan())
    forward = [one.batch(step) for step in (0, 1, 5)]
    for step, views in zip((5, 1, 0), forward[::-1], strict=True):
        again = other.batch(step)
        assert np.array_equal(views.pixels, again.pixels)
        assert np.array_equal(views.things, again.things)
    assert not np.array_equal(forward[0].pixels, forward[1].pixels)


def test_each_batch_may_have_views_of_its_own() -> None:
    single = plan(reuse=1, held=1, batches=1)
    first, second = (Chunks(single).batch(step) for step in (0, 1))
    assert first.things.tolist() != second.things.tolist()


def test_what_is_asked_about_a_view_is_true() -> None:
    kinds = set()
    for views in (
        make_views("crowd", (6, 6), range(30), Split.TRAIN),
        make_views("overview", (8, 8), range(30), Split.TRAIN),
    ):
        height, width = views.pixels.shape[1:3]
        for number, things in enumerate(views.things):
            there = {(COLOURS[int(t[4])], SHAPES[int(t[5])]): t for t in things if t[7] > 0}
            for asked in exchanges(things, width, height, 8, Random(number)):
                kinds.add(asked.kind)
                for thing, name in zip(things[list(asked.about)], asked.names, strict=True):
                    values = {
                        key: known[int(code)] for (key, known), code in zip(NAMING.items(), thing[4:7], strict=True)
                    }
                    assert all(getattr(name, attribute) == values[attribute] for attribute in name.attributes)
                    assert all(values[attribute] in asked.question for attribute in name.attributes)
                assert len(asked.names) == len(asked.about) == (2 if asked.kind == "relation" else 1)
                named = [t for (colour, shape), t in there.items() if f"{colour} {shape}" in asked.question]
                if asked.kind == "place":
                    (thing,) = named
                    expected = np.clip(thing[:4], 0, [width, height, width, height])
                    assert np.abs(np.array(json.loads(asked.answer)) - expected).max() <= 1
                elif asked.kind == "character":
                    (thing,) = named
                    assert thing[7] >= 16
                    assert asked.answer == CHARACTERS[int(thing[6])]
                elif asked.kind == "unreadable":
                    (thing,) = named
                    assert thing[7] < 16
                    assert asked.answer == UNREADABLE
                elif asked.kind == "colour":
                    assert asked.answer == COLOURS[int(things[asked.about[0], 4])]
                elif asked.kind == "one":
                    expected = np.clip(things[asked.about[0], :4], 0, [width, height, width, height])
                    box = json.loads(asked.answer)
                    assert np.abs(np.array(box) - expected).max() <= 1
                    assert f"one at {box[0]}" in asked.question
                    alike = [thing[0] for thing in things if thing[7] > 0 and thing[4] == things[asked.about[0], 4]]
                    assert sum(abs(left - expected[0]) < 5 for left in alike) == 1
                else:
                    assert len(named) == 2
                    assert asked.answer in ("left", "right", "above", "below")
    assert kinds == {"place", "one", "character", "unreadable", "colour", "relation"}


def _agreement(views: Views) -> float:
    """How often labels are what is read from the pixels, of objects large enough to be read with certainty."""
    columns, rows = views.grid
    true = truth(views.things, rows, columns)
    size = (columns * TOKEN, rows * TOKEN)
    right = []
    for view, token in (true.character != NOTHING).nonzero().tolist():
        if true.side[view, token] < 20:
            continue
        sight = ViewGrid(Image.fromarray(views.pixels[view]), Box.whole(size), size)
        numbers = true.numbers[view, token].tolist()
        if numbers[0] == 0 or numbers[1] == 0 or numbers[2] == size[0] or numbers[3] == size[1]:
            continue
        place = tuple(value / size[axis % 2] for axis, value in enumerate(numbers))
        for name, (read, values) in READ.items():
            said = best(read(sight, place), Random(0))  # type: ignore[arg-type]
            right.append(said == values[int(getattr(true, name)[view, token])])
    assert len(right) > 30
    return sum(right) / len(right)
