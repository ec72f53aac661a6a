"""Opening, showing and refusing images. Sources over HTTP are in test_fetch."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import pickle
import sys
import threading
import warnings
import zlib
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

from cof_agent.errors import ConfigError, ImageError
from cof_agent.images import ImageLimits, ImageRef, SourceImage, ViewEncoding, encode_view, load_image, open_image
from cof_agent.images.codecs import decoding as pixels
from cof_agent.images.geometry import Box, smart_resize
from cof_agent.images.rendering.decode_queue import IN_HAND, PIXEL_BYTES, DecodeQueue, Rank
from cof_agent.images.store import DirectoryStore, MemoryStore
from cof_agent.images.time_limit import ImageTimeError, images_within
from cof_agent.images.views import keep_original
from tests.support.examples import examples
from tests.support.patience import PATIENCE, wait_until

ORIENTATION = 0x0112
BUDGET = 1280 * 28 * 28


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth, and different in every corner."""
    image = Image.merge(
        "RGB",
        [
            Image.linear_gradient("L").resize((width, height)),
            Image.linear_gradient("L").rotate(90).resize((width, height)),
            Image.radial_gradient("L").resize((width, height)),
        ],
    )
    ImageDraw.Draw(image).rectangle((0, 0, width // 4, height // 4), fill="red")
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown(source: SourceImage) -> Image.Image:
    return source.overview(source.ref.size)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two images of one size, 0 to 255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


# --- sources


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "a photo ü%41.png"
    picture().save(path)
    return path


def test_every_local_kind_of_source_gives_the_same_image(png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = png.read_bytes()
    monkeypatch.chdir(png.parent)
    encoded = base64.b64encode(data).decode()
    urlsafe = base64.urlsafe_b64encode(data).decode().rstrip("=")
    sources = [
        png,
        str(png),
        png.name,
        png.as_uri(),
        png.as_uri().replace("file:///", "FILE://localhost/"),
        data,
        bytearray(data),
        memoryview(data),
        f"data:image/png;base64,{encoded}",
        f"DATA:;base64,{encoded[:40]}\n {encoded[40:]}",
        f"data:image/png;base64,{urlsafe}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in data),
    ]
    opened = [open_image(source) for source in sources]
    assert {image.ref for image in opened} == {opened[0].ref}
    assert opened[0].ref.mime_type == "image/png"
    assert opened[0].ref.size == (96, 64)
    assert all(image.data == data for image in opened)
    assert same(shown(opened[0]), picture())


def test_pil_source() -> None:
    image = picture()
    source = open_image(image)
    assert source.ref.mime_type == "image/png"
    assert same(shown(source), image)
    assert same(Image.open(io.BytesIO(source.data)), image), "what is stored is a PNG of the pixels"
    assert source.source == "PIL image (RGB, 96x64)"
    assert open_image(picture()).ref == source.ref
    assert open_image(picture().convert("L")).ref != source.ref, "the mode is hashed"
    palette = Image.new("P", (4, 4))
    palette.putpalette([0, 0, 0])
    other = palette.copy()
    other.putpalette([9, 9, 9])
    assert open_image(palette).ref != open_image(other).ref, "the palette is hashed"
    assert open_image(Image.new("L", (4, 8))).ref != open_image(Image.new("L", (8, 4))).ref, "the size is hashed"


def test_pil_source_is_not_changed(png: Path) -> None:
    image = picture()
    image.info["comment"] = "mine"
    before = image.tobytes()
    open_image(image)
    assert image.tobytes() == before
    assert image.info["comment"] == "mine"


def test_pil_source_is_turned_upright() -> None:
    stored = Image.open(io.BytesIO(with_orientation(picture(), 6, "PNG")))
    assert open_image(stored).ref.size == (64, 96)
    assert open_image(ImageOps.exif_transpose(stored)).ref == open_image(stored).ref


def test_values_survive_pickle_and_do_not_print_their_data(png: Path) -> None:
    source = open_image(png)
    assert pickle.loads(pickle.dumps(source)) == source
    assert len(repr(source)) < 500
    assert ImageRef.from_json(source.ref.to_json()) == source.ref
    assert source.ref.url == f"cof-image://sha256/{source.ref.sha256}"


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"schema": 2, "sha256": "0" * 64, "mime_type": "image/png", "width": 1, "height": 1},
        {"schema": 1, "sha256": "../../etc/passwd", "mime_type": "image/png", "width": 1, "height": 1},
        {"schema": 1, "sha256": "0" * 64, "mime_type": "png", "width": 1, "height": 1},
        {"schema": 1, "sha256": "0" * 64, "mime_type": "image/png", "width": 0, "height": 1},
        {"schema": 1, "sha256": "0" * 64, "mime_type": "image/png", "width": True, "height": 1},
    ],
)
def test_a_reference_that_is_none_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ImageError):
        ImageRef.from_json(value)


