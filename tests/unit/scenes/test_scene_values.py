"""Scenes as values: the laws they are drawn by, and that nothing changes them unnoticed."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cof_agent.errors import ConfigError
from cof_agent.scenes.placing import GAP, place
from cof_agent.scenes.scene import CHARACTERS, COLOURS, FEWEST, MOST, SHAPES, TURN, Scene, SceneObject
from cof_agent.scenes.split import Split

pytestmark = pytest.mark.slow

DIGESTS = {
    0: "01d175acecd52e25",
    1: "67aff776a0ec992f",
    999_999: "1d7519e7e12c260f",
    2_000_000: "aee88355b56d5850",
}
"""SHA-256 of the scenes' JSON, keys sorted, first 16 digits. A change here changes every figure ever measured."""


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [Scene.from_seed(seed) for seed in range(1500)]


def digest(scene: Scene) -> str:
    return hashlib.sha256(json.dumps(scene.to_json(), sort_keys=True).encode()).hexdigest()[:16]


def furthest_from_uniform(shares: Sequence[float]) -> float:
    """The statistic of Kolmogorov and Smirnov against the uniform law on 0 to 1."""
    ordered, number = sorted(shares), len(shares)
    return max(max(share - i / number, (i + 1) / number - share) for i, share in enumerate(ordered))


@pytest.mark.parametrize("seed", DIGESTS)
def test_the_world_is_what_it_was(seed: int) -> None:
    assert digest(Scene.from_seed(seed)) == DIGESTS[seed]


def test_sizes_are_log_uniform(scenes: list[Scene]) -> None:
    sizes = [thing.size for scene in scenes for thing in scene.objects]
    assert min(sizes) >= 0.005
    assert max(sizes) <= 0.2
    shares = [math.log(size / 0.005) / math.log(40) for size in sizes]
    assert len(shares) > 10_000
    assert furthest_from_uniform(shares) < 1.63 / math.sqrt(len(shares))  # 1% level


@pytest.mark.parametrize("number", [FEWEST, MOST])
def test_sizes_do_not_depend_on_how_many_there_are(scenes: list[Scene], number: int) -> None:
    sizes = [thing.size for scene in scenes if len(scene.objects) == number for thing in scene.objects]
    shares = [math.log(size / 0.005) / math.log(40) for size in sizes]
    assert furthest_from_uniform(shares) < 1.63 / math.sqrt(len(shares))


def test_aspects_are_log_uniform_from_1_to_2_through_2_to_1(scenes: list[Scene]) -> None:
    assert all(min(scene.width, scene.height) == 1 for scene in scenes)
    shares = [(math.log2(scene.width / scene.height) + 1) / 2 for scene in scenes]
    assert furthest_from_uniform(shares) < 1.63 / math.sqrt(len(shares))


def test_the_number_of_objects_is_uniform(scenes: list[Scene]) -> None:
    counts = Counter(len(scene.objects) for scene in scenes)
    assert set(counts) == set(range(FEWEST, MOST + 1))
    assert all(abs(count - 1500 / 11) < 4 * math.sqrt(1500 / 11) for count in counts.values())


def test_objects_lie_inside_and_apart(scenes: list[Scene]) -> None:
    for scene in scenes:
        for index, one in enumerate(scene.objects):
            x1, y1, x2, y2 = one.box
            assert min(x1, y1, scene.width - x2, scene.height - y2) > GAP - 1e-4
            for other in scene.objects[:index]:
                across = abs(one.x - other.x) - (one.size + other.size) / 2
                down = abs(one.y - other.y) - (one.size + other.size) / 2
                assert max(across, down) > GAP - 1e-4


@pytest.mark.parametrize(("width", "height"), [(1.0, 1.0), (1.0, 2.0), (1.4142, 1.0)])
def test_twelve_of_the_largest_find_a_place_without_shrinking(width: float, height: float) -> None:
    import random

    middles = place(random.Random(3), [0.2] * 12, width, height)
    for index, (x, y) in enumerate(middles):
        assert 0.1 <= x <= width - 0.1
        assert 0.1 <= y <= height - 0.1
        assert all(max(abs(x - a), abs(y - b)) >= 0.2 + GAP - 1e-9 for a, b in middles[:index])


def test_no_two_objects_of_a_scene_look_alike_or_carry_the_same_character(scenes: list[Scene]) -> None:
    for scene in scenes:
        number = len(scene.objects)
        assert len({(thing.shape, thing.colour) for thing in scene.objects}) == number
        assert len({thing.character for thing in scene.objects}) == number
        assert all(abs(thing.turn) <= TURN for thing in scene.objects)


def test_the_second_object_shares_with_the_first_and_later_ones_half_of_the_time(scenes: list[Scene]) -> None:
    shared = asked = 0
    for scene in scenes:
        first, second = scene.objects[:2]
        assert (first.shape == second.shape) != (first.colour == second.colour)
        for index in range(2, len(scene.objects)):
            before, thing = scene.objects[:index], scene.objects[index]
            shapes, colours = {other.shape for other in before}, {other.colour for other in before}
            if len(shapes) < 8 and len(colours) < 8:
                asked += 1
                shared += thing.shape in shapes or thing.colour in colours
    assert abs(shared / asked - 0.5) < 3 * 0.5 / math.sqrt(asked)


