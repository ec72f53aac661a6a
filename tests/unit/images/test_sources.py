"""What an image is besides a photo: a page that its name chooses, a page of a TIFF, an object that shows regions."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from cof_agent import ChainOfFocus, MemoryStore
from cof_agent.errors import ImageError, StoreError
from cof_agent.images import ImageLimits, ImageRef, RegionSource, open_image
from cof_agent.images import region_source as registry
from cof_agent.images.codecs.tiff_pages import page_of, tiff_pages
from cof_agent.images.display_name import show_source
from cof_agent.images.geometry import Box, Size
from cof_agent.images.opening import load_image
from cof_agent.images.receiving.page_name import split_page
from cof_agent.images.region_source import Word
from cof_agent.images.rendering.large_file import LargeFile
from cof_agent.images.time_limit import ImageTimeError, images_within
from cof_agent.images.views import keep_original
from tests.support.conversations import answer, photo, scripted, zoom

COLOURS = ("red", "lime", "blue")


def tiff(*colours: str, subfile_types: tuple[int, ...] = (), big: bool = False) -> bytes:
    """A page of each colour, each 8 pixels wider than the one before."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) if not big else io.BytesIO() as file:
        for number, colour in enumerate(colours):
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            if number < len(subfile_types):
                tags[254] = subfile_types[number]
            page = Image.new("RGB", (16 + 8 * number, 16), colour)
            page.save(file, "TIFF", tiffinfo=tags, big_tiff=big)
            if not big:
                file.newFrame()
        return buffer.getvalue() if not big else file.getvalue()


# --- names


@pytest.mark.parametrize(
    ("source", "page", "wanted"),
    [
        ("plan.pdf#page=3", None, ("plan.pdf", 3)),
        ("plan.pdf", 2, ("plan.pdf", 2)),
        ("plan.pdf", None, ("plan.pdf", None)),
        ("plan.pdf#page=3", 3, ("plan.pdf", 3)),
        (Path("a/plan.pdf#page=12"), None, (Path("a/plan.pdf"), 12)),
        ("https://host/plan.pdf?key=1#page=3", None, ("https://host/plan.pdf?key=1", 3)),
        ("https://host/plan.pdf#page=3&zoom=200", None, ("https://host/plan.pdf", 3)),
        ("https://host/plan.pdf#zoom=200&page=3", None, ("https://host/plan.pdf", 3)),
        ("file:///a/plan.pdf#page=4", None, ("file:///a/plan.pdf", 4)),
        ("data:application/pdf;base64,AAAA#page=2", None, ("data:application/pdf;base64,AAAA", 2)),
        ("https://host/plan.pdf#chapter", None, ("https://host/plan.pdf#chapter", None)),
        ("notes#page=x.png", None, ("notes#page=x.png", None)),
        ("notes#a/b&page=2", None, ("notes#a/b&page=2", None)),
        ("plan.pdf#page=2&zoom=100", None, ("plan.pdf", 2)),
        ("plan.pdf#zoom=100&page=2", None, ("plan.pdf", 2)),
        ("plan.pdf#PAGE=2", None, ("plan.pdf", 2)),
        ("https://host/plan.pdf#Page=2", None, ("https://host/plan.pdf", 2)),
        ("plan.pdf#page=2 ", None, ("plan.pdf", 2)),
        (b"bytes#page=3", None, (b"bytes#page=3", None)),
    ],
)
def test_a_name_may_choose_a_page(source: Any, page: int | None, wanted: tuple[Any, int | None]) -> None:
    assert split_page(source, page, ImageLimits()) == wanted


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("plan.pdf#page=0", None),
        ("plan.pdf#page=", None),
        ("plan.pdf#page=-1", None),
        ("https://host/plan.pdf#page=three", None),
        ("https://host/plan.pdf#page=" + "9" * 50, None),
        ("plan.pdf#page=2", 3),
        ("plan.pdf", 0),
        ("plan.pdf", True),
        ("plan.pdf", "3"),
    ],
)
def test_a_page_that_is_none_is_said(source: str, page: Any) -> None:
    with pytest.raises(ImageError, match="page"):
        split_page(source, page, ImageLimits())


def test_a_page_is_no_secret() -> None:
    assert show_source("plan.pdf#page=3") == "plan.pdf#page=3"
    assert show_source("plan.pdf#key=3&page=3") == "plan.pdf#…"


def test_a_file_of_exactly_that_name_wins(tmp_path: Path) -> None:
    photo(30, 20).save(tmp_path / "photo.png#page=2", "PNG")
    assert open_image(tmp_path / "photo.png#page=2").ref.size == (30, 20)
    with pytest.raises(ImageError, match="does not exist"):
        open_image(f"{tmp_path / 'other.png'}#page=1")
    photo(40, 20).save(tmp_path / "photo.png", "PNG")
    assert open_image(tmp_path / "photo.png#page=2").ref.size == (30, 20)
    with pytest.raises(ImageError, match=r"photo\.png has no page 'two'"):
        open_image(tmp_path / "photo.png#page=two")


