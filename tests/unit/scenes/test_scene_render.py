"""Scenes as pixels: the same whatever part is drawn at whatever size."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.background import Background
from cof_agent.scenes.outline import object_polygons
from cof_agent.scenes.palette import JITTER, MUTED_SATURATION, PALETTE, luminance, muted, pick, shaded
from cof_agent.scenes.render import render
from cof_agent.scenes.scene import CHARACTERS, COLOURS, SHAPES, Scene, SceneObject
from cof_agent.scenes.texture import Lattice

pytestmark = pytest.mark.slow

GREY = Background.plain((128, 128, 128))
SEEDS = range(5)
THUMBNAILS = {
    4: "665b5a 5c5656 58504f 504948 655d5c 635b5a 5e5655 625a59 615957 635b5a 635b5a 766d51",
    11: "a38b94 ab8f98 ae909a b0939c a98c91 ab8c8d a58992 a78b94 9f8c98 9c7f88 9e838b a78a94",
}
"""Scenes at 4 x 3 pixels, row by row."""


def pixels(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image, dtype=np.float64)


def alone(thing: SceneObject, background: Background = GREY) -> Scene:
    return Scene(0, 1.0, 1.0, background, (thing,))


@cache
def whole(seed: int) -> Image.Image:
    scene = Scene.from_seed(seed)
    return render(scene, scene.size(2304))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("shown", "times"), [((224, 224), (2, 2)), ((160, 96), (5, 5)), ((64, 96), (3, 3)), ((112, 112), (9, 8))]
)
def test_a_part_is_what_the_whole_gives_when_cut_and_reduced(seed: int, shown: Size, times: tuple[int, int]) -> None:
    """Within 1.5 levels of 255 on average and 64 at most: that is a quarter of a pixel at a black and white edge."""
    scene, large, chance = Scene.from_seed(seed), whole(seed), random.Random(seed)
    width, height = shown[0] * times[0], shown[1] * times[1]
    for thing in scene.objects[:5]:
        left = int(thing.x / scene.width * large.width - width * chance.random())
        top = int(thing.y / scene.height * large.height - height * chance.random())
        left, top = min(max(left, 0), large.width - width), min(max(top, 0), large.height - height)
        box = (left, top, left + width, top + height)
        frame = (box[0] / large.width, box[1] / large.height, box[2] / large.width, box[3] / large.height)
        apart = np.abs(pixels(render(scene, shown, frame)) - pixels(large.crop(box).reduce(times)))
        assert apart.mean() < 1.5
        assert np.percentile(apart, 99.9) < 40
        assert apart.max() < 64


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_is_what_a_larger_whole_gives_when_reduced(seed: int) -> None:
    scene = Scene.from_seed(seed)
    large = render(scene, (2240, 1792))
    for times in (10, 8, 4):
        small = render(scene, (2240 // times, 1792 // times) if times != 10 else (224, 256))
        by = (times, times) if times != 10 else (10, 7)
        apart = np.abs(pixels(small) - pixels(large.reduce(by)))
        assert apart.mean() < 1.5
        assert apart.max() < 64


@pytest.mark.parametrize("side", [0.3, 0.7, 1.5, 4.0, 11.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_covers_its_area_however_few_pixels_it_has(shape: str, side: float) -> None:
    """On black, two channels tell how much of its colour and how much ink there is: both as their outlines say."""
    chance = random.Random(f"{shape} {side}")
    for _ in range(6):
        x, y = 0.4 + 0.2 * chance.random(), 0.4 + 0.2 * chance.random()
        thing = SceneObject(shape, "red", pick(chance, CHARACTERS), x, y, side / 32, 15 * chance.random())
        view = pixels(render(alone(thing, Background.plain((0, 0, 0))), (32, 32)))
        painted, inked = np.linalg.solve(np.array([thing.rgb[:2], thing.ink[:2]]).T, view[:, :, :2].sum(axis=(0, 1)))
        body, glyph = object_polygons(thing)
        points, ahead = body.points, np.roll(body.points, -1, axis=0)
        area = abs(float((points[:, 0] * ahead[:, 1] - ahead[:, 0] * points[:, 1]).sum())) / 2 * 32**2
        (_, fine) = glyph.cover((x - side / 64, y - side / 64), (6400 / side, 6400 / side), (200, 200)) or (0, None)
        assert fine is not None
        ink = pixels(fine).sum() / 255 * (side / 200) ** 2
        assert painted + inked == pytest.approx(area, rel=0.06, abs=0.02)
        assert inked == pytest.approx(ink, rel=0.15, abs=0.03)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("turn", [-15.0, -6.0, 0.0, 9.0, 15.0])
def test_a_character_lies_within_its_shape(shape: str, turn: float) -> None:
    for character in CHARACTERS:
        body, glyph = object_polygons(SceneObject(shape, "red", character, 0.5, 0.5, 0.9, turn))
        inside = pixels(body.cover((0.0, 0.0), (256.0, 256.0), (256, 256))[1])  # type: ignore[index]
        place, ink = glyph.cover((0.0, 0.0), (256.0, 256.0), (256, 256))  # type: ignore[misc]
        start = body.cover((0.0, 0.0), (256.0, 256.0), (256, 256))[0]  # type: ignore[index]
        left, top = place[0] - start[0], place[1] - start[1]
        under = inside[top : top + ink.height, left : left + ink.width]
        assert under[pixels(ink) > 0].min() == 255


@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_fills_its_box(shape: str) -> None:
    for turn in (-15.0, 0.0, 11.0):
        thing = SceneObject(shape, "blue", "A", 0.5, 0.5, 0.5, turn)
        points = object_polygons(thing)[0].points
        low, high = points.min(axis=0), points.max(axis=0)
        assert (high - low).max() == pytest.approx(0.5)
        assert np.allclose((low + high) / 2, 0.5)
        changed = np.abs(pixels(render(alone(thing), (64, 64))) - 128).max(axis=2)
        assert changed[:15].max() == changed[-15:].max() == changed[:, :15].max() == changed[:, -15:].max() == 0


def test_characters_are_as_high_as_promised_and_stand_in_their_ink() -> None:
    for character in CHARACTERS:
        points = object_polygons(SceneObject("square", "yellow", character, 0.0, 0.0, 1.0))[1].points
        assert float(np.ptp(points[:, 1])) == pytest.approx(0.45, abs=0.012)
        assert float(np.ptp(points[:, 0])) < 0.4


@pytest.mark.parametrize("colour", COLOURS)
def test_ink_can_be_read_on_every_shade(colour: str) -> None:
    chance = random.Random(colour)
    for _ in range(40):
        shade = tuple(round(JITTER * (2 * chance.random() - 1)) for _ in range(3))
        thing = SceneObject("circle", colour, "K", 0.5, 0.5, 0.5, shade=(shade[0], shade[1], shade[2]))
        light, dark = sorted((luminance(thing.rgb), luminance(thing.ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4
        assert max(thing.rgb) - min(thing.rgb) > max(thing.rgb) / 2


def test_colours_are_far_apart() -> None:
    for index, one in enumerate(COLOURS):
        for other in COLOURS[:index]:
            assert math.dist(PALETTE[one], PALETTE[other]) > 80
    assert shaded("yellow", (10, 10, -10)) == (255, 236, 30)


@pytest.mark.parametrize("seed", range(12))
def test_backgrounds_are_too_grey_for_an_objects_colour(seed: int) -> None:
    back = pixels(render(replace(Scene.from_seed(seed), objects=()), (200, 150)))
    assert ((back.max(axis=2) - back.min(axis=2)) / back.max(axis=2)).max() < 0.3


def test_muted_colours_are_muted() -> None:
    chance = random.Random(1)
    for _ in range(500):
        rgb = muted(chance)
        assert min(rgb) >= (1 - MUTED_SATURATION) * max(rgb) - 1


def test_texture_shows_at_every_zoom() -> None:
    """A background that were flat close up would tell a zoomed view from a whole one."""
    spreads = []
    for seed in range(8):
        scene = replace(Scene.from_seed(seed), objects=())
        scene = replace(scene, background=replace(scene.background, clutter=()))
        for side in (1.0, 0.3, 0.08):
            view = pixels(render(scene, (96, 96), (0.5, 0.5, 0.5 + side / 2, 0.5 + side / 2)))[:, :, 1]
            spreads.append(view.std())
    assert min(spreads) > 0.5


@pytest.mark.parametrize("seed", THUMBNAILS)
def test_the_world_looks_as_it_did(seed: int) -> None:
    """Outlines, texture and clutter are no part of a scene's JSON; a change of theirs shows here."""
    found = pixels(render(Scene.from_seed(seed), (96, 72)).reduce(24)).reshape(12, 3)
    was = np.array([list(bytes.fromhex(pixel)) for pixel in THUMBNAILS[seed].split()])
    assert np.abs(found - was).max() <= 3


