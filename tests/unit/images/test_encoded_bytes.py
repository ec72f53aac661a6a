"""Files that every viewer shows, though something beside their pixels is wrong; and what decoding them costs."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, PngImagePlugin

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.codecs.decoding import Encoded
from cof_agent.images.codecs.exif import is_sound
from cof_agent.images.codecs.formats import HERE_BYTES, Place
from tests.support.examples import examples

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@cache
def picture(width: int = 160, height: int = 120) -> Image.Image:
    image = Image.merge(
        "RGB",
        [
            Image.linear_gradient("L").resize((width, height)),
            Image.linear_gradient("L").rotate(90).resize((width, height)),
            Image.frombytes("L", (width, height), Random(7).randbytes(width * height)).point(
                lambda value: 90 + value // 4
            ),
        ],
    )
    ImageDraw.Draw(image).rectangle((0, 0, width // 4, height // 4), fill="red")
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> bytes:
    opened = open_image(data)
    assert opened.data == data, "what is kept is what was received"
    return opened.overview(opened.ref.size).tobytes()


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    sound = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sound)


PNG = saved(picture(), "PNG")
FIRST = PNG.index(b"IDAT") - 4


def with_chunk(added: bytes, data: bytes = PNG, at: int = FIRST) -> bytes:
    return data[:at] + added + data[at:]


# --- PNG

TEXT = zlib.compress(b"prompt, settings, " * 200_000)

METADATA = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + TEXT),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + TEXT),
    "iTXt unpacked": chunk(b"iTXt", b"Comment\0\0\0\0\0" + b"x" * 2_000_000),
    "tEXt": chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
    "iCCP that is damaged": chunk(b"iCCP", b"profile\0\0" + b"x" * 40),
    "many texts": b"".join(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))) for _ in range(80)),
    "XMP that unpacks to much": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + TEXT),
    "a text with a bad checksum": chunk(b"tEXt", b"Comment\0hello", 0),
    "gamma with a bad checksum": chunk(b"gAMA", b"\0\0\xb1\x8f", 1),
    "resolution with a bad checksum": chunk(b"pHYs", bytes(9), 2),
    "EXIF with a bad checksum": chunk(b"eXIf", b"MM\0*" + bytes(20), 3),
    "a private chunk": chunk(b"prVt", bytes(100), 4),
    "an animation that is damaged": chunk(b"acTL", b"\0\0") + chunk(b"fcTL", b"\0"),
    "a text longer than it says": chunk(b"tEXt", b"Comment\0hello").replace(b"\0\0\0\rtEXt", b"\0\0\0\1tEXt"),
    "a text shorter than it says": chunk(b"tEXt", b"Comment\0hello").replace(b"\0\0\0\rtEXt", b"\0\xff\0\rtEXt"),
}


@pytest.mark.parametrize("kind", METADATA)
@pytest.mark.parametrize("place", ["before", "after"])
def test_metadata_of_a_png_is_no_obstacle(kind: str, place: str) -> None:
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    data = with_chunk(METADATA[kind], at=FIRST if place == "before" else len(PNG) - 12)
    assert pixels(data) == picture().tobytes()
    assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_what_the_pixels_need_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = with_chunk(METADATA["zTXt"], saved(picture(), "PNG", exif=exif))
    assert open_image(turned).ref.size == (120, 160)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    named = with_chunk(METADATA["zTXt"] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    assert open_image(named).ref.size == (120, 160)
    clear = Image.new("P", (8, 8), 0)
    clear.putpalette([255, 0, 0, 0, 0, 255])
    clear.paste(1, (0, 0, 4, 8))
    data = saved(clear, "PNG", transparency=0)
    data = with_chunk(METADATA["iCCP"], data, data.index(b"PLTE") - 4)
    view = open_image(data).overview((8, 8))
    assert (view.getpixel((1, 1)), view.getpixel((6, 6))) == ((0, 0, 255), (255, 255, 255))


def test_pixels_with_a_bad_checksum_are_damaged() -> None:
    at = PNG.index(b"IDAT") + 400
    damaged = bytearray(PNG)
    damaged[at] ^= 255
    with pytest.raises(ImageError, match="again"):
        open_image(bytes(damaged))


@pytest.mark.parametrize("rows", [1, 60, 119, 120])
def test_a_png_whose_stream_ends_early_is_truncated(rows: int) -> None:
    black = b"".join([b"\0" + bytes(3 * 160)] * rows)
    data = PNG[:FIRST] + chunk(b"IDAT", zlib.compress(black)) + chunk(b"IEND", b"")
    if rows == 120:
        assert pixels(data) == bytes(3 * 160 * 120)
        return
    with pytest.raises(ImageError, match=r"truncated.*again"):
        open_image(data)


def test_a_png_in_too_many_pieces_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 200,000 chunks"):
        open_image(with_chunk(chunk(b"tEXt", b"") * 200_001))


# --- JPEG

JPEGS = {
    "baseline": saved(picture(), "JPEG", quality=90),
    "progressive": saved(picture(), "JPEG", quality=90, progressive=True),
    "grey": saved(picture().convert("L"), "JPEG"),
    "CMYK": saved(picture().convert("CMYK"), "JPEG"),
    "restarts": saved(picture(), "JPEG", restart_marker_blocks=3),
    "4:4:4": saved(picture(), "JPEG", subsampling=0),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize(
    "before",
    [
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n",
        b"junk" * 99,
    ],
)
def test_a_jpeg_with_bytes_before_it(kind: str, before: bytes) -> None:
    assert pixels(before + JPEGS[kind]) == pixels(JPEGS[kind])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_others_with_bytes_before_them(kind: str) -> None:
    data = saved(picture(), kind)
    for before in (b"\n", b"\xef\xbb\xbf", b"\r\n\r\n"):
        assert pixels(before + data) == pixels(data)


@pytest.mark.parametrize(
    "begins", [b"PK\x03\x04", b"ID3\x04", b"<html>", b"\0\0\0\x20ftypisom", b"{}" * 2000, b"x" * 2000]
)
def test_an_image_inside_of_something_else_is_not_that_image(begins: bytes) -> None:
    with pytest.raises(ImageError):
        open_image(begins + b" " * 20 + JPEGS["baseline"])


def test_a_tiff_whose_strips_are_jpegs_is_a_tiff() -> None:
    data = saved(picture(), "TIFF", compression="jpeg")
    assert b"\xff\xd8\xff" in data[:1024]
    assert Encoded(data, "it", ImageLimits()).size == (160, 120)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("ending", [b"", b"\xff", b"\r\n"])
def test_a_jpeg_without_its_end_marker(kind: str, ending: bytes) -> None:
    whole = JPEGS[kind]
    assert whole.endswith(b"\xff\xd9")
    assert pixels(whole[:-2] + ending) == pixels(whole)


@examples(60)
@given(st.sampled_from(sorted(JPEGS)), st.floats(0, 1))
def test_a_jpeg_that_is_cut_is_an_error(kind: str, part: float) -> None:
    """Anywhere before its last bytes, which may hold nothing but the padding of the last bits."""
    data = JPEGS[kind]
    with pytest.raises(ImageError, match=r"again|no pixels"):
        open_image(data[: int(part * (len(data) - 12))])


def test_a_jpeg_that_is_cut_and_filled_up_is_an_error() -> None:
    data = JPEGS["baseline"]
    for filling in (b"\0", b"\xff", b" "):
        with pytest.raises(ImageError, match="again"):
            open_image(data[: len(data) // 2] + filling * (len(data) // 2))


def test_a_progressive_jpeg_that_is_cut_between_two_scans_is_an_error() -> None:
    data = JPEGS["progressive"]
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="truncated"):
        open_image(data[:last])
    with pytest.raises(ImageError, match="truncated"):
        open_image(data[:last] + b"\xff\xd9")


def test_a_jpeg_without_end_marker_is_the_same_at_any_scale() -> None:
    data = saved(picture(2400, 1600), "JPEG", quality=80)
    whole, cut = open_image(data), open_image(data[:-2])
    assert ImageChops.difference(whole.overview((300, 200)), cut.overview((300, 200))).convert("L").getextrema()[1] < 12


def segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def tags(count: int, size: int) -> bytes:
    """An EXIF block whose tags all name the same bytes."""
    entries = b"".join(struct.pack(">HHII", 0x9C9B + n, 1, size, 8) for n in range(count))
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + bytes(4)


STRAY = {
    "bytes between segments": b"\0\0stray\0",
    "a thousand comments": segment(0xFE, b"x" * 300) * 1000,
    "a broken index of pictures": segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 60),
    "a colour profile in pieces that are missing": segment(0xE2, b"ICC_PROFILE\0\x07\xff" + bytes(300)),
    "EXIF that is damaged": segment(0xE1, b"Exif\0\0" + b"\xff" * 60),
    "EXIF whose tags overlap": segment(0xE1, tags(5000, 60_000)[:65_000]),
    "a block of Photoshop that is damaged": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed" + b"\xff" * 30),
    "fill bytes": b"\xff" * 50,
}


@pytest.mark.parametrize("kind", STRAY)
@pytest.mark.parametrize("jpeg", ["baseline", "progressive", "CMYK"])
def test_what_stands_between_the_segments_of_a_jpeg_is_no_obstacle(kind: str, jpeg: str) -> None:
    data = JPEGS[jpeg]
    at = data.index(b"\xff\xdb")
    assert pixels(data[:at] + STRAY[kind] + data[at:]) == pixels(data)


def test_the_orientation_of_an_untidy_jpeg_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    data = saved(picture(), "JPEG", exif=exif)
    at = data.index(b"\xff\xdb")
    assert open_image(data[:at] + STRAY["a thousand comments"] + data[at:]).ref.size == (120, 160)


def test_a_camera_file_of_several_pictures_shows_its_first() -> None:
    small = picture(40, 30)
    data = saved(picture(), "MPO", save_all=True, append_images=[small])
    opened = open_image(data)
    assert (opened.ref.size, opened.ref.mime_type) == ((160, 120), "image/jpeg")


@given(st.binary(max_size=200))
def test_any_exif_block_can_be_looked_at(block: bytes) -> None:
    is_sound(b"Exif\0\0II*\0\x08\0\0\0" + block)


def test_tags_that_overlap_are_not_sound() -> None:
    assert not is_sound(tags(100, 1000))
    assert is_sound(tags(3, 20))


@given(st.binary(min_size=1, max_size=40))
def test_any_few_bytes_are_an_image_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        Encoded(data, "it", ImageLimits(max_pixels=1)).decode(1)


def test_headers_that_loop_and_overlap_are_read_in_linear_time() -> None:
    """Each of these took time with the square of its length, or unpacked again and again."""
    bad = b"\0\xff\xff\xfftEXt" * 100_000
    with pytest.raises(ImageError):
        open_image(PNG[:FIRST] + bad)
    xmp = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1_000_000)))
    assert pixels(with_chunk(xmp * 5_000)) == picture().tobytes()
    data = JPEGS["baseline"]
    at = data.index(b"\xff\xdb")
    exif = segment(0xE1, tags(5000, 60_000)[:65_000])
    assert pixels(data[:at] + exif * 300 + data[at:]) == pixels(data)
    gif = saved(picture(), "GIF")
    at = gif.index(b",", 13 + 768)
    with pytest.raises(ImageError, match="more than 400,000 blocks"):
        open_image(gif[:at] + b"!\xfe" + b"\1x" * 500_000 + b"\0" + gif[at:])


# --- cost


def cost_of(data: bytes) -> tuple[int, float, Place]:
    encoded = Encoded(data, "it", ImageLimits())
    cost = encoded.cost(1)
    assert cost is not None
    return cost.nbytes, cost.seconds, encoded.place(1)


def test_the_cost_of_usual_images_is_told_by_their_header() -> None:
    area = 160 * 120
    assert cost_of(saved(picture(), "JPEG"))[::2] == (4 * area, Place.HERE)
    assert cost_of(saved(picture(), "JPEG", progressive=True))[0] == 10 * area
    assert cost_of(saved(picture().convert("L"), "JPEG"))[0] == area
    assert cost_of(PNG)[::2] == (4 * area, Place.HERE)
    assert cost_of(saved(picture().convert("RGBA"), "PNG"))[0] == 10 * area
    for kind in ("GIF", "BMP", "TIFF", "PPM", "TGA", "WEBP"):
        nbytes, seconds, place = cost_of(saved(picture(), kind))
        assert 4 * area <= nbytes <= 24 * area
        assert 0 < seconds < 1
        assert place is Place.HERE


def resized(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header states another size."""
    head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