@pytest.mark.parametrize("name", ["a#page=2.png", "a#page=2", "a#b.png", "a?b.png"])
def test_a_file_url_says_how_a_name_is_written(name: str, tmp_path: Path) -> None:
    photo(30, 20).save(tmp_path / name, "PNG")
    url = f"file://{tmp_path}/{name}"
    with pytest.raises(ImageError, match="does: write # as %23"):
        open_image(url)
    with pytest.raises(ImageError, match=r"may not be read|has no page") as raised:
        open_image(url, limits=ImageLimits(roots=(tmp_path / "other",)))
    assert "%23" not in str(raised.value), "what lies outside of the roots is not told"
    assert open_image(url.replace("#", "%23").replace("?", "%3F")).ref.size == (30, 20)


def test_what_has_no_pages_has_a_first_one(tmp_path: Path) -> None:
    photo(30, 20).save(tmp_path / "photo.png")
    opened = open_image(f"{tmp_path / 'photo.png'}#page=1")
    assert (opened.ref.page, opened.ref) == (None, open_image(tmp_path / "photo.png").ref)
    for source in (tmp_path / "photo.png", photo(30, 20)):
        with pytest.raises(ImageError, match="has one page, so there is no page 2"):
            open_image(source, page=2)


# --- TIFF


def test_a_page_of_a_tiff_is_chosen(tmp_path: Path) -> None:
    data = tiff(*COLOURS)
    (tmp_path / "scan.tif").write_bytes(data)
    store = MemoryStore()
    for number, colour in enumerate(COLOURS, 1):
        source = open_image(f"{tmp_path / 'scan.tif'}#page={number}")
        assert (source.ref.size, source.ref.page, source.pages) == ((8 + 8 * number, 16), number, 3)
        loaded = load_image(ImageRef.from_json(keep_original(source, store)), store)
        for shown in (source.overview((8, 8)), loaded.region(Box(0, 0, 8, 8), (8, 8))):
            assert shown.getcolors() == [(64, Image.new("RGB", (1, 1), colour).getpixel((0, 0)))]


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("beyond", [-9, 1, 4])
def test_a_tiff_that_is_cut_between_pages_is_no_shorter_one(kept: int, beyond: int, tmp_path: Path) -> None:
    data = tiff(*COLOURS)
    cut = data[: tiff_pages(data)[kept] + beyond]
    (tmp_path / "scan.tif").write_bytes(cut)
    for page in (None, 1, 3):
        with pytest.raises(ImageError, match=f"scan.tif is truncated at {len(cut):,} bytes: copy, download"):
            open_image(tmp_path / "scan.tif", page=page)
        with pytest.raises(ImageError, match=f"scan.tif is truncated at {len(cut):,} bytes: copy, download"):
            LargeFile(str(tmp_path / "scan.tif"), "scan.tif", page)


@pytest.mark.parametrize(("page", "why"), [(None, "is a TIFF of 3 pages: choose one"), (4, "so there is no page 4")])
def test_a_tiff_of_several_pages_says_how_one_is_chosen(page: int | None, why: str) -> None:
    with pytest.raises(ImageError, match=f"{why}.*#page=1"):
        open_image(tiff(*COLOURS), page=page)


def test_thumbnails_and_masks_are_no_pages() -> None:
    assert len(tiff_pages(tiff(*COLOURS, subfile_types=(0, 1, 4)))) == 1
    assert open_image(tiff(*COLOURS, subfile_types=(0, 1, 4))).ref.page is None
    behind = open_image(tiff("red", "blue", subfile_types=(1, 0)))
    assert behind.overview((4, 4)).getpixel((0, 0)) == (0, 0, 255), "the page, and not its thumbnail before it"


def test_damaged_chains_end() -> None:
    data = bytearray(tiff(*COLOURS))
    first, second, _ = tiff_pages(bytes(data))
    place = data.find(second.to_bytes(4, "little"), first)
    for following, pages in ((first, 1), (2**32 - 2, 1), (0, 1)):
        data[place : place + 4] = following.to_bytes(4, "little")
        assert len(tiff_pages(bytes(data))) == pages
    assert tiff_pages(b"II*\0\x08") == []
    assert page_of(b"no tiff", 3) == b"no tiff"
    assert len(tiff_pages(tiff("red", big=True))) == 1


# --- objects