@pytest.mark.parametrize(("attribute", "values"), [("shape", SHAPES), ("colour", COLOURS), ("character", CHARACTERS)])
def test_no_attribute_has_a_favourite(scenes: list[Scene], attribute: str, values: Sequence[str]) -> None:
    counts = Counter(getattr(thing, attribute) for scene in scenes for thing in scene.objects)
    expected = counts.total() / len(values)
    assert set(counts) == set(values)
    # Objects of a scene share on purpose, which widens the spread of shapes and colours beyond that of single draws.
    assert all(abs(count - expected) < 6 * math.sqrt(expected) for count in counts.values())


def test_size_says_nothing_about_looks(scenes: list[Scene]) -> None:
    sizes: dict[str, list[float]] = {}
    for scene in scenes:
        for thing in scene.objects:
            for value in (thing.shape, thing.colour):
                sizes.setdefault(value, []).append(math.log(thing.size / 0.005) / math.log(40))
    for shares in sizes.values():
        assert abs(sum(shares) / len(shares) - 0.5) < 4 * math.sqrt(1 / 12 / len(shares))


def test_splits_never_share_a_seed() -> None:
    assert [Split.TEST.seed(0), Split.TEST.seed(999_999)] == [0, 999_999]
    assert [Split.VALIDATION.seed(0), Split.VALIDATION.seed(999_999)] == [1_000_000, 1_999_999]
    assert Split.TRAIN.seed(0) == 2_000_000
    assert Split.TRAIN.seed(10**9) == 2_000_000 + 10**9
    for split, number in [(Split.TEST, 1_000_000), (Split.VALIDATION, 1_000_000), (Split.TRAIN, -1), (Split.TEST, -1)]:
        with pytest.raises(ConfigError, match=f"the {split} split has no scene {number}"):
            split.seed(number)


@pytest.mark.parametrize("seed", range(20))
def test_json_gives_the_scene_back(seed: int) -> None:
    scene = Scene.from_seed(seed, photo="a.jpg" if seed % 2 else None)
    assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


def test_what_is_no_scene_is_refused() -> None:
    good = Scene.from_seed(3).to_json()
    thing = good["objects"][0]
    for bad in (
        {},
        {**good, "objects": 7},
        {**good, "objects": [{**thing, "shape": "blob"}]},
        {**good, "objects": [{**thing, "size": 0}]},
        {**good, "objects": [{**thing, "character": "AB"}]},
        {**good, "objects": [{**thing, "character": ""}]},
        {**good, "objects": [{**thing, "extra": 1}]},
        {**good, "width": 3.0},
        {**good, "width": 1.0, "height": math.nan},
        {**good, "width": math.nan, "height": 1.0},
        {**good, "background": {}},
        {**good, "background": {**good["background"], "corners": [1, 2]}},
    ):
        with pytest.raises(ConfigError):
            Scene.from_json(bad)
    with pytest.raises(ConfigError, match="not -1"):
        Scene.from_seed(-1)


def test_an_object_can_be_changed_but_not_into_nonsense() -> None:
    thing = SceneObject("star", "red", "K", 0.5, 0.5, 0.1, shade=(5, -5, 0))
    assert replace(thing, colour="blue").rgb != thing.rgb
    for change in (
        {"colour": "teal"},
        {"character": "0"},
        {"size": -1.0},
        {"size": math.inf},
        {"x": math.nan},
        {"turn": math.nan},
    ):
        with pytest.raises(ConfigError):
            replace(thing, **change)


@pytest.mark.parametrize("seed", range(5))
def test_a_photo_changes_nothing_but_what_lies_behind(seed: int) -> None:
    plain, before_photo = Scene.from_seed(seed), Scene.from_seed(seed, photo="wall.jpg")
    assert plain.objects == before_photo.objects
    assert replace(before_photo, background=replace(before_photo.background, photo=None)) == plain


def test_pixel_sizes_keep_the_longer_side() -> None:
    for seed in range(50):
        scene = Scene.from_seed(seed)
        for long_side in (1, 224, 3840):
            size = scene.size(long_side)
            assert max(size) == long_side
            assert abs(size[0] / scene.width - size[1] / scene.height) <= 1
    for wrong in (0, 3841):
        with pytest.raises(ConfigError, match="1 to 3840"):
            Scene.from_seed(0).size(wrong)


def test_fractions_of_the_scenes_sides() -> None:
    scene = next(scene for scene in map(Scene.from_seed, range(50)) if scene.width > 1.5)
    assert scene.fraction((0, 0, scene.width, scene.height)) == (0, 0, 1, 1)
    assert scene.fraction((scene.width / 2, 0.25, scene.width, 0.5)) == (0.5, 0.25, 1, 0.5)