def png_header(side: int, depth: int, colour: int, length: int, more: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))
    return SIGNATURE + head + more + chunk(b"IDAT", bytes(length))


def webp_header(length: int) -> bytes:
    body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 16_383, 10_800) + bytes(length)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8 " + struct.pack("<I", len(body)) + body


LARGE = {
    "RGB of 16 bits": png_header(13_341, 16, 2, 1_000_000),
    "RGBA of 16 bits": png_header(13_341, 16, 6, 1_000_000),
    "RGBA": png_header(13_341, 8, 6, 700_000),
    "RGB with a clear colour": png_header(13_341, 8, 2, 500_000, chunk(b"tRNS", bytes(6))),
    "lossy WebP": webp_header(1_000_000),
}


@pytest.mark.parametrize("kind", LARGE)
def test_gigabytes_are_refused_that_the_data_cannot_fill(kind: str) -> None:
    with pytest.raises(
        ImageError, match=r"claims far more pixels than so little data can show; save it as JPEG, or smaller"
    ):
        Encoded(LARGE[kind], "it", ImageLimits())


def test_the_largest_honest_images_are_not() -> None:
    limits = ImageLimits()
    for honest in (png_header(13_341, 8, 0, 180_000), png_header(13_341, 8, 2, 500_000), webp_header(4_000_000)):
        Encoded(honest, "it", limits)
    drawing = saved(Image.new("1", (13_000, 13_000), 1), "TIFF", compression="group4")
    assert Encoded(drawing, "it", limits).cost(1).nbytes < 2**30
    assert Encoded(png_header(13_341, 16, 2, 5_000_000), "it", limits).cost(1).nbytes > 2**30


