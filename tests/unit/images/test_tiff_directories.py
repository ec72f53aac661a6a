"""The directories of TIFFs: which are pages, which levels of a pyramid, and what damaged ones come to."""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.codecs.stated_size import stated_size
from cof_agent.images.codecs.tiff_directories import pages_of, read_directories
from cof_agent.images.geometry import Size
from cof_agent.images.rendering.large_file import LargeFile
from tests.support.patience import PATIENCE
from tests.support.tiffs import SIDE, tiff, tiled

Tags = Mapping[int, int | bytes | Sequence[int]]


def picture(width: int, height: int, *, tile: int | None = SIDE, **more: int | bytes) -> Tags:
    pieces = {322: tile, 323: tile} if tile else {273: 8, 278: height, 279: 1}
    extra = {{"kind": 254, "says": 270, "planes": 277, "below": 330}[name]: value for name, value in more.items()}
    return {256: width, 257: height, 258: 8, **pieces, **extra}  # type: ignore[dict-item]


def pages(*directories: Tags, loop: int | None = None) -> list[list[Size]]:
    found = pages_of(read_directories(io.BytesIO(tiff(directories, loop=loop))))
    return [[level.size for level in page.levels] for page in found]


def test_smaller_versions_are_no_pages() -> None:
    marked = [picture(1000, 800), picture(500, 400, kind=1), picture(250, 200, kind=1), picture(64, 64, kind=1)]
    assert pages(*marked) == [[(1000, 800), (500, 400), (250, 200)]]
    unmarked = [picture(1001, 803), picture(500, 401), picture(125, 100)]
    assert pages(*unmarked) == [[(1001, 803), (500, 401), (125, 100)]]
    aperio = [
        picture(1000, 800, says=b"Aperio Image"),
        picture(300, 240, tile=None),
        picture(250, 200),
        picture(90, 80),
    ]
    assert pages(*aperio) == [[(1000, 800), (250, 200)]]


@pytest.mark.parametrize(
    "second",
    [
        picture(500, 300),
        picture(1000, 800),
        picture(900, 720),
        picture(500, 400, tile=None),
        picture(500, 400, tile=128),
        picture(500, 400, planes=3),
    ],
    ids=["another shape", "as large", "little smaller", "in strips", "other tiles", "in colour"],
)
def test_a_page_like_another_is_a_page(second: Tags) -> None:
    assert pages(picture(1000, 800), second) == [[(1000, 800)], [(second[256], second[257])]]


def test_directories_in_circles_end() -> None:
    assert len(pages(picture(100, 80), picture(100, 80), loop=0)) == 2
    assert pages(picture(100, 80), loop=0) == [[(100, 80)]]
    assert pages(picture(100, 80, below=8)) == [[(100, 80)]]  # it begins there itself


@pytest.mark.parametrize("big", [False, True])
def test_a_table_that_is_not_there_claims_nothing(big: bool) -> None:
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**63) if big else struct.pack("<2sHI", b"II", 42, 2**31)
    assert read_directories(io.BytesIO(head)) == []
    count = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2**64 - 1) if big else b"II*\0\x08\0\0\0\xff\xff"
    assert [each.entries for each in read_directories(io.BytesIO(count + b"\0" * 8))] == [{}]


def test_a_pyramid_is_opened_as_one_picture(tmp_path: Path) -> None:
    whole = Image.linear_gradient("L").resize((256, 192))
    file = tmp_path / "pyramid.tif"
    whole.save(file, save_all=True, append_images=[whole.resize((128, 96))], tiffinfo={254: 0})
    with pytest.raises(ImageError, match="2 pages"):  # in strips, they are pages
        open_image(file)
    data = tiled(256, 192, bytes(SIDE * SIDE))
    assert open_image(data).ref.size == (256, 192)


@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_a_terapixel_is_refused_by_its_header(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"bomb.{kind}"
    claims = {
        "tif": tiff([picture(1_000_000, 1_000_000)]),
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1_000_000, 1_000_000) + b"\x08\0\0\0\0",
        "jpg": b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65535, 65535) + b"\3",
    }
    file.write_bytes(claims[kind])
    limits = ImageLimits(max_large_pixels=4_000_000_000)
    with pytest.raises(ImageError, match=r"over the limit of 4,000,000,000: cut it, or raise max_large_pixels"):
        open_image(file, limits=limits)
    with pytest.raises(ImageError, match=r"over the limit of 178,000,000|damaged header|no area"):
        open_image(file.read_bytes())


def test_the_size_of_a_jpeg_is_found_behind_its_notes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200)).save(buffer, "JPEG")
    data = buffer.getvalue()
    notes = b"".join(b"\xff\xe1" + struct.pack(">H", 65535) + b"x" * 65533 for _ in range(20))
    assert stated_size(io.BytesIO(data[:2] + notes + b"\xff\xff" + data[2:])) == (300, 200)
    assert stated_size(io.BytesIO(data[:2] + notes)) is None
    assert stated_size(io.BytesIO(data[:2] + b"\xff\xe1\0\0" * 50)) is None


@contextmanager
def large(data: bytes, tmp_path: Path) -> Iterator[LargeFile]:
    file = tmp_path / "large.tif"
    file.write_bytes(data)
    with closing(LargeFile(str(file), "large.tif", None)) as opened:
        yield opened


def test_a_sound_file_passes_its_check(tmp_path: Path) -> None:
    with large(tiled(300, 200, bytes(SIDE * SIDE)), tmp_path) as opened:
        opened.check()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tiled(300, 200, bytes(SIDE * SIDE))[:-9], "is truncated at"),
        (tiff([{**picture(300, 200), 324: [2**31] * 20, 325: [9] * 20}]), "is truncated at"),
        (tiff([{**picture(300, 200), 324: [8] * 2, 325: [9] * 2}]), "damaged header"),
        (tiff([{**picture(300, 200), 322: 0, 324: 8, 325: 9}]), "damaged header"),
        (tiff([{**picture(100_000, 100_000, tile=1), 324: 8, 325: 9}]), "damaged header"),
        (tiff([{**picture(100_000, 100_000, tile=60_000), 324: [8] * 4, 325: [9] * 4}]), "too much memory"),
        (tiff([picture(300, 200), picture(300, 200)]), "2 pages, and no page was chosen: choose one"),
        (b"II*\0\0\0\0\0", "without a picture"),
        (b"GIF89a", "no TIFF, PNG or JPEG any more"),
    ],
)
def test_what_cannot_be_shown_says_so_before_it_is_decoded(data: bytes, message: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ImageError, match=message), large(data, tmp_path) as opened:
        opened.check()
    assert time.monotonic() - started < PATIENCE


def test_a_file_that_is_another_one_now_is_not_read(tmp_path: Path) -> None:
    with large(tiled(300, 200, bytes(SIDE * SIDE)), tmp_path) as opened:
        (tmp_path / "other.tif").write_bytes(tiled(300, 200, b"\xff" * SIDE * SIDE))
        (tmp_path / "other.tif").replace(tmp_path / "large.tif")
        with pytest.raises(ImageError, match="was replaced while it was read"), opened.descriptor():
            pass
    with pytest.raises(ImageError, match="has changed since it was opened"):
        LargeFile(str(tmp_path / "large.tif"), "large.tif", None, identity="0" * 64)