# --- modes


def half_clear(mode: str) -> Image.Image:
    """Left half opaque black, right half transparent."""
    image = Image.new("RGBA", (64, 32), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (32, 0, 64, 32))
    return image.convert(mode)


def palette_with_transparency() -> bytes:
    image = Image.new("P", (64, 32), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (32, 0, 64, 32))
    return saved(image, "PNG", transparency=1)


def grey(mode: str, black: float, white: float) -> Image.Image:
    """Left half black, right half white, in the values of `mode`."""
    image = Image.new(mode, (64, 32), black)
    image.paste(white, (32, 0, 64, 32))
    return image


BLACK_AND_WHITE = {
    "1": Image.new("1", (64, 32), 0),
    "L": grey("L", 0, 255),
    "LA": half_clear("LA"),
    "La": half_clear("LA").convert("La"),
    "P": grey("L", 0, 255).convert("P"),
    "PA": half_clear("PA"),
    "RGB": grey("L", 0, 255).convert("RGB"),
    "RGBA": half_clear("RGBA"),
    "RGBa": half_clear("RGBA").convert("RGBa"),
    "RGBX": grey("L", 0, 255).convert("RGBX"),
    "CMYK": grey("L", 0, 255).convert("CMYK"),
    "YCbCr": grey("L", 0, 255).convert("YCbCr"),
    "HSV": grey("L", 0, 255).convert("RGB").convert("HSV"),
    "LAB": Image.new("LAB", (64, 32), (0, 128, 128)),
    "I;16": grey("I;16", 0, 65535),
    "I;16L": grey("I;16L", 0, 65535),
    "I;16B": grey("I;16B", 0, 65535),
    "I 16 bit": grey("I", 0, 65535),
    "I 8 bit": grey("I", 0, 255),
    "I wide": grey("I", -100_000, 100_000),
    "F unit": grey("F", 0.0, 1.0),
    "F bytes": grey("F", 0.0, 255.0),
    "F wide": grey("F", -3.5, 1e6),
}
BLACK_AND_WHITE["1"].paste(1, (32, 0, 64, 32))
BLACK_AND_WHITE["LAB"].paste((255, 128, 128), (32, 0, 64, 32))


@pytest.mark.parametrize("mode", BLACK_AND_WHITE)
def test_every_mode_becomes_rgb_over_white(mode: str) -> None:
    image = shown(open_image(BLACK_AND_WHITE[mode]))
    assert image.mode == "RGB"
    assert all(value <= 1 for value in image.getpixel((8, 16)))
    assert all(value >= 254 for value in image.getpixel((56, 16)))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("palette", palette_with_transparency()),
        ("RGB with a clear colour", saved(grey("L", 0, 90).convert("RGB"), "PNG", transparency=(90, 90, 90))),
        ("L with a clear value", saved(grey("L", 0, 90), "PNG", transparency=90)),
        ("GIF", saved(half_clear("RGBA"), "GIF")),
        ("WebP", saved(half_clear("RGBA"), "WEBP", lossless=True)),
        ("CMYK JPEG", saved(BLACK_AND_WHITE["CMYK"], "JPEG", quality=95)),
        ("16-bit PNG", saved(BLACK_AND_WHITE["I;16"], "PNG")),
        ("16-bit TIFF", saved(BLACK_AND_WHITE["I;16"], "TIFF")),
        ("float TIFF", saved(BLACK_AND_WHITE["F unit"], "TIFF")),
        ("LAB TIFF", saved(BLACK_AND_WHITE["LAB"], "TIFF")),
        ("1-bit BMP", saved(BLACK_AND_WHITE["1"], "BMP")),
    ],
)
def test_files_of_unusual_modes(kind: str, data: bytes) -> None:
    image = shown(open_image(data))
    assert all(value <= 8 for value in image.getpixel((8, 16)))
    assert all(value >= 247 for value in image.getpixel((56, 16)))