@pytest.mark.parametrize("seed", range(6))
def test_texture_is_one_surface_at_every_zoom(seed: int) -> None:
    """Where a coarse and a fine lattice of the same octave meet, they hold the same value."""
    area = (0.13, 0.21, 0.93, 1.4)
    coarse, fine = Lattice(seed, 0.0, area, 20), Lattice(seed, 0.0, area, 1300)
    step = round(coarse.spacing / fine.spacing)
    assert step >= 32
    left, top = round((coarse.left - fine.left) / fine.spacing), round((coarse.top - fine.top) / fine.spacing)
    rows, columns = (
        range(-(-max(0, -start) // step), min(len(coarse_line), (len(fine_line) - start - 1) // step + 1))
        for start, coarse_line, fine_line in (
            (top, coarse.values, fine.values), (left, coarse.values.T, fine.values.T),
        )
    )  # fmt: skip
    common = [(row, column) for row in rows for column in columns]
    assert len(common) > 40
    apart = [abs(coarse.values[r, c] - fine.values[top + r * step, left + c * step]) for r, c in common]
    assert max(apart) < 1e-5
    assert np.ptp(coarse.values) > 0.3


def test_texture_lies_where_it_belongs() -> None:
    back = replace(GREY, texture=5, contrast=120.0, roughness=0.0)
    scene = Scene(0, 1.0, 1.0, back, ())
    large = render(scene, (960, 960))
    assert np.ptp(pixels(large)) > 60
    for shown in (24, 48, 96):
        assert np.abs(pixels(render(scene, (shown, shown))) - pixels(large.reduce(960 // shown))).max() < 4
    part = render(scene, (40, 40), (0.25, 0.5, 0.5, 0.75))
    assert np.abs(pixels(part) - pixels(large.crop((240, 480, 480, 720)).reduce(6))).max() < 4


def test_any_size_can_be_drawn() -> None:
    scene = Scene.from_seed(2)
    for shown in ((1, 1), (3840, 2), (2, 3840), (1, 7), (33, 17)):
        image = render(scene, shown, (0.2, 0.1, 0.7, 0.30001))
        assert image.size == shown
        assert image.mode == "RGB"
    tiny = render(scene, (64, 64), (0.5, 0.5, 0.5000001, 0.5000001))
    assert np.ptp(pixels(tiny), axis=(0, 1)).max() < 3


def test_frames_and_sizes_that_are_none_are_refused() -> None:
    scene = Scene.from_seed(0)
    frames: tuple[Corners, ...] = ((0.5, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (0, 0, float("nan"), 1))
    for frame in frames:
        with pytest.raises(ConfigError, match="no part of a scene"):
            render(scene, (64, 64), frame)
    for shown in ((0, 5), (5, 3841)):
        with pytest.raises(ConfigError, match="1 to 3840"):
            render(scene, shown)


def test_drawing_leaves_no_trace_for_the_next() -> None:
    scene = Scene.from_seed(5)
    first = render(scene, (120, 90))
    render(Scene.from_seed(6), (64, 64))
    render(scene, (77, 60), (0.1, 0.1, 0.5, 0.4))
    assert render(scene, (120, 90)).tobytes() == first.tobytes()


def test_changed_objects_change_the_picture_there_and_nowhere_else() -> None:
    scene = Scene.from_seed(8)
    index = max(range(len(scene.objects)), key=lambda i: scene.objects[i].size)
    thing = scene.objects[index]
    other = replace(thing, character=next(c for c in CHARACTERS if c != thing.character))
    changed = replace(scene, objects=(*scene.objects[:index], other, *scene.objects[index + 1 :]))
    size = scene.size(800)
    where = np.argwhere((pixels(render(scene, size)) != pixels(render(changed, size))).any(axis=2))
    x1, y1, x2, y2 = scene.fraction(thing.box)
    assert len(where) > 10
    assert (where >= (y1 * size[1] - 1, x1 * size[0] - 1)).all()
    assert (where <= (y2 * size[1] + 1, x2 * size[0] + 1)).all()


@pytest.mark.parametrize("size", [(600, 400), (400, 600), (90, 800)])
def test_a_photo_covers_the_scene_and_keeps_its_shape(tmp_path: Path, size: Size) -> None:
    path = tmp_path / "photo.png"
    across, down = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    levels = np.stack([across * 255 // size[0], down * 255 // size[1], across * 0], axis=2).astype(np.uint8)
    Image.fromarray(levels).save(path)
    scene = Scene(0, 1.0, 1.0, replace(GREY, photo=str(path)), ())
    view = pixels(render(scene, (50, 50)))
    side = min(size)
    steps = view[-1, -1, :2] - view[0, 0, :2]
    assert steps == pytest.approx([255 * side / size[0], 255 * side / size[1]], abs=8)
    assert view[25, 25, :2] == pytest.approx([128, 128], abs=4)
    part = pixels(render(scene, (20, 20), (0.2, 0.4, 0.6, 0.8)))
    assert np.abs(part - view[20:40, 10:30]).max() < 8


def test_a_large_photo_is_shown_as_its_pixels_are_on_average(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    noise = np.random.default_rng(0).integers(0, 255, (75, 100, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC)
    photo.save(path)
    scene = Scene(0, 4 / 3, 1.0, replace(GREY, photo=str(path)), ())
    for shown, frame in (((40, 30), (0.0, 0.0, 1.0, 1.0)), ((37, 23), (0.1013, 0.0507, 0.9307, 0.9711))):
        box = (frame[0] * 1600, frame[1] * 1200, frame[2] * 1600, frame[3] * 1200)
        exact = photo.resize(shown, Image.Resampling.LANCZOS, box=box)
        assert np.abs(pixels(render(scene, shown, frame)) - pixels(exact)).mean() < 2


def test_a_photo_that_changed_is_read_again_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    scene = Scene.from_seed(0, photo=str(path))
    with pytest.raises(ImageError, match=r"wall\.png"):
        render(scene, (8, 8))
    Image.new("RGB", (30, 30), (200, 10, 10)).save(path)
    empty = replace(scene, objects=())
    assert render(empty, (8, 8)).getpixel((4, 4)) == (200, 10, 10)
    Image.new("RGB", (40, 40), (10, 10, 200)).save(path)
    assert render(empty, (8, 8)).getpixel((4, 4)) == (10, 10, 200)