def test_a_large_image_is_decoded_apart() -> None:
    side = int((HERE_BYTES / 4) ** 0.5)
    assert cost_of(resized(PNG, side, side))[2] is Place.HERE
    assert cost_of(resized(PNG, side + 40, side))[2] is Place.APART


def test_scans_are_counted_and_bounded() -> None:
    data = saved(Image.new("L", (512, 512)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    few, many = (data[:last] + data[last:-2] * times + b"\xff\xd9" for times in (20, 200))
    assert cost_of(few)[1] > 3 * cost_of(data)[1]
    with pytest.raises(ImageError, match=r"more than 100 scans: save it"):
        open_image(many)
    large = Image.new("L", (6000, 6000))
    data = saved(large, "JPEG", progressive=True, quality=1)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="no photo is that small; save it"):
        open_image(data[:last] + data[last:-2] * 80 + b"\xff\xd9")


def test_icons_are_bounded_before_they_are_decoded() -> None:
    inner = resized(saved(Image.new("RGBA", (16, 16)), "PNG"), 9000, 9000)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inner), 22) + inner
    with pytest.raises(ImageError, match=r"9000x9000.*this format is opened with: save it as PNG or JPEG"):
        open_image(icon)
    with pytest.raises(ImageError, match="more than 1,024 icons"):
        open_image(struct.pack("<HHH", 0, 1, 65_535) + bytes(16 * 65_535))


def test_tags_of_a_tiff_that_overlap_are_not_read_here() -> None:
    data = saved(picture(), "TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    more = b"".join(struct.pack("<HHII", 50_000 + n, 1, len(data) - 8, 8) for n in range(100))
    entries = data[start + 2 : start + 2 + 12 * count]
    bomb = (
        data[:4] + struct.pack("<I", len(data)) + data[8:] + struct.pack("<H", count + 100) + entries + more + bytes(4)
    )
    assert Encoded(data, "it", ImageLimits()).place(1) is Place.HERE
    assert Encoded(bomb, "it", ImageLimits()).place(1) is Place.APART


def test_decode_seconds_is_checked() -> None:
    with pytest.raises(ValueError, match="decode_seconds is 0"):
        ImageLimits(decode_seconds=0)
