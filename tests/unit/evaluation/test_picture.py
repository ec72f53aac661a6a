from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from cof_agent.errors import ConfigError, ImageError
from cof_agent.evaluation.benchmarks.scenes import SceneImage
from cof_agent.evaluation.picture import picture, reduced
from cof_agent.scenes.scene import Scene
from tests.support.conversations import photo


def png(image: Image.Image, **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **more)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("size", "long", "wanted"), [
    ((640, 480), 224, (224, 168)),
    ((480, 640), 224, (168, 224)),
    ((600, 3), 100, (100, 1)),
    ((333, 1000), 500, (167, 500)),
    ((999, 1000), 10, (10, 10)),
])  # fmt: skip
def test_the_longer_side_is_exact_and_the_aspect_is_kept(
    size: tuple[int, int], long: int, wanted: tuple[int, int]
) -> None:
    assert reduced(size, long) == wanted
    made = picture(png(Image.new("RGB", size)), long)
    assert made is not None
    assert made.size == wanted == opened(made.source).size


def test_nothing_is_enlarged() -> None:
    assert picture(png(photo(100, 60)), 101) is None


def test_an_image_of_just_that_size_stays_as_it_is() -> None:
    data = png(photo(100, 60))
    made = picture(data, 100)
    assert made is not None
    assert (made.source, made.size) == (data, (100, 60))


def test_native_is_the_source_itself(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    photo().save(path, quality=70)
    made = picture(str(path), None)
    assert made is not None
    assert (made.source, made.size) == (path.read_bytes(), (640, 480))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_it_is_lanczos_of_the_fully_decoded_original(form: str) -> None:
    noise = Image.effect_noise((800, 600), 80).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, form)
    made = picture(buffer.getvalue(), 100)
    assert made is not None
    exact = opened(buffer.getvalue()).convert("RGB").resize((100, 75), Image.Resampling.LANCZOS)
    assert ImageChops.difference(opened(made.source).convert("RGB"), exact).getbbox() is None


def test_an_image_is_turned_upright_first() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying: shown, its left side is on top
    lying = photo(200, 100)
    made = picture(png(lying, exif=exif), 100)
    assert made is not None
    assert made.size == (50, 100)
    upright = lying.transpose(Image.Transpose.ROTATE_270).resize((50, 100), Image.Resampling.LANCZOS)
    assert max(high for _, high in ImageChops.difference(opened(made.source), upright).getextrema()) <= 2
    assert picture(png(lying, exif=exif), None).size == (100, 200)  # type: ignore[union-attr]


def test_small_pictures_are_png_and_large_ones_jpeg() -> None:
    small, large = picture(photo(1300, 1300), 1024), picture(photo(1300, 1300), 1025)
    assert small is not None
    assert large is not None
    assert (opened(small.source).format, opened(large.source).format) == ("PNG", "JPEG")


def test_a_scene_is_rendered_at_the_resolution_and_has_none_of_its_own() -> None:
    scene = Scene.from_seed(3)
    made = picture(SceneImage(scene), 224)
    assert made is not None
    assert max(made.size) == 224
    assert made.size == scene.size(224) == opened(made.source).size
    with pytest.raises(ConfigError, match="name some"):
        picture(SceneImage(scene), None)


class Stored:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> bytes:
        return self.data


def test_what_stays_in_a_file_is_read_when_it_is_asked_about() -> None:
    made = picture(Stored(png(photo())), 64)
    assert made is not None
    assert made.size == (64, 48)


@pytest.mark.parametrize("image", [b"no image", "missing.jpg", Stored(b"")])
def test_what_is_no_image_is_an_image_error(image: object) -> None:
    with pytest.raises(ImageError):
        picture(image, 64)  # type: ignore[arg-type]


def test_a_resolution_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="resolution of 0"):
        picture(photo(), 0)


def test_many_threads_get_what_one_gets() -> None:
    data = [png(photo(300 + number, 200)) for number in range(6)]
    alone = [picture(one, 128) for one in data]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda one: picture(one, 128), data * 3)) == alone * 3
