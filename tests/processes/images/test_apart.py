"""Costly images are decoded in a process of their own: honest ones come out the same, bombs end at their limits."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.codecs import formats
from cof_agent.images.codecs.decoding import Encoded
from cof_agent.images.codecs.formats import Place
from cof_agent.images.codecs.metadata import without_metadata
from cof_agent.images.geometry import Box
from cof_agent.images.opening import load_image
from cof_agent.images.rendering import apart, decode_queue
from cof_agent.images.rendering.decode_queue import DecodeQueue, Rank
from cof_agent.images.store import MemoryStore
from cof_agent.images.time_limit import ImageTimeError, images_within
from tests.support import bombs
from tests.support.patience import PATIENCE

MEGABYTE = 2**20


def picture(width: int = 320, height: int = 240) -> Image.Image:
    bands = [
        Image.linear_gradient("L").resize((width, height)),
        Image.linear_gradient("L").rotate(90).resize((width, height)),
        Image.radial_gradient("L").resize((width, height)),
    ]
    return Image.merge("RGB", bands)


def apart_place(data: bytes) -> bool:
    return Encoded(data, "it", ImageLimits()).place(1) is Place.APART


KINDS = {
    "JPEG 2000": ("JPEG2000", {}),
    "AVIF": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    "QOI": ("QOI", {}),
    "PCX": ("PCX", {}),
    "SGI": ("SGI", {}),
    "DDS": ("DDS", {}),
    "ICNS": ("ICNS", {}),
    "TIFF of JPEGs": ("TIFF", {"compression": "jpeg", "quality": 98}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_image_is_what_its_decoder_makes_of_it(kind: str) -> None:
    name, options = KINDS[kind]
    image = picture(512, 512)
    data = bombs.saved(image, name, **options)
    assert apart_place(data)
    source = open_image(data)
    full = Image.open(io.BytesIO(data))
    full.load()
    assert source.ref.size == full.size
    shown = source.overview(source.ref.size)
    assert shown.tobytes() == full.convert("RGB").tobytes()
    box = Box(10, 20, 200, 90)
    assert source.region(box, box.size).tobytes() == full.convert("RGB").crop((10, 20, 200, 90)).tobytes()
    assert max(high for _, high in ImageChops.difference(shown, image.resize(shown.size)).getextrema()) < 40


@pytest.fixture
def all_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image is small enough to be decoded here."""
    monkeypatch.setattr(formats, "HERE_BYTES", 0)


