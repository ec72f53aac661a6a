"""Pictures too large to decode as a whole, and slides: small ones here, with the limits lowered to match."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from cof_agent.errors import ImageError, MissingExtraError, StoreError
from cof_agent.images import ImageLimits, SourceImage, open_image
from cof_agent.images.codecs.tiff_directories import Tag, read_directories
from cof_agent.images.geometry import Box, Size
from cof_agent.images.opening import load_image
from cof_agent.images.rendering.region_process import Content, RegionProcess
from cof_agent.images.store import MemoryStore
from tests.support.patience import PATIENCE
from tests.support.tiffs import tiled

pyvips = pytest.importorskip("pyvips", reason="the extra large is not installed")

LIMITS = ImageLimits(max_pixels=1_000_000, decode_seconds=PATIENCE)
SIZE = (1600, 1200)
TILES = {"tile": True, "tile_width": 128, "tile_height": 128}


def drawn() -> Image.Image:
    """A picture in which every part is told apart from the others."""
    picture = Image.merge(
        "RGB",
        (Image.linear_gradient("L").resize(SIZE), Image.radial_gradient("L").resize(SIZE), Image.new("L", SIZE, 90)),
    )
    draw = ImageDraw.Draw(picture)
    for x in range(0, SIZE[0], 200):
        for y in range(0, SIZE[1], 150):
            draw.ellipse((x + 20, y + 20, x + 20 + x // 20, y + 20 + y // 15), fill=(x // 8, 255 - y // 6, 200))
    return picture


PICTURE = drawn()
PLAIN = pyvips.Image.new_from_memory(PICTURE.tobytes(), *SIZE, 3, "uchar").copy(interpretation="srgb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("large")


@pytest.fixture(scope="module")
def pyramid(folder: Path) -> Path:
    file = folder / "pyramid.tif"
    PLAIN.tiffsave(str(file), pyramid=True, compression="jpeg", Q=95, **TILES)
    return file


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert [
        child.cmdline() for child in psutil.Process().children() if "region_worker" in " ".join(child.cmdline())
    ] == []


def far(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures of one size lie apart, in steps of 255, where they do so most."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def region_of(picture: Image.Image, box: Box, size: Size) -> Image.Image:
    return picture.crop((box.x1, box.y1, box.x2, box.y2)).resize(size, Image.Resampling.LANCZOS)


def check_views(source: SourceImage, truth: Image.Image = PICTURE, near: float = 3.0) -> None:
    assert source.ref.size == truth.size
    wide, high = truth.width // 4, truth.height // 4
    assert far(source.overview((wide, high)), truth.resize((wide, high), Image.Resampling.LANCZOS)) < near
    box = Box(wide + 3, high + 7, wide + 203, high + 157)
    assert far(source.region(box, (400, 300)), region_of(truth, box, (400, 300))) < near


def saved(name: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        PLAIN.tiffsave(str(folder / name), **options)
        return folder / name

    return save


def turned(folder: Path) -> Path:
    image = PLAIN.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.rot270().copy().tiffsave(str(folder / "turned.tif"), pyramid=True, compression="deflate", **TILES)
    return folder / "turned.tif"


def pillow(name: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        PICTURE.save(folder / name, **options)
        return folder / name

    return save


def oriented(folder: Path) -> Path:
    """Stored on its side, as a camera does."""
    exif = Image.Exif()
    exif[0x0112] = 6
    PICTURE.transpose(Image.Transpose.ROTATE_90).save(folder / "oriented.jpg", quality=95, subsampling=0, exif=exif)
    return folder / "oriented.jpg"


def deep(folder: Path) -> Path:
    PLAIN.colourspace("rgb16").tiffsave(str(folder / "deep.tif"), pyramid=True, compression="deflate", **TILES)
    return folder / "deep.tif"


def clear(folder: Path) -> Path:
    PLAIN.bandjoin(255).tiffsave(str(folder / "clear.tif"), pyramid=True, compression="deflate", **TILES)
    return folder / "clear.tif"


@pytest.mark.parametrize(
    "make",
    [
        saved("sub.tif", pyramid=True, subifd=True, bigtiff=True, compression="deflate", **TILES),
        saved("strips.tif", compression="lzw"),
        deep,
        clear,
        pillow("huge.png"),
        oriented,
    ],
    ids=["levels below a BigTIFF", "strips", "16 bits", "alpha", "PNG", "JPEG on its side"],
)
def test_a_large_picture_shows_what_a_small_one_does(make: Callable[[Path], Path], folder: Path) -> None:
    source = open_image(make(folder), limits=LIMITS)
    assert source.ref.file
    assert source.data == b""
    check_views(source)


def test_a_pyramid_is_referenced_and_found_again(pyramid: Path) -> None:
    source, store = open_image(pyramid, limits=LIMITS), MemoryStore()
    assert (source.ref.mime_type, source.ref.file, source.ref.page) == ("image/tiff", str(pyramid), None)
    check_views(source)
    again = load_image(source.ref, store, limits=LIMITS)
    assert again.region(Box(0, 0, 400, 300), (200, 150)).size == (200, 150)
    small = open_image(pyramid)
    assert (small.ref.file, small.ref.size) == (None, SIZE), "it is small enough to be kept, and no document of pages"


def test_a_file_that_was_replaced_is_an_error(pyramid: Path, tmp_path: Path) -> None:
    file = tmp_path / "pyramid.tif"
    file.write_bytes(pyramid.read_bytes())
    source = open_image(file, limits=LIMITS)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    with pytest.raises(ImageError, match="has changed since it was opened"):
        source.overview((400, 300))
    with pytest.raises(StoreError, match="has changed since it was opened"):
        load_image(source.ref, MemoryStore(), limits=LIMITS)
    file.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        source.overview((400, 300))


def test_roots_hold_for_large_files(pyramid: Path, tmp_path: Path) -> None:
    (tmp_path / "link.tif").symlink_to(pyramid)
    limits = replace(LIMITS, roots=(tmp_path,))
    with pytest.raises(ImageError, match="may not be read"):
        open_image(tmp_path / "link.tif", limits=limits)
    source = open_image(pyramid, limits=replace(LIMITS, roots=(pyramid.parent,)))
    assert source.overview((400, 300)).size == (400, 300)
    with pytest.raises(ImageError, match="may not be read"):
        load_image(source.ref, MemoryStore(), limits=limits)


def test_a_truncated_pyramid_is_an_error(pyramid: Path, tmp_path: Path) -> None:
    file, data = tmp_path / "cut.tif", pyramid.read_bytes()
    file.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ImageError, match=r"cut\.tif (is truncated|has a damaged header|is a TIFF without)"):
        open_image(file, limits=LIMITS)


def test_damaged_tiles_are_an_error_and_never_black(pyramid: Path, tmp_path: Path) -> None:
    file, data = tmp_path / "damaged.tif", bytearray(pyramid.read_bytes())
    with pyramid.open("rb") as sound:
        main = read_directories(sound)[0]
        begin, length = main.every(Tag.TILE_OFFSETS, 20)[15], main.every(Tag.TILE_COUNTS, 20)[15]
    data[begin : begin + length] = bytes(length)
    file.write_bytes(data)
    with pytest.raises(ImageError, match=r"damaged\.tif is truncated or damaged"):
        open_image(file, limits=LIMITS).region(Box(0, 0, *SIZE), (1600, 1200))


def bomb_of_tiles(folder: Path) -> Path:
    """A tile that would inflate to 50 MB."""
    (folder / "bomb.tif").write_bytes(tiled(4096, 4096, bytes(50_000_000)))
    return folder / "bomb.tif"


def test_a_tile_that_inflates_for_ever_stays_within_its_size(tmp_path: Path) -> None:
    source = open_image(bomb_of_tiles(tmp_path), limits=LIMITS)
    assert source.region(Box(0, 0, 256, 256), (256, 256)).getextrema() == ((0, 0),) * 3


def test_a_picture_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    side = 10_000
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + side)) for _ in range(side)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    file = tmp_path / "blank.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    source = open_image(file, limits=LIMITS)
    slow = RegionProcess(Content("large", "blank.png", file=str(file), seconds=0.3), source.ref.size, "blank")
    with pytest.raises(ImageError, match=r"longer than 0\.3 seconds \(decode_seconds\): save it as a tiled TIFF"):
        slow.overview((400, 400))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("interlaced.png", {}, "interlaced"), ("progressive.jpg", {"progressive": True}, "a progressive JPEG")],
)
def test_what_can_only_be_decoded_as_a_whole_says_so(
    name: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if name.endswith("png"):
        PLAIN.pngsave(str(file), interlace=True)
    else:
        PICTURE.save(file, **options)
    with pytest.raises(ImageError, match=rf"{name} is {message}, and can only .*: save it as a tiled TIFF"):
        open_image(file, limits=LIMITS)


def test_pages_are_chosen_by_number(tmp_path: Path) -> None:
    file = tmp_path / "pages.tif"
    PICTURE.save(file, save_all=True, append_images=[PICTURE.transpose(Image.Transpose.ROTATE_180)])
    with pytest.raises(ImageError, match=r"TIFF of 2 pages.*choose one.*#page=1"):
        open_image(file, limits=LIMITS)
    with pytest.raises(ImageError, match="no page 3"):
        open_image(file, limits=LIMITS, page=3)
    source = open_image(f"{file}#page=2", limits=LIMITS)
    assert source.ref.page == 2
    check_views(source, PICTURE.transpose(Image.Transpose.ROTATE_180))


def test_without_the_extra_its_name_is_said(pyramid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden(monkeypatch, "pyvips", "openslide")
    with pytest.raises(MissingExtraError, match=r'max_pixels.*pip install "cof-agent\[large\]"'):
        open_image(pyramid, limits=LIMITS)
    with pytest.raises(ImageError, match=r"pass the path of a TIFF, PNG or JPEG \(with the extra large\)"):
        open_image(pyramid.read_bytes(), limits=LIMITS)


# --- slides


@pytest.fixture(scope="module")
def slide(folder: Path) -> Path:
    """What OpenSlide takes for one of Aperio."""
    pytest.importorskip("openslide", reason="the extra slides is not installed")
    image, file = PLAIN.copy(), folder / "slide.svs"
    image.set_type(pyvips.GValue.gstr_type, "image-description", "Aperio Image Library v11|AppMag = 20|MPP = 0.5")
    image.tiffsave(str(file), pyramid=True, compression="jpeg", Q=95, **TILES)
    return file


def hidden(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these packages look as if they were not installed."""
    found = find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else found(name))


