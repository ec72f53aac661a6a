"""Pages of PDFs: where everything stands on them, what they say, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cof_agent import ChainOfFocus, DirectoryStore, MemoryStore
from cof_agent.cli.app import app
from cof_agent.errors import ImageError, MissingExtraError, StoreError
from cof_agent.images import ImageLimits, ImageRef, open_image
from cof_agent.images.codecs.metadata import stripped
from cof_agent.images.geometry import Box
from cof_agent.images.opening import load_image
from cof_agent.images.rendering.region_process import Content
from cof_agent.images.views import keep_original
from tests.support import pdfs
from tests.support.commands import script
from tests.support.conversations import answer, scripted, zoom
from tests.support.patience import PATIENCE

pytest.importorskip("pypdfium2")


def dark_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Where an image has ink."""
    found = image.convert("L").point(lambda level: 255 * (level < 128)).getbbox()
    assert found is not None
    return found


def test_small_print_of_a_large_drawing_is_sharp_and_where_its_words_are(tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(pdfs.drawing())
    source = open_image(str(tmp_path / "plan.pdf"))
    assert (source.ref.size, source.ref.page, source.pages) == ((10_800, 14_400), 1, 1)
    (place,) = [box for word, box in source.words(Box.whole(source.ref.size)) if word == "4711-K"]
    around = Box(place.x1 - 3, place.y1 - 3, place.x2 + 3, place.y2 + 3)
    shown = source.region(around, (around.width * 10, around.height * 10))
    x1, y1, x2, y2 = dark_box(shown)
    for found, wanted in zip((x1, y1, x2, y2), (30, 30, shown.width - 30, shown.height - 30), strict=True):
        assert abs(found - wanted) <= 15, "an original pixel and a half"
    greys = sum(shown.convert("L").histogram()[64:192])
    assert greys < 0.05 * shown.width * shown.height, "an edge is a pixel wide, however large the letters are"
    assert source.words(Box(0, 0, 100, 100)) == []


TURNED = b"/MediaBox[-100 -50 512 742]/CropBox[0 0 300 400]"
"""The lower left corner of the page at 0, 0; a red square lies there, and a blue one at the upper right."""

CORNERS = b"1 0 0 rg 0 0 30 30 re f 0 0 1 rg 270 370 30 30 re f " + pdfs.text("Here", 20, 100, 200)

RED_AT = {0: (0, 1), 90: (0, 0), 180: (1, 0), 270: (1, 1)}
"""In which corner the red square is after a turn clockwise: across and down."""


@pytest.fixture(scope="module")
def turned() -> bytes:
    return pdfs.pdf(*((TURNED + b"/Rotate %d" % angle, CORNERS) for angle in RED_AT))


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_page_is_cut_and_turned_as_it_says(page: int, turned: bytes) -> None:
    angle = [*RED_AT][page - 1]
    source = open_image(turned, page=page)
    assert source.ref.size == ((1250, 1667) if angle % 180 == 0 else (1667, 1250))
    width, height = source.ref.size
    across, down = RED_AT[angle]
    view = source.region(Box.whole(source.ref.size), (width // 5, height // 5))
    red, blue = (
        (x * (view.width - 12) + 5, y * (view.height - 12) + 5) for x, y in ((across, down), (1 - across, 1 - down))
    )
    assert view.getpixel(red) == (255, 0, 0)
    assert view.getpixel(blue) == (0, 0, 255)
    ((word, box),) = source.words(Box.whole(source.ref.size))
    inside = Box(box.x1 - 4, box.y1 - 4, box.x2 + 4, box.y2 + 4)
    assert word == "Here"
    x1, y1, x2, y2 = dark_box(source.region(inside, inside.size))
    assert (
        max(abs(a - b) for a, b in zip((x1, y1, x2, y2), (4, 4, inside.width - 4, inside.height - 4), strict=True)) <= 2
    )


def test_a_box_that_leaves_nothing_of_the_page_is_none() -> None:
    pages = [
        pdfs.LETTER + box
        for box in (b"/CropBox[1000 1000 1200 1200]", b"/CropBox[612 0 700 792]", b"/CropBox[0 0 0 0]")
    ]
    document = pdfs.pdf(*((page, b"0 0 612 792 re f") for page in pages))
    for page in range(1, 4):
        source = open_image(document, page=page)
        assert source.ref.size == (2550, 3300)
        assert source.overview((51, 66)).convert("L").getextrema() == (0, 0)


def test_a_page_without_content_is_blank() -> None:
    without = pdfs.pdf((pdfs.LETTER, b"")).replace(b"/Contents 5 0 R", b"")
    for page in (without, pdfs.pdf((pdfs.LETTER, b""))):
        assert open_image(page).overview((9, 9)).convert("L").getextrema() == (255, 255)


def test_what_was_filled_in_is_shown() -> None:
    source = open_image(pdfs.form())
    whole = dark_box(source.region(Box.whole(source.ref.size), source.ref.size))
    part = Box(30, 200, 530, 400)
    cut = dark_box(source.region(part, (1000, 400)))
    for side, (one, other) in enumerate(zip(whole, cut, strict=True)):
        assert abs((one - part.as_list()[side % 2]) * 2 - other) <= 3


def test_pages_of_one_file_are_images_of_their_own_and_share_their_bytes(turned: bytes, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    first, second = open_image(turned), open_image(turned, page=2)
    assert first.ref.sha256 == second.ref.sha256
    assert first.ref.url != second.ref.url
    kept = [ImageRef.from_json(keep_original(source, store)) for source in (first, second)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".pdf"]
    for ref, source in zip(kept, (first, second), strict=True):
        assert load_image(ref, store).overview((90, 90)).tobytes() == source.overview((90, 90)).tobytes()


def test_a_page_has_as_many_pixels_as_the_limit_allows() -> None:
    page = pdfs.pdf((pdfs.LETTER, b""))
    assert open_image(page).ref.size == (2550, 3300)
    assert open_image(page, limits=ImageLimits(max_pixels=2_000_000)).ref.size == (850, 1100)
    assert open_image(page, limits=ImageLimits(max_pixels=500_000)).ref.size == (612, 792)
    with pytest.raises(ImageError, match=r"8x11 inches.*raise max_pixels"):
        open_image(page, limits=ImageLimits(max_pixels=10_000))


def test_the_evidence_is_the_answers_place_in_the_pages_own_text() -> None:
    page = pdfs.pdf((pdfs.LETTER, pdfs.text("Serial number: 4711-K, made in Kiel", 10, 72, 700)))
    result = ChainOfFocus(scripted(zoom(0, 0, 400, 300), answer("4711 k"))).ask(page, "What is the serial number?")
    (evidence,) = result.evidence
    assert (evidence.source, evidence.view) == ("page_text", 1)
    source = open_image(page)
    places = dict(source.words(Box.whole(source.ref.size)))
    assert evidence.box == tuple(places["4711-K,"].as_list())
    elsewhere = ChainOfFocus(scripted(zoom(400, 600, 800, 900), answer("4711-K"))).ask(
        page, "What is the serial number?"
    )
    assert elsewhere.evidence[0].source == "last_view"


BAD = {
    "an encrypted one": (
        pdfs.document(
            b"<</Type/Pages/Kids[]/Count 0>>",
            b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (b"11" * 32, b"22" * 32),
        ).replace(b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 3 0 R/ID[<00><00>]"),
        "encrypted PDF: save a copy without its password",
    ),
    "one of a protection that is not known": (
        pdfs.document(b"<</Type/Pages/Kids[]/Count 0>>", b"<</Filter/Other/V 9>>").replace(
            b"/Root 1 0 R", b"/Root 1 0 R/Encrypt 3 0 R/ID[<00><00>]"
        ),
        "save a copy without|damaged PDF",
    ),
    "one without pages": (pdfs.document(b"<</Type/Pages/Kids[]/Count 0>>"), "without pages"),
    "a header alone": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "damaged PDF.*save it again"),
    "a page that is none": (pdfs.document(b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"(text)"), "damaged|without pages"),
    "a page whose content is missing": (
        pdfs.pdf((pdfs.LETTER, b"")).replace(b"/Contents 5 0 R", b"/Contents 9 0 R"),
        r"page 1 of .* is damaged \(its content is not in the file\)",
    ),
    "a page of a mile": (
        pdfs.pdf((b"/MediaBox[0 0 9000000 9000000]", b"")),
        r"inches, over the limit of 178,000,000 pixels",
    ),
    "a page as thin as a thread": (pdfs.pdf((b"/MediaBox[0 0 9000 1]", b"")), "too thin"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_looked_at_says_why(kind: str) -> None:
    data, why = BAD[kind]
    with pytest.raises(ImageError, match=why):
        open_image(data)


def test_a_page_that_is_not_there_says_how_many_there_are(turned: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(turned)
    with pytest.raises(ImageError, match=r"plan\.pdf has 4 pages, so there is no page 5: choose one from 1 to 4"):
        open_image(f"{tmp_path / 'plan.pdf'}#page=5")


def test_what_fails_in_the_process_is_named(turned: bytes) -> None:
    with pytest.raises(ImageError, match=r"should render plan\.pdf failed \(ZeroDivisionError: .*\): "):
        Content("pdf", "plan.pdf", turned).show((0, 0), None, (5, 5))


def _nested_forms(depth: int) -> bytes:
    forms = tuple(
        pdfs.stream(
            b"/N Do /N Do /N Do /N Do",
            b"/Type/XObject/Subtype/Form/BBox[0 0 600 700]/Resources<</XObject<</N %d 0 R>>>>" % (7 + number),
        )
        for number in range(depth)
    )
    last = pdfs.stream(b"0 0 600 700 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 600 700]")
    return pdfs.pdf((pdfs.LETTER, b"/N Do"), more=(*forms, last), resources=b"/XObject<</N 6 0 R>>")


def _large_image() -> bytes:
    """A picture of 3.6 gigapixels, all of one colour, in a few kilobytes."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(60_000)) for _ in range(3 * 600)) + packer.flush()
    attributes = b"/Type/XObject/Subtype/Image/Width 60000/Height 60000/ColorSpace/DeviceRGB/BitsPerComponent 8"
    picture = pdfs.stream(rows, attributes + b"/Filter/FlateDecode")
    return pdfs.pdf((pdfs.LETTER, b"600 0 0 700 0 0 cm /I Do"), more=(picture,), resources=b"/XObject<</I 6 0 R>>")


BOMBS = {
    "forms that draw forms, four each, twenty deep": lambda: _nested_forms(20),
    "a picture of gigapixels": _large_image,
    "a stream of a gigabyte": lambda: pdfs.document(
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>",
        pdfs.stream(b"q 1 0 0 rg Q\n" * 40_000_000, packed=True),
    ),
    "arrays in arrays": lambda: pdfs.pdf((pdfs.LETTER, b"[" * 1_000_000 + b"]" * 1_000_000 + b" TJ")),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_bomb_is_shown_or_refused_within_its_limits(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bomb.pdf").write_bytes(BOMBS[kind]())
    script = f"""
        import resource
        from cof_agent import ImageError, ImageLimits, open_image
        try:
            open_image({str(tmp_path / "bomb.pdf")!r}, limits=ImageLimits(decode_seconds=3)).overview((400, 500))
        except ImageError as error:
            assert "save the page as a PNG" in str(error), error
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert used.ru_utime + used.ru_stime < 8, used
        assert used.ru_maxrss < 700 * 2**10, used
    """
    # In a process of its own: what Linux says of a child's memory includes that of the process which started it.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=PATIENCE, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes, as Linux counts them")
def test_a_large_drawing_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(pdfs.drawing())
    script = f"""
        import resource
        from cof_agent.images import open_image
        from cof_agent.images.geometry import Box
        source = open_image({str(tmp_path / "plan.pdf")!r})
        source.overview((840, 1120))
        source.region(Box(0, 0, 5400, 7200), (840, 1120))
        assert source.words(Box.whole(source.ref.size))
        (own,) = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")]
        print(own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=PATIENCE, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert int(done.stdout) < 300 * 2**10, "this process and the largest of its own together"


def test_what_is_missing_is_an_extra_and_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r'is a PDF: pip install "cof-agent\[pdf\]"') as caught:
        open_image(pdfs.drawing())
    assert isinstance(caught.value, MissingExtraError)


def test_a_page_without_metadata_is_that_page_alone(turned: bytes) -> None:
    told = turned.replace(b"/Root 1 0 R", b"/Root 1 0 R/Info<</Author(Ann Lee)>>")
    source = open_image(told, page=2)
    alone = stripped(source)
    assert b"Ann Lee" not in alone.data
    assert (alone.ref.page, alone.pages, alone.ref.size) == (1, 1, source.ref.size)
    assert alone.overview((300, 200)).tobytes() == source.overview((300, 200)).tobytes()


def test_a_file_larger_than_the_limit_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, store, limits = tmp_path / "plan.pdf", MemoryStore(), ImageLimits(max_bytes=500)
    path.write_bytes(pdfs.drawing())
    monkeypatch.chdir(tmp_path)
    source = open_image("plan.pdf", limits=limits)
    ref = ImageRef.from_json(keep_original(source, store))
    assert (ref.file, ref.page, ref in store) == (str(path), 1, False)
    assert load_image(ref, store, limits=limits).overview((84, 112)).tobytes() == source.overview((84, 112)).tobytes()
    with pytest.raises(ImageError, match="may not be read"):
        load_image(ref, store, limits=ImageLimits(roots=(tmp_path / "other",)))
    path.write_bytes(pdfs.drawing() + b"\n")
    with pytest.raises(StoreError, match="has changed since it was opened"):
        load_image(ref, store, limits=limits)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read any more"):
        load_image(ref, store, limits=limits)


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


def test_the_command_names_the_page(turned: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(turned)
    policy = ("--policy", script(tmp_path, answer("Here")))
    first = command("ask", tmp_path / "plan.pdf", "What?", *policy)
    assert first.exit_code == 0
    assert "page 1 of 4; --page N" in first.stderr
    third = command("ask", tmp_path / "plan.pdf", "What?", "--page", "3", "--json", *policy)
    assert json.loads(third.stdout)["image"]["page"] == 3
    assert "--page N" not in third.stderr
    assert command("ask", f"{tmp_path / 'plan.pdf'}#page=3", "What?", "--page", "2", *policy).exit_code == 2