@pytest.mark.usefixtures("all_apart")
@pytest.mark.parametrize("orientation", [1, 6])
def test_what_is_too_large_to_be_kept_is_shown_by_the_process(
    orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "CACHED_BYTES", 1000)
    image = picture(640, 480)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = bombs.saved(image, "PNG", exif=exif)
    assert apart_place(data)
    source = open_image(data)
    upright = image.transpose(Image.Transpose.ROTATE_270) if orientation == 6 else image
    assert source.ref.size == upright.size
    box = Box(30, 100, 300, 260)
    assert source.region(box, box.size).tobytes() == upright.crop((30, 100, 300, 260)).tobytes()
    small = (upright.width // 2, upright.height // 2)
    wanted = upright.resize(small, Image.Resampling.LANCZOS, reducing_gap=2.0)
    assert max(high for _, high in ImageChops.difference(source.overview(small), wanted).getextrema()) < 4


def test_an_icon_of_a_palette_keeps_its_colours() -> None:
    image = picture(512, 512).quantize(64)
    source = open_image(bombs.saved(image, "ICNS"))
    wanted = image.convert("RGB").resize(source.ref.size, Image.Resampling.NEAREST)
    assert source.overview(source.ref.size).tobytes() == wanted.tobytes()


def test_any_view_of_a_large_flat_picture_is_shown() -> None:
    """Such a picture has few bytes; beside decoding it, the view that is asked for takes memory."""
    page = Image.new("RGB", (8000, 8000), "white")
    page.paste("red", (100, 100, 300, 200))
    png = open_image(bombs.saved(page, "PNG", compress_level=1))
    assert png.overview((1500, 1500)).getpixel((30, 25)) == (255, 0, 0)
    assert png.region(Box(0, 0, 7900, 7900), (2000, 2000)).getpixel((50, 40)) == (255, 0, 0)
    tiff = bombs.saved(page, "TIFF", compression="tiff_lzw")
    box = Box(0, 0, 2000, 2000)
    assert open_image(tiff).region(box, box.size).tobytes() == page.crop((0, 0, 2000, 2000)).tobytes()
    with Image.open(io.BytesIO(without_metadata(tiff))) as anew:
        assert anew.size == page.size
        assert anew.getpixel((200, 150)) == (255, 0, 0)


def test_a_view_that_takes_too_much_memory_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    page = bombs.saved(Image.new("RGB", (8000, 8000), "white"), "PNG", compress_level=1)
    store = MemoryStore()
    opened = open_image(page)
    store.put(opened.ref, opened.data)
    named = load_image(opened.ref, store, name="plan.png")
    monkeypatch.setattr(apart.Asked, "view_bytes", 0)
    with pytest.raises(ImageError, match=r"^plan\.png takes more memory to show at 5000x5000 .*smaller"):
        named.overview((5000, 5000))


def test_damaged_data_and_limits_are_told_by_the_name_of_the_source(tmp_path: Path) -> None:
    data = bombs.saved(picture(), "JPEG2000")
    (tmp_path / "cut.jp2").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"cut\.jp2 .*(again|PNG)"):
        open_image(tmp_path / "cut.jp2")
    with pytest.raises(ImageError, match=r"320x240 = 76,800 pixels, over the limit of 1,000"):
        open_image(data, limits=ImageLimits(max_pixels=1000))
    with pytest.raises(ImageError, match="too thin"):
        open_image(data, limits=ImageLimits(max_aspect=1.1))


@pytest.mark.parametrize("kind", bombs.BOMBS)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_bomb_is_refused_within_seconds_and_megabytes(kind: str, tmp_path: Path) -> None:
    """Under limits of this process and those it starts: two seconds of processor, and 400 MB above the interpreter."""
    (tmp_path / "bomb").write_bytes(bombs.BOMBS[kind]())
    script = f"""
        import resource
        from cof_agent.errors import ImageError
        from cof_agent.images import open_image
        from PIL import Image; Image.init()
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + 3,) * 2)
        try:
            open_image({str(tmp_path / "bomb")!r})
        except ImageError as error:
            assert "PNG" in str(error) or "again" in str(error) or "smaller" in str(error), error
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert children.ru_maxrss < 400 * 2**10, children.ru_maxrss
            assert children.ru_utime + children.ru_stime < 4, children
        else:
            raise SystemExit("it was opened")
    """
    run_python(script)


@pytest.mark.usefixtures("all_apart")
def test_memory_that_the_header_does_not_tell_of_is_refused_where_it_cannot_be_limited() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "can_limit_memory", lambda: False)
        with pytest.raises(ImageError, match=r"\(JPEG2000\).*cannot limit.*save it as PNG or JPEG"):
            open_image(bombs.saved(picture(), "JPEG2000"))
        assert open_image(bombs.saved(picture(100, 100), "QOI")).ref.size == (100, 100)
        assert open_image(bombs.saved(picture(101, 100), "PNG")).ref.size == (101, 100)


@pytest.mark.usefixtures("all_apart")
def test_where_no_process_can_be_started_only_known_costs_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert open_image(bombs.saved(picture(102, 100), "PNG")).overview((51, 50)).size == (51, 50)
    with pytest.raises(ImageError, match="save it as PNG or JPEG"):
        open_image(bombs.saved(picture(), "JPEG2000"))


def test_a_process_that_fails_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_BOOT", "raise SystemExit(1)")
    with pytest.raises(ImageError, match=r"failed: save it as PNG or JPEG"):
        open_image(bombs.saved(picture(), "JPEG2000"))
    monkeypatch.setattr(apart, "_BOOT", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ImageError, match="memory or processor time"):
        open_image(bombs.saved(picture(), "JPEG2000") + bytes(8 * MEGABYTE))