def test_a_slide_is_shown_like_a_picture(slide: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_views(open_image(slide, limits=LIMITS))  # by libvips
    check_views(open_image(shutil.copy(slide, folder / "slide.scn")))
    hidden(monkeypatch, "pyvips")
    source = open_image(slide, limits=LIMITS)
    assert (source.ref.mime_type, source.ref.file) == ("image/x-slide", str(slide))
    check_views(source)
    assert load_image(source.ref, MemoryStore(), limits=LIMITS).overview((400, 300)).size == (400, 300)


def test_what_is_no_slide_says_so(tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    (tmp_path / "text.ndpi").write_bytes(b"no slide at all")
    with pytest.raises(ImageError, match="is no slide in a format that is known"):
        open_image(tmp_path / "text.ndpi")


def test_a_slide_of_several_files_stays_in_its_directory(tmp_path: Path) -> None:
    file, parts = tmp_path / "slide.mrxs", tmp_path / "slide"
    PICTURE.resize((64, 48)).save(file, "JPEG")
    with pytest.raises(ImageError, match=r"lacks Slidedat\.ini"):
        open_image(file)
    parts.mkdir()
    (parts / "Slidedat.ini").write_text("[DATAFILE]\nFILE_0=../../secret.dat\n")
    with pytest.raises(ImageError, match="leads out of its directory"):
        open_image(file)
    (parts / "Slidedat.ini").write_text("[DATAFILE]\nFILE_0=Data0000.dat\n")
    (tmp_path.parent / "secret.dat").write_bytes(b"secret")
    (parts / "Data0000.dat").symlink_to(tmp_path.parent / "secret.dat")
    with pytest.raises(ImageError, match="may not be read"):
        open_image(file, limits=replace(LIMITS, roots=(tmp_path,)))
    with pytest.raises(ImageError, match="slide"):
        open_image(file)