class Checkers:
    """Squares of 100 pixels, red and blue by turns, drawn as they are asked for."""

    size: Size = (1_000_000, 800_000)

    def __init__(self, identity: str = "checkers") -> None:
        self.identity = identity

    def overview(self, size: Size) -> Image.Image:
        return Image.new("RGB", size, "purple")

    def region(self, box: Box, size: Size) -> Image.Image:
        return Image.new("RGB", size, "red" if (box.x1 // 100 + box.y1 // 100) % 2 else "blue")


def test_an_object_that_shows_regions_is_asked_about() -> None:
    source = Checkers()
    assert isinstance(source, RegionSource)
    result = ChainOfFocus(scripted(zoom(0, 0, 50, 50), answer("purple"))).ask(source, "Which colour?")
    assert result.answer == "purple"
    assert result.view_image(0).getpixel((5, 5)) in ((128, 0, 128), (129, 0, 127))
    assert result.view_image(1).getpixel((5, 5)) in ((255, 0, 0), (0, 0, 255), (254, 0, 0), (0, 0, 254))
    assert result.trajectory.image.ref.size == Checkers.size
    assert load_image(result.trajectory.image.ref, MemoryStore()).renderer is source


def test_in_another_process_an_object_has_to_be_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ref = open_image(Checkers("other")).ref
    monkeypatch.setattr(registry, "_given", {})
    with pytest.raises(StoreError, match=r"object.*this process has not got it.*open it again"):
        load_image(ref, MemoryStore())


def test_an_object_that_gives_something_else_is_named() -> None:
    class Broken(Checkers):
        def overview(self, size: Size) -> Image.Image:
            return Image.new("RGB", (3, 3))

    opened = open_image(Broken("broken"))
    with pytest.raises(ImageError, match=r"Broken of 1000000x800000 pixels was asked for 40x30 pixels and gave.*3x3"):
        opened.overview((40, 30))
    nameless = Checkers("")
    with pytest.raises(ImageError, match="needs a text that names its content"):
        open_image(nameless)


class Faulty(Checkers):
    """One that answers each call with `call`."""

    size = (1000, 800)

    def __init__(self, call: Callable[[Any], Any]) -> None:
        super().__init__("faulty")
        self.call = call

    def overview(self, size: Size) -> Image.Image:
        return self.call(size)  # type: ignore[no-any-return]

    def region(self, box: Box, size: Size) -> Image.Image:
        return self.call(size)  # type: ignore[no-any-return]

    def words(self, box: Box) -> list[Word]:
        return self.call(box)  # type: ignore[no-any-return]


def _fail(_: Any) -> None:
    raise LookupError("the tile server is away")


FAULTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "fails": (_fail, r"failed \(LookupError: the tile server is away\): mend the source"),
    "exits": (lambda _: sys.exit(3), r"failed \(SystemExit: 3\)"),
    "gives another size": (lambda _: Image.new("RGB", (3, 3)), "mend the source"),
    "gives nothing": (lambda _: None, "mend the source"),
    "gives words without boxes": (lambda _: [("a", (1, 2, 3, 4))], "mend the source"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_object_with_a_fault_is_named(fault: str) -> None:
    call, why = FAULTS[fault]
    source, box = open_image(Faulty(call)), Box(0, 0, 10, 10)
    asked = (lambda: source.overview((50, 40)), lambda: source.region(box, (9, 9)), lambda: source.words(box))
    for ask in asked:
        with pytest.raises(ImageError, match=f"Faulty of 1000x800 pixels .*{why}"):
            ask()


def test_an_object_that_hangs_is_left_alone() -> None:
    never = threading.Event()
    source = open_image(Faulty(lambda _: never.wait()))
    try:
        with images_within(0.02), pytest.raises(ImageTimeError, match="time ended while rendering Faulty of 1000x800"):
            source.overview((50, 40))
    finally:
        never.set()


# --- references


def test_a_reference_says_page_and_file_only_where_they_are_set(tmp_path: Path) -> None:
    old = {"schema": 1, "sha256": "0" * 64, "mime_type": "image/png", "width": 4, "height": 3}
    assert ImageRef.from_json(old).to_json() == old
    ref = ImageRef("0" * 64, "application/pdf", 4, 3, page=2, file=str(tmp_path / "plan.pdf"))
    assert ImageRef.from_json(ref.to_json()) == ref
    assert ref.url == f"cof-image://sha256/{'0' * 64}#page=2"
    for wrong in ({"page": 0}, {"page": "2"}, {"page": True}, {"file": "plan.pdf"}, {"file": 3}):
        with pytest.raises(ImageError, match="image reference"):
            ImageRef.from_json(old | wrong)


def test_what_was_opened_is_opened_already() -> None:
    source = open_image(photo(30, 20))
    assert open_image(source) is source