# --- time


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that reads everything and never answers."""
    monkeypatch.setattr(apart, "_BOOT", "import sys, threading; sys.stdin.buffer.read(); threading.Event().wait()")


@pytest.mark.usefixtures("stuck")
def test_decoding_ends_at_its_limit_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **named: started.append(real(*args, **named)) or started[-1])
    data = bombs.saved(picture(), "JPEG2000")
    with pytest.raises(
        ImageError, match=r"JPEG2000\) took longer than 0\.2 seconds \(decode_seconds\): save it as PNG or JPEG"
    ):
        open_image(data, limits=ImageLimits(decode_seconds=0.2))
    with images_within(0.2), pytest.raises(ImageTimeError, match="the run's time ended while decoding"):
        open_image(data)
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


@pytest.mark.usefixtures("stuck")
def test_costly_images_do_not_keep_the_others_waiting() -> None:
    data = bombs.saved(picture(), "JPEG2000")
    limits = ImageLimits(decode_seconds=PATIENCE)
    ends = threading.Event()

    def look() -> None:
        with images_within(PATIENCE), pytest.raises(ImageError):
            open_image(data, limits=limits)
        ends.set()

    costly = [threading.Thread(target=look, daemon=True) for _ in range(4)]
    processes: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            subprocess, "Popen", lambda *args, **named: processes.append(real(*args, **named)) or processes[-1]
        )
        for thread in costly:
            thread.start()
        assert open_image(bombs.saved(picture(200, 100), "PNG")).ref.size == (200, 100)
        assert not ends.is_set(), "the costly ones are not done"
        while any(thread.is_alive() for thread in costly):
            for process in processes:
                process.kill()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turns that are all taken."""
    queue = DecodeQueue(1)
    monkeypatch.setattr(decode_queue, "_OF_PROCESS", {os.getpid(): queue})
    with queue.turn(Rank.SHOW):
        yield


@pytest.mark.usefixtures("busy")
def test_a_wait_for_a_turn_ends_with_the_run() -> None:
    with (
        images_within(0.0),
        pytest.raises(ImageTimeError, match=r"while waiting for the turn to decode.*fewer questions"),
    ):
        open_image(bombs.saved(picture(), "PNG"))
    assert not decode_queue.decode_queue()._waiting


# --- programs


def test_it_works_from_any_program(tmp_path: Path) -> None:
    """Whose main module must not run twice, without standard input, in threads, and in a forked child."""
    (tmp_path / "photo.jp2").write_bytes(bombs.saved(picture(), "JPEG2000"))
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
            import os, sys, threading
            print("once", flush=True)
            sys.path.insert(0, {str(Path(apart.__file__).parents[3])!r})
            os.close(0)
            from cof_agent.images import open_image

            def look():
                assert open_image({str(tmp_path / "photo.jp2")!r}).overview((32, 24)).size == (32, 24)

            threads = [threading.Thread(target=look) for _ in range(3)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            if hasattr(os, "fork"):
                child = os.fork()
                if child == 0:
                    look()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            print("done")
        """)
    )
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=tmp_path
    )
    assert (result.stdout.split(), result.stderr, result.returncode) == (["once", "done"], "", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_the_process_with_the_wait(tmp_path: Path) -> None:
    (tmp_path / "photo.jp2").write_bytes(bombs.saved(picture(), "JPEG2000"))
    script = f"""
        import os, signal, subprocess, threading
        from cof_agent.images import open_image
        from cof_agent.images.rendering import apart
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background commands ignore it
        apart._BOOT = "import sys, threading; sys.stdin.buffer.read(); print(1); threading.Event().wait()"
        started = []
        real = subprocess.Popen
        def begin(*args, **named):
            started.append(real(*args, **named))
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            return started[-1]
        subprocess.Popen = begin
        try:
            open_image({str(tmp_path / "photo.jp2")!r})
        except KeyboardInterrupt:
            pass
        assert [process.returncode for process in started] == [-signal.SIGKILL], started
    """
    run_python(script)


def run_python(script: str, *options: str) -> None:
    result = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(Path(apart.__file__).parents[3])},
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
