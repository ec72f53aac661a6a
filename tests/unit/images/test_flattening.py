"""What becomes of alpha and of deep values: everything that is in the picture can be seen."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageStat

from cof_agent.errors import ImageError
from cof_agent.images import open_image
from cof_agent.images.codecs.flattening import flatten

SIZE = (64, 32)
LETTERS = [(x, 8, x + 3, 24) for x in range(8, 56, 8)]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown(source: bytes | Image.Image) -> Image.Image:
    opened = open_image(source)
    return opened.overview(opened.ref.size)


def lettering(colour: tuple[int, int, int], alpha: int = 255, hidden: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """Bars of a colour on ground that is fully transparent."""
    image = Image.new("RGBA", SIZE, (*hidden, 0))
    for bar in LETTERS:
        image.paste((*colour, alpha), bar)
    return image


def at_letter(image: Image.Image) -> int:
    return image.convert("L").getpixel((LETTERS[2][0] + 1, 16))


def at_ground(image: Image.Image) -> int:
    return image.convert("L").getpixel((2, 2))


# --- alpha


def emptied(mode: str) -> Image.Image:
    """Black bars on yellow, all of it with an alpha of 0."""
    image = Image.new("RGB", SIZE, (250, 220, 40))
    for bar in LETTERS:
        image.paste((10, 10, 10), bar)
    image = image.convert("L") if mode in ("LA", "La") else image
    image.putalpha(0)
    return image.convert(mode) if mode == "La" else image


def bmp_of_windows(image: Image.Image) -> bytes:
    """A BMP of 32 bits whose header names an alpha mask, as the clipboard writes it."""
    rows = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 124, *image.size, 1, 32, 3, len(rows), 2835, 2835, 0, 0) + masks
    head += b"BGRs" + b"\0" * (124 - len(head) - 4)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(rows), 0, 0, 14 + 124) + head + rows


def clear_palette() -> bytes:
    image = emptied("RGBA").convert("RGB").quantize(4)
    return saved(image, "PNG", transparency=bytes(256))


EMPTIED: dict[str, bytes | Image.Image] = {
    "PNG": saved(emptied("RGBA"), "PNG"),
    "grey PNG": saved(emptied("LA"), "PNG"),
    "palette PNG": clear_palette(),
    "TIFF": saved(emptied("RGBA"), "TIFF"),
    "TGA": saved(emptied("RGBA"), "TGA"),
    "BMP": bmp_of_windows(emptied("RGBA")),
    "ICO": saved(emptied("RGBA"), "ICO", sizes=[SIZE]),
    "ICO of BMP": saved(emptied("RGBA"), "ICO", sizes=[SIZE], bitmap_format="bmp"),
    "WebP": saved(emptied("RGBA"), "WEBP", lossless=True, exact=True),
    "PIL RGBA": emptied("RGBA"),
    "PIL RGBa": emptied("RGBA").convert("RGBa"),
    "PIL LA": emptied("LA"),
    "PIL La": emptied("La"),
    "PIL PA": emptied("RGBA").convert("PA"),
}


@pytest.mark.parametrize("kind", EMPTIED)
def test_alpha_of_zero_everywhere_means_opaque(kind: str) -> None:
    source = EMPTIED[kind]
    image = shown(source)
    if kind in ("PIL RGBa", "PIL La"):  # premultiplied: there are no colours left
        assert image.size == SIZE
        return
    assert at_letter(image) < 40
    assert at_ground(image) > 150


def test_alpha_that_nobody_could_see_is_on_another_scale() -> None:
    image = emptied("RGBA")
    image.putalpha(1)
    assert at_letter(shown(image)) < 40
    assert at_ground(shown(image)) > 150
    boolean = lettering((200, 0, 0), alpha=1)
    assert shown(boolean).getpixel((LETTERS[2][0] + 1, 16)) == (200, 0, 0)
    assert shown(boolean).getpixel((2, 2)) == (255, 255, 255)
    assert boolean.getpixel((LETTERS[2][0] + 1, 16)) == (200, 0, 0, 1), "the caller's image is not changed"


@pytest.mark.parametrize("colour", [(255, 255, 255), (240, 240, 240), (255, 255, 0), (255, 250, 205), (225, 240, 255)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PIL", "palette"])
def test_light_lettering_on_transparent_ground_gets_a_dark_one(colour: tuple[int, int, int], kind: str) -> None:
    image = lettering(colour, hidden=(255, 255, 255))
    if kind == "palette":
        flat = Image.new("P", SIZE, 0)
        flat.putpalette([255, 255, 255, *colour])
        for bar in LETTERS:
            flat.paste(1, bar)
        source: bytes | Image.Image = saved(flat, "PNG", transparency=0)
    else:
        source = image if kind == "PIL" else saved(image, kind)
    view = shown(source)
    assert at_letter(view) - at_ground(view) > 100


def test_letters_cut_out_of_a_white_card_are_dark() -> None:
    card = Image.new("RGBA", SIZE, (255, 255, 255, 255))
    for bar in LETTERS:
        card.paste((255, 255, 255, 0), bar)
    view = shown(card)
    assert at_ground(view) - at_letter(view) > 100


def test_light_and_dark_lettering_together_get_a_ground_that_hides_neither() -> None:
    image = lettering((255, 255, 255))
    for bar in LETTERS[::2]:
        image.paste((0, 0, 0, 255), bar)
    view = shown(image)
    ground = at_ground(view)
    assert all(abs(view.convert("L").getpixel((x + 1, 16)) - ground) > 60 for x, *_ in LETTERS)


def written(white_rows: int) -> Image.Image:
    """Seventeen lines of black text, and one of white below them, on ground that is fully transparent."""
    page = Image.new("RGBA", (800, 600), (0, 0, 0, 0))
    pen = ImageDraw.Draw(page)
    for number in range(17):
        pen.text((20, 10 + 30 * number), "Terms and conditions of this offer, in full and in black " * 2, fill="black")
    for number in range(white_rows):
        pen.text((20, 560 + 20 * number), "but not on Sundays", fill="white")
    return page


def test_one_white_line_beside_much_black_text_is_seen() -> None:
    view = shown(saved(written(1), "PNG")).convert("L")
    ground = view.getpixel((2, 2))
    low, high = view.crop((0, 555, 800, 600)).getextrema()
    assert high - ground > 100
    assert ground - view.crop((0, 0, 800, 500)).getextrema()[0] > 100
    assert low == ground
    assert shown(written(0)).getpixel((2, 2)) == (255, 255, 255)


def test_light_parts_inside_of_opaque_ones_leave_white() -> None:
    art = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    pen = ImageDraw.Draw(art)
    pen.ellipse((40, 40, 360, 260), fill=(30, 60, 90, 255))
    for x in range(80, 320, 12):
        pen.line((x, 120, x + 5, 180), fill="white", width=2)
    assert shown(art).getpixel((2, 2)) == (255, 255, 255)


@pytest.mark.parametrize("alpha", [10, 20, 30, 39, 60])
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_faint_lettering_is_seen(alpha: int, colour: tuple[int, int, int]) -> None:
    view = shown(lettering(colour, alpha))
    assert abs(at_letter(view) - at_ground(view)) >= 50


def test_a_soft_glow_and_a_soft_shadow_are_seen() -> None:
    alpha = Image.radial_gradient("L").point(lambda value: 255 - value)
    for colour, ground in (("white", 0), ("black", 255)):
        soft = Image.new("RGBA", alpha.size, colour)
        soft.putalpha(alpha)
        assert shown(soft).getpixel((0, 0)) == (ground,) * 3


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30), (0, 90, 200), (120, 120, 120), (0, 160, 160)])
def test_an_ordinary_transparent_picture_keeps_white(colour: tuple[int, int, int]) -> None:
    view = shown(saved(lettering(colour), "PNG"))
    assert view.getpixel((2, 2)) == (255, 255, 255)
    assert view.getpixel((LETTERS[2][0] + 1, 16)) == colour


def test_a_cut_out_with_light_parts_a_window_with_a_shadow_and_a_sheer_pane_keep_white() -> None:
    photo = Image.linear_gradient("L").rotate(90).resize((200, 150)).convert("RGB")
    pen = ImageDraw.Draw(photo)
    for x in range(0, 200, 10):
        pen.rectangle((x, 40, x + 4, 110), fill=(255 - x, x, 90))
    window = Image.new("RGBA", (260, 200), (0, 0, 0, 0))
    window.paste((0, 0, 0, 60), (20, 20, 240, 190))
    window.paste(photo, (30, 25))
    assert shown(window).getpixel((2, 2)) == (255, 255, 255)
    assert shown(window).crop((30, 25, 230, 175)).tobytes() == photo.tobytes()
    assert shown(Image.new("RGBA", SIZE, (0, 0, 0, 128))).getpixel((4, 4)) == (127, 127, 127)
    assert shown(Image.new("RGBA", SIZE, (255, 255, 255, 128))).getpixel((4, 4)) == (255, 255, 255)


def test_a_large_picture_is_judged_like_a_small_one() -> None:
    image = lettering((255, 255, 255)).resize((3000, 1500), Image.Resampling.NEAREST)
    view = flatten(image)
    assert view.getpixel((5, 5)) == (0, 0, 0)
    assert view.resize(SIZE, Image.Resampling.NEAREST).tobytes() == shown(lettering((255, 255, 255))).tobytes()


@given(st.integers(0, 255), st.integers(17, 255), st.integers(0, 255), st.integers(0, 255))
def test_lettering_that_differs_from_any_ground_is_seen(grey: int, alpha: int, hidden: int, around: int) -> None:
    """Whatever the colours, what alpha sets apart by half of its scale stays apart."""
    alpha = max(alpha, 200)
    view = flatten(lettering((grey,) * 3, alpha, (hidden,) * 3))
    assert abs(at_letter(view) - at_ground(view)) >= 40 or grey > 255 - 40 * 255 / alpha
    assert abs(at_letter(view) - at_ground(view)) >= 30


# --- values of more than 8 bits


def deep_png(mode: str, values: Callable[[int], int], width: int = 256, alpha: int = 65535) -> bytes:
    """A PNG of 16 bits whose columns hold `values`, with bands equal but for alpha."""
    bands, colour = {"L": (1, 0), "LA": (2, 4), "RGB": (3, 2), "RGBA": (4, 6)}[mode]
    row = b"\0" + b"".join(
        struct.pack(">H", values(x)) * (bands - ("A" in mode)) + struct.pack(">H", alpha) * ("A" in mode)
        for x in range(width)
    )

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, 8, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")


def deep_tiff(mode: str, order: str, values: Callable[[int], int], width: int = 256) -> bytes:
    bands = {"L": 1, "RGB": 3}[mode]
    row = b"".join(struct.pack(f"{order}H", values(x)) * bands for x in range(width))
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, 8),
        (258, 3, bands, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if bands == 1 else 2),
    ]
    tags += [(273, 4, 1, 0), (277, 3, 1, bands), (278, 3, 1, 8), (279, 4, 1, 8 * len(row))]
    data_at = 8 + 2 + 12 * len(tags) + 4 + 6
    bits_at = data_at - 6
    body = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        value = bits_at if tag == 258 and bands > 1 else data_at if tag == 273 else value
        packed = f"{order}HHI" + ("HH" if kind == 3 and count == 1 else "I")
        body += struct.pack(packed, tag, kind, count, *((value, 0) if kind == 3 and count == 1 else (value,)))
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return start + body + b"\0" * 4 + struct.pack(f"{order}HHH", 16, 16, 16) + row * 8


def wide_tiff(code: str, values: list[float], photometric: int, order: str = "<") -> bytes:
    """A grey TIFF of one line, of 16 bits (H) or of floats of 32 (f) or 64 (d)."""
    bits = 8 * struct.calcsize("<" + code)
    row = b"".join(struct.pack(order + code, value) for value in values)
    tags = [(256, len(values)), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 0), (277, 1), (278, 1)]
    tags += [(279, len(row)), (339, 1 if code == "H" else 3)]
    data_at = 8 + 2 + 12 * len(tags) + 4
    body = struct.pack(f"{order}H", len(tags))
    body += b"".join(struct.pack(f"{order}HHII", tag, 4, 1, data_at if tag == 273 else value) for tag, value in tags)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8) + body + b"\0" * 4 + row


@pytest.mark.parametrize("code", ["H", "f"])
@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_a_negative_of_many_bits_comes_out_positive(code: str, white: int) -> None:
    values = [0, white, white // 4]
    assert levels(wide_tiff(code, values, 0)) == pytest.approx([255, 0, 191], abs=1)
    assert levels(wide_tiff(code, values, 1)) == pytest.approx([0, 255, 64], abs=1)


@pytest.mark.parametrize("hole", [math.nan, math.inf, -math.inf, -3.4028234663852886e38, 3.4028234663852886e38])
@pytest.mark.parametrize("order", ["<", ">"])
def test_unknown_values_of_geodata_are_black_and_leave_the_others(hole: float, order: str) -> None:
    assert levels(wide_tiff("f", [hole, 300, 400, 500], 1, order)) == pytest.approx([0, 0, 128, 255], abs=1)
    assert levels(wide_tiff("f", [300, 400, hole, 500], 1, order)) == pytest.approx([0, 128, 0, 255], abs=1)
    assert levels(wide_tiff("f", [hole, hole], 1, order)) == [0, 0]


def test_a_kind_of_pixels_that_is_not_read_is_not_called_damaged() -> None:
    with pytest.raises(ImageError, match=r"pixels of a kind that is not read.*: save it with 8 or 16 bits, as PNG"):
        open_image(wide_tiff("d", [1.0, 2.0], 1))


def levels(source: bytes | Image.Image) -> list[int]:
    image = shown(source)
    return list(image.getchannel(1).crop((0, 0, image.width, 1)).tobytes())


def ramp(highest: int) -> Callable[[int], int]:
    return lambda x: x * highest // 255


@pytest.mark.parametrize("highest", [255, 1023, 4095, 65535])
@pytest.mark.parametrize(
    "kind",
    [
        "PNG L",
        "PNG LA",
        "PNG RGB",
        "PNG RGBA",
        "TIFF < L",
        "TIFF > L",
        "TIFF < RGB",
        "TIFF > RGB",
        "I;16",
        "I;16B",
        "I",
    ],
)
def test_values_of_8_10_and_12_bits_in_16_are_stretched(kind: str, highest: int) -> None:
    form, *rest = kind.split()
    if form == "PNG":
        source: bytes | Image.Image = deep_png(rest[0], ramp(highest))
    elif form == "TIFF":
        source = deep_tiff(rest[1], rest[0], ramp(highest))
    else:
        code = {"I;16": "<H", "I;16B": ">H", "I": "=i"}[form]
        row = b"".join(struct.pack(code, ramp(highest)(x)) for x in range(256))
        source = Image.frombytes(form, (256, 8), row * 8)
    found = levels(source)
    assert all(abs(found[x] - x) <= 1 for x in range(256)), found


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_dark_photo_of_16_bits_stays_as_dark_as_it_is(mode: str) -> None:
    found = levels(deep_png(mode, ramp(9000)))
    assert found[255] == pytest.approx(9000 / 257, abs=1)
    assert levels(deep_png(mode, ramp(4096)))[255] == pytest.approx(4096 / 257, abs=1)
    assert levels(deep_png(mode, lambda _: 0)) == [0] * 256


def test_alpha_of_another_depth_than_the_colours() -> None:
    assert levels(deep_png("RGBA", ramp(1023), alpha=1023))[255] == 255
    assert levels(deep_png("RGBA", ramp(1023), alpha=65535))[128] == pytest.approx(128, abs=1)
    assert levels(deep_png("LA", ramp(4095), alpha=0))[255] == 255


def test_the_words_of_a_10_bit_scan_can_be_read() -> None:
    text = Image.new("L", (256, 8), 250)
    ImageDraw.Draw(text).rectangle((40, 2, 200, 5), fill=10)
    deep = text.convert("I").point(lambda value: value * 4).convert("I;16")
    view = shown(saved(deep, "PNG"))
    assert ImageStat.Stat(view.convert("L")).extrema[0] == pytest.approx((10, 250), abs=2)