def test_half_transparency_is_blended_and_16_bits_are_scaled() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert shown(open_image(clear)).getpixel((4, 4)) == (127, 127, 127)
    ramp = Image.new("I;16", (256, 4))
    for x in range(256):
        ramp.paste(x * 257, (x, 0, x + 1, 4))
    levels = list(shown(open_image(saved(ramp, "PNG"))).getchannel("R").crop((0, 0, 256, 1)).tobytes())
    assert levels == list(range(256))


def test_values_that_are_no_numbers_are_black() -> None:
    view = open_image(Image.new("F", (2, 2), float("nan"))).overview((2, 2))
    assert view.tobytes() == bytes(12)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = shown(open_image(data)).getpixel((8, 8))
        assert red > 240, kind
        assert blue < 20, kind


# --- upright


def with_orientation(image: Image.Image, orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return saved(image, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_overview_and_region(orientation: int, kind: str) -> None:
    data = with_orientation(picture(800, 600), orientation, kind)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    source = open_image(data)
    assert source.ref.size == upright.size
    for size in (upright.size, (upright.width // 5, upright.height // 5)):
        assert difference(source.overview(size), upright.resize(size, Image.Resampling.LANCZOS)) < 2
    box = Box(10, 20, 210, 90)
    assert same(source.region(box, box.size), upright.crop((10, 20, 210, 90)))
    larger = source.region(box, (400, 140))
    assert difference(larger, upright.crop((10, 20, 210, 90)).resize((400, 140), Image.Resampling.LANCZOS)) < 0.5


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\xff\xff", b"Exif\0\0" + b"\xff" * 40])
def test_damaged_exif_is_no_obstacle(exif: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, about the block
        assert open_image(saved(picture(), "JPEG", exif=exif)).ref.size == (96, 64)


def test_orientation_that_is_none() -> None:
    assert open_image(with_orientation(picture(), 9, "JPEG")).ref.size == (96, 64)


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 12), st.tuples(*[st.integers(0, 11)] * 4))
def test_an_upright_box_and_its_stored_box_hold_the_same_pixels(
    orientation: int, width: int, height: int, ends: tuple[int, int, int, int]
) -> None:
    stored = Image.frombytes("L", (width, height), bytes(range(width * height)))
    upright = pixels.to_upright(stored, orientation)
    xs, ys = sorted(x % upright.width for x in ends[:2]), sorted(y % upright.height for y in ends[2:])
    box = Box(xs[0], ys[0], xs[1] + 1, ys[1] + 1)
    cut = stored.crop(tuple(pixels.stored_box(box, upright.size, orientation).as_list()))
    assert same(pixels.to_upright(cut, orientation), upright.crop(tuple(box.as_list())))


# --- views


def test_region_is_cut_from_the_original_and_does_not_bleed() -> None:
    image = Image.new("RGB", (400, 300), "black")
    image.paste("white", (100, 100, 110, 110))
    region = open_image(saved(image, "PNG")).region(Box(100, 100, 110, 110), (200, 200))
    assert region.getextrema() == ((255, 255),) * 3


def test_region_outside_of_the_image() -> None:
    with pytest.raises(ImageError, match=r"\[0, 0, 97, 10\].*96x64"):
        open_image(picture()).region(Box(0, 0, 97, 10), (97, 10))


@pytest.mark.parametrize("size", [(3840, 2160), (2999, 2001), (4001, 1777)])
def test_reduced_jpeg_overview_is_that_of_the_full_image(size: tuple[int, int]) -> None:
    data = saved(picture(*size), "JPEG", quality=92)
    source = open_image(data)
    wanted = smart_resize(*size, max_pixels=BUDGET)
    full = Image.open(io.BytesIO(data)).resize(wanted, Image.Resampling.LANCZOS)
    assert difference(source.overview(wanted), full) < 1


@pytest.mark.parametrize(
    ("full", "wanted", "scale"),
    [((3840, 2160), (1316, 756), 2), ((800, 600), (800, 600), 1), ((8000, 6000), (800, 600), 8), ((5, 5), (1, 1), 2)],
)
def test_scale_of_a_jpeg(full: tuple[int, int], wanted: tuple[int, int], scale: int) -> None:
    assert pixels.jpeg_scale(full, wanted) == scale


def test_encode_view() -> None:
    small, ref = encode_view(picture(256, 256))
    assert ref.mime_type == "image/png"
    assert same(Image.open(io.BytesIO(small)), picture(256, 256))
    lossless, ref = encode_view(picture(512, 512), ViewEncoding(png_pixels=512 * 512))
    assert ref.mime_type == "image/png"
    assert same(Image.open(io.BytesIO(lossless)), picture(512, 512))
    rough, _ = encode_view(picture(513, 512), ViewEncoding(jpeg_quality=30))
    assert len(rough) < len(encode_view(picture(513, 512))[0]) / 2
    large, ref = encode_view(picture(513, 512))
    decoded = Image.open(io.BytesIO(large))
    assert (ref.mime_type, ref.size, decoded.format) == ("image/jpeg", (513, 512), "JPEG")
    assert {component[1:3] for component in decoded.layer} == {(1, 1)}, "full chroma"
    assert difference(decoded, picture(513, 512)) < 1
    assert encode_view(picture(513, 512)) == (large, ref), "the same pixels give the same bytes"


@pytest.mark.parametrize("wrong", [{"jpeg_quality": 0}, {"jpeg_quality": 101}, {"png_pixels": -1}])
def test_an_encoding_that_is_none(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        ViewEncoding(**wrong)


def test_a_view_carries_nothing_of_the_files_metadata() -> None:
    data = saved(picture(900, 700), "JPEG", comment=b"home address", icc_profile=b"x" * 3000)
    view, _ = encode_view(open_image(data).overview((700, 560)))
    assert b"home address" not in view
    assert "icc_profile" not in Image.open(io.BytesIO(view)).info


def test_load_image() -> None:
    store = MemoryStore()
    for source in (open_image(saved(picture(), "JPEG")), open_image(picture())):
        store.put(source.ref, source.data)
        loaded = load_image(source.ref, store)
        assert loaded.ref == source.ref
        assert same(shown(loaded), shown(source))


def test_load_image_refuses_other_content() -> None:
    store, source = MemoryStore(), open_image(saved(picture(), "JPEG"))
    with pytest.raises(ImageError, match=source.ref.sha256):
        load_image(source.ref, store)
    store.put(source.ref, saved(picture(10, 10), "JPEG"))
    with pytest.raises(ImageError, match="other content"):
        load_image(source.ref, store)
    from_pil = open_image(picture())
    store.put(from_pil.ref, saved(picture(10, 10), "PNG"))
    # Pixels of the real image may still be in memory: only the size can tell.
    with pytest.raises(ImageError, match="10x10"):
        load_image(from_pil.ref, store).overview((96, 64))


def test_an_original_is_hashed_once_as_long_as_it_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, hashed = saved(picture(), "JPEG"), []
    real = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda given=b"": hashed.append(bytes(given)) or real(given))
    source = open_image(data)
    assert hashed.count(data) == 1
    memory, files = MemoryStore(), DirectoryStore(tmp_path)
    for store in (memory, files):
        reference = ImageRef.from_json(keep_original(source, store))
        for _ in range(3):
            assert same(shown(load_image(reference, store)), shown(source))
        assert hashed.count(data) == (1 if store is memory else 4), "a file may have changed"


# --- refusals


def test_limits_are_configurable_and_checked(png: Path) -> None:
    data = png.read_bytes()
    assert open_image(png, limits=ImageLimits(max_bytes=len(data), max_pixels=96 * 64, max_aspect=1.5))
    for limits in (
        ImageLimits(max_bytes=len(data) - 1, max_large_pixels=96 * 64 - 1),
        ImageLimits(max_pixels=96 * 64 - 1, max_large_pixels=96 * 64 - 1),
        ImageLimits(max_aspect=1.4),
    ):
        for source in (png, data, png.as_uri(), "data:;base64," + base64.b64encode(data).decode(), picture()):
            if isinstance(source, Image.Image) and limits.max_bytes < len(data):
                continue  # its bytes are made here
            with pytest.raises(ImageError, match=r"limit|thin|larger"):
                open_image(source, limits=limits)
    with pytest.raises(ImageError, match=r"bytes is larger than 10 bytes: save it smaller, or raise max_bytes"):
        open_image(data, limits=ImageLimits(max_bytes=10))
    with pytest.raises(ConfigError, match="max_bytes"):
        ImageLimits(max_bytes=0)
    with pytest.raises(ConfigError, match="http_seconds"):
        ImageLimits(http_seconds=math.nan)


def test_files_only_below_roots(png: Path, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside, tmp_path / "inside too"):
        folder.mkdir()
        (folder / "photo.png").write_bytes(png.read_bytes())
    (inside / "leads out.png").symlink_to(outside / "photo.png")
    (inside / "folder").symlink_to(outside)
    (outside / "leads in.png").symlink_to(inside / "photo.png")
    limits = ImageLimits(roots=(inside,))
    for allowed in (inside / "photo.png", (inside / "photo.png").as_uri(), outside / "leads in.png"):
        assert open_image(allowed, limits=limits).data == png.read_bytes()
    for path in (
        outside / "photo.png",
        (outside / "photo.png").as_uri(),
        outside / "missing.png",
        inside / ".." / "outside" / "photo.png",
        inside / "leads out.png",
        inside / "folder" / "photo.png",
        tmp_path / "inside too" / "photo.png",
        "photo.png",
    ):
        with pytest.raises(ImageError, match=rf"may not be read: pass a file below {inside}, or allow its directory"):
            open_image(path, limits=limits)
    with pytest.raises(ImageError, match=r"missing\.png does not exist"):
        open_image(inside / "missing.png", limits=limits)
    with pytest.raises(ImageError, match="may not be read: pass a URL"):
        open_image(png, limits=ImageLimits(roots=()))
    assert open_image(png.read_bytes(), limits=ImageLimits(roots=()))
    with pytest.raises(ConfigError, match="tuple of directories"):
        ImageLimits(roots="/photos")  # type: ignore[arg-type]


def test_aspect_of_two_hundred() -> None:
    assert open_image(Image.new("L", (800, 4))).ref.size == (800, 4)
    with pytest.raises(ImageError, match=r"801x4.*200 times"):
        open_image(Image.new("L", (801, 4)))


def test_a_huge_image_is_refused_by_its_header_alone() -> None:
    header = saved(Image.new("1", (1, 1)), "PNG")
    huge = header[:16] + (60_000).to_bytes(4, "big") * 2 + header[24:]
    huge = huge[:29] + zlib.crc32(huge[12:29]).to_bytes(4, "big") + huge[33:]
    with pytest.raises(ImageError, match=r"60000x60000.*max_pixels"):
        open_image(huge)


def test_above_pillows_limit_an_image_opens_where_the_limits_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    source = open_image(saved(picture(), "PNG"))
    for box in (Box(0, 0, 96, 64), Box(1, 2, 90, 60)):
        assert same(source.region(box, box.size), picture().transform(box.size, Image.Transform.EXTENT, box.as_list()))


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated(kind: str, tmp_path: Path) -> None:
    options = {"progressive": True} if kind.startswith("prog") else {}
    data = saved(picture(700, 500), kind.split()[-1], **options)
    for part in (0.02, 0.3, 0.7, 0.97):
        path = tmp_path / "cut.img"
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(ImageError, match=r"cut\.img.*(again|save it)"):
            open_image(path)


def test_truncated_large_jpeg_is_found_at_reduced_scale() -> None:
    data = saved(picture(4000, 3000), "JPEG", quality=90)
    with pytest.raises(ImageError, match="truncated"):
        open_image(data[: len(data) * 9 // 10])


def test_truncated_pil_image() -> None:
    data = saved(picture(700, 500), "JPEG")
    with pytest.raises(ImageError, match=r"PIL image \(RGB, 700x500\).*truncated"):
        open_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_closed_pil_image() -> None:
    image = picture()
    image.close()
    with pytest.raises(ImageError, match="PIL image"):
        open_image(image)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "empty"),
        (b"", "empty"),
        ("no/such/photo.jpg", r"no/such/photo\.jpg does not exist: check the path"),
        ("file:///no/such/photo.jpg", r"/no/such/photo\.jpg does not exist"),
        ("file://elsewhere/photo.jpg", "another host"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("ftp://user:secret@host/photo.jpg", r"ftp://host/photo\.jpg has a scheme other than"),
        ("hdfs://host/photo.jpg", "download it"),
        ("cof-image://sha256/00", "load_image"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,@@@@", "not valid base64"),
        ("data:image/png;base64,", "empty"),
        ("data:text/plain,hello", r"data URL \(text/plain, 21 characters\) is not an image"),
        (b"hello", r"image of 5 bytes is not an image.*PNG"),
        (b"\xef\xbb\xbf \n<svg></svg>", "web page or an SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a format"),
        (b"\x89PNG\r\n\x1a\n", "image of 8 bytes"),
        (12, "int is no image source"),
        (None, "NoneType is no image source"),
        (["a"], "list is no image source"),
    ],
)
def test_bad_sources(source: object, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        open_image(source)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 600
    assert "secret" not in str(caught.value)


def test_empty_file_directory_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.jpg").write_text("notes")
    for name, message in (
        ("empty.jpg", r"empty\.jpg is empty"),
        ("notes.jpg", r"notes\.jpg is not an image"),
        ("", "a directory"),
    ):
        with pytest.raises(ImageError, match=message):
            open_image(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_and_device_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero", "/dev/null"):
        with pytest.raises(ImageError, match="device or pipe"):
            open_image(path)


def test_names_are_printable_and_data_is_not_dumped(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(str(tmp_path / "a\x1b[31m\nb.jpg"))
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    payload = base64.b64encode(b"not an image, and long" * 1000).decode()
    with pytest.raises(ImageError) as caught:
        open_image(f"data:image/png;base64,{payload}")
    assert payload[:30] not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


SAMPLES = [
    saved(picture(), "JPEG"),
    saved(picture(), "PNG"),
    saved(picture(), "GIF"),
    saved(picture(), "WEBP"),
    saved(picture(), "TIFF", compression="tiff_lzw"),
    saved(picture(), "BMP"),
    saved(picture(), "PPM"),
    saved(picture(), "ICO"),
    saved(picture(), "TGA"),
]


@examples(300)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=4), st.floats(0, 1)
)
def test_damaged_data_is_an_image_error_or_an_image(data: bytes, edits: list[tuple[float, bytes]], cut: float) -> None:
    damaged = bytearray(data)
    for place, replacement in edits:
        start = int(place * len(damaged))
        damaged[start : start + len(replacement)] = replacement
    if cut > 0.5:
        del damaged[int(cut * len(damaged)) :]
    limits = ImageLimits(max_pixels=1_000_000)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # Pillow's own, about the data
        patch.setattr(sys, "frozen", True, raising=False)  # data that became a rare format would start a process
        try:
            source = open_image(bytes(damaged), limits=limits)
        except ImageError:
            return
        assert shown(source).size == source.ref.size


# --- many at once


def test_six_zooms_decode_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = pixels.Encoded.decode

    def counted(self: pixels.Encoded, scale: int) -> pixels.Decoded:
        if self.size == (4000, 3000):  # and no other image, which a thread of another test may still look at
            decoded.append(scale)
        return decode(self, scale)

    monkeypatch.setattr(pixels.Encoded, "decode", counted)
    source = open_image(saved(picture(4000, 3000), "JPEG", comment=os.urandom(8)))
    source.overview(smart_resize(4000, 3000, max_pixels=BUDGET))
    for step in range(6):
        source.region(Box(100 * step, 50, 100 * step + 640, 480), (1280, 860))
    assert decoded == [2, 1]


@pytest.mark.slow
def test_threads_get_what_one_thread_gets() -> None:
    sources = [saved(picture(900 + 10 * n, 700), "JPEG") for n in range(4)]

    def views(data: bytes) -> list[bytes]:
        source = open_image(data)
        return [source.overview((420, 336)).tobytes(), source.region(Box(5, 6, 405, 206), (800, 400)).tobytes()]

    expected = [views(data) for data in sources]
    got: dict[int, list[bytes]] = {}
    threads = [threading.Thread(target=lambda n=n: got.__setitem__(n, views(sources[n % 4]))) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[n] for n in range(32)] == [expected[n % 4] for n in range(32)]


def test_turns_are_bounded_and_ranked() -> None:
    turns = DecodeQueue(2)
    lock, running, most, order = threading.Lock(), 0, 0, []
    begin = threading.Event()

    def work(rank: Rank) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(rank)
        begin.wait(PATIENCE)
        with lock:
            running -= 1

    def start(rank: Rank, need: int) -> threading.Thread:
        thread = threading.Thread(target=turns.run, args=(rank, need, lambda: work(rank)))
        thread.start()
        return thread

    threads = [start(Rank.READ, 0), start(Rank.READ, 0)]
    wait_until(lambda: len(order) == 2)
    threads += [start(rank, need) for need in (0, PIXEL_BYTES + 1) for rank in (Rank.READ, Rank.OPEN, Rank.SHOW)]
    wait_until(lambda: len(turns._waiting) == 6)
    begin.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 2
    assert order[:2] == [Rank.READ] * 2
    assert order[2:4] == [Rank.SHOW] * 2
    assert order.count(Rank.READ) == 4
    assert not turns._waiting
    assert turns._in_use == turns._running == 0


def test_whoever_waits_for_something_else_gives_a_place_to_the_others() -> None:
    turns = DecodeQueue(1)

    def fill() -> list[tuple[Context, AbstractContextManager[None]]]:
        """Take every place, each as a run of its own."""
        held = [(copy_context(), turns.in_hand()) for _ in range(IN_HAND)]
        for who, place in held:
            who.run(place.__enter__)
        with images_within(0.0), pytest.raises(ImageTimeError), turns.in_hand():
            pass
        return held

    for givers in ((), (3,), (0, 5, 7), range(IN_HAND)):
        held = fill()
        for number in givers:
            for _ in range(2):
                held[number][0].run(turns.give_place_up)
        if givers:
            with images_within(0.0), turns.in_hand():
                turns.give_place_up()
        for who, place in held:
            who.run(place.__exit__, None, None, None)


def test_a_failure_gives_the_turn_back() -> None:
    turns = DecodeQueue(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            turns.run(Rank.OPEN, 10**12, lambda: 1 // 0)
    assert turns.run(Rank.OPEN, 0, lambda: 7) == 7


def square(side: int) -> pixels.Decoded:
    """A decoded image of `side`² bytes."""
    return pixels.Decoded(Image.new("L", (side, side)), (side, side), 1, 1, "image/png")


def test_the_cache_is_bounded_by_bytes() -> None:
    turns, decoded = DecodeQueue(1, cached_bytes=1000), []

    def shown(name: str, side: int = 20) -> pixels.Decoded:
        def decode() -> pixels.Decoded:
            decoded.append(name)
            return square(side)

        return turns.show(Rank.SHOW, side * side, (name, 1), decode, lambda image: image)

    first = shown("0")
    for name in "0102":
        assert name != "0" or shown("0") is first, "used all the time"
        shown(name)
    assert decoded == ["0", "1", "2"]
    shown("2")
    shown("1")
    assert decoded == ["0", "1", "2", "1"]
    for _ in range(2):
        shown("large", 40)
    assert decoded[4:] == ["large"] * 2


def test_what_is_kept_makes_room_but_for_what_is_in_use() -> None:
    turns = DecodeQueue(3, cached_bytes=1000, pixel_bytes=1000)
    for name in ("used", "idle"):
        turns.remember((name, 1), square(20))
    with turns.turn(Rank.SHOW, 400, ("used", 1)) as used:
        assert used is not None
        assert turns._in_use == 0, "what is kept needs no more"
        with turns.turn(Rank.SHOW, 600, ("new", 1)) as new:
            assert new is None
            assert (turns._in_use, turns._held) == (600, 400), "the idle one has gone, though it was used later"
            later = threading.Thread(target=turns.run, args=(Rank.SHOW, 1, lambda: None))
            later.start()
            while not turns._waiting:
                pass
        later.join(5)
        assert not later.is_alive()
    with turns.turn(Rank.SHOW, 5000):
        assert turns._held == 0, "alone"
    assert turns._in_use == turns._running == 0
