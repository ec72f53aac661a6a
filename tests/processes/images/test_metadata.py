"""What a file tells beside its pixels is left out, and the pixels stay as they are."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from cof_agent.errors import ImageError
from cof_agent.images import SourceImage, open_image
from cof_agent.images.codecs.metadata import stripped, suffix_of, without_metadata
from tests.support.examples import examples

SECRET = b"hunter2"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">hunter2</x:xmpmeta>'


def picture(mode: str = "RGB") -> Image.Image:
    """Different in every corner."""
    image = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
    image.paste("red", (0, 0, 12, 8))
    return image.convert(mode)


def exif(orientation: int | None = None) -> bytes:
    value = Image.Exif()
    value[0x010F] = "hunter2 cameras"
    if orientation is not None:
        value[0x0112] = orientation
    value.get_ifd(0x8825)[1] = "N"
    value.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    value.get_ifd(0x8825)[0x1D] = "hunter2"
    return value.tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(orientation: int | None = None, **options: object) -> bytes:
    """With EXIF, XMP, IPTC, a comment, previews, a second picture and a note after it."""
    plain = saved(picture(), "JPEG", quality=90, icc_profile=PROFILE, exif=exif(orientation), **options)
    more = [
        segment(0xE0, b"JFXX\0\x10" + SECRET),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        segment(0xE2, b"FPXR\0" + SECRET),
        segment(0xEB, b"JP" + SECRET),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x07" + SECRET),
        segment(0xFE, b"comment " + SECRET),
    ]
    header, picture_, behind = plain[2:20], plain[20:], plain + b"MotionPhoto" + SECRET
    return plain[:2] + b"".join(more[:3]) + header + b"".join(more[3:]) + picture_ + behind


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(orientation: int | None = None, *, behind: bool = False, mode: str = "RGB", **options: object) -> bytes:
    """`behind`: its EXIF stands after the pixels."""
    said = PngImagePlugin.PngInfo()
    said.add_text("Author", "hunter2")
    said.add_text("Comment", "hunter2" * 50, zip=True)
    said.add_itxt("XML:com.adobe.xmp", XMP.decode())
    plain = saved(picture(mode), "PNG", pnginfo=said, icc_profile=PROFILE, **options)
    at = plain.rindex(b"IEND") - 4 if behind else plain.index(b"IDAT") - 4
    more = chunk(b"eXIf", exif(orientation)[6:]) + chunk(b"tIME", b"\x07\xea\1\1\1\1\1") + chunk(b"prVt", SECRET)
    return plain[:at] + more + plain[at:] + SECRET


def webp(orientation: int | None = None, **options: object) -> bytes:
    return saved(picture(), "WEBP", exif=exif(orientation), xmp=XMP, icc_profile=PROFILE, **options) + SECRET


def gif() -> bytes:
    more = [picture("P").transpose(Image.Transpose.ROTATE_180)]
    return saved(picture("P"), "GIF", save_all=True, append_images=more, comment=SECRET, duration=90, loop=3) + SECRET


ORIENTED: dict[str, Callable[[int | None], bytes]] = {
    "jpeg": jpeg,
    "progressive jpeg": lambda turned: jpeg(turned, progressive=True),
    "jpeg with restarts": lambda turned: jpeg(turned, restart_marker_blocks=2),
    "png": png,
    "png with exif at the end": lambda turned: png(turned, behind=True),
    "webp": webp,
    "lossless webp": lambda turned: webp(turned, lossless=True),
    "tiff": lambda turned: saved(picture(), "TIFF", exif=exif(turned), description="hunter2"),
    "avif": lambda turned: saved(picture(), "AVIF", exif=exif(turned), xmp=XMP),
}
MORE = [picture().rotate(180)]
OTHERS = {
    "cmyk jpeg": saved(picture("CMYK"), "JPEG", comment=SECRET),
    "grey jpeg": saved(picture("L"), "JPEG", comment=SECRET),
    "png with a palette": png(mode="P", transparency=0),
    "transparent png": png(mode="LA"),
    "16-bit png": saved(picture("L").convert("I;16"), "PNG", exif=exif()),
    "animated png": png(save_all=True, append_images=MORE),
    "transparent webp": saved(picture("RGBA"), "WEBP", exif=exif(), xmp=XMP),
    "animated webp": saved(picture(), "WEBP", save_all=True, append_images=MORE, exif=exif(), xmp=XMP),
    "gif": gif(),
    "jpeg 2000": saved(picture(), "JPEG2000", comment="hunter2"),
    "ppm": b"P6\n# hunter2\n2 1\n255\n\1\2\3\4\5\6",
    "bmp": saved(picture(), "BMP") + SECRET,
}  # fmt: skip
SAMPLES = {name: make(6) for name, make in ORIENTED.items()} | OTHERS


def shown(data: bytes) -> tuple[tuple[int, int], bytes]:
    source = open_image(data)
    return source.ref.size, source.overview(source.ref.size).tobytes()


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_told_and_no_pixel_changes(name: str) -> None:
    data = SAMPLES[name]
    assert SECRET in data
    left = without_metadata(data)
    assert SECRET not in left
    with Image.open(io.BytesIO(left)) as opened:
        opened.load()
        assert set(opened.getexif()) <= {0x0112}
        assert not opened.info.keys() & {"comment", "xmp", "photoshop", "Author", "Comment", "XML:com.adobe.xmp"}
    assert shown(left) == shown(data)
    assert without_metadata(left) is left


@pytest.mark.parametrize("orientation", [None, *range(1, 9), 12])
@pytest.mark.parametrize("name", ORIENTED)
def test_the_orientation_is_all_that_is_kept_of_exif(name: str, orientation: int | None) -> None:
    data = ORIENTED[name](orientation)
    left = without_metadata(data)
    assert shown(left) == shown(data)
    assert b"hunter2" not in left


def test_stray_bytes_before_a_photo_are_left_out_with_the_rest() -> None:
    for data in (b"\r\n" + jpeg(6), b"\n" + png(6)):
        left = without_metadata(data)
        assert left.startswith((b"\xff\xd8\xff", b"\x89PNG"))
        assert (left[:1] == b"\xff") is (data[2:3] == b"\xff")
        assert SECRET not in left
        assert shown(left) == shown(data)


def test_an_orientation_that_is_not_heeded_turns_nothing_afterwards_either() -> None:
    """A block whose checksum is wrong, the second of two blocks, and one that takes undue work to read."""
    whole = saved(picture(), "PNG", exif=exif(6))
    at = whole.index(b"eXIf") + 4 + len(exif(6)) - 6
    plain = saved(picture(), "JPEG", quality=90)
    blocks = segment(0xE1, exif(1)) + segment(0xE1, exif(6))
    many = blocks + segment(0xFE, SECRET) * 100
    for data in (
        whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        plain[:20] + blocks + plain[20:],
        plain[:20] + many + plain[20:],
        b"\n" + plain[:20] + blocks + plain[20:],
    ):
        left = without_metadata(data)
        assert SECRET not in left
        assert shown(left) == shown(data)


def test_an_orientation_that_only_xmp_tells_is_kept() -> None:
    said = b'<x:xmpmeta><rdf:Description tiff:Orientation="8" hunter2/></x:xmpmeta>'
    data = saved(picture(), "JPEG", xmp=said)
    assert shown(without_metadata(data)) == shown(data)
    assert open_image(without_metadata(data)).ref.size == (32, 48)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "png", "webp", "lossless webp"])
def test_the_pixels_stay_as_they_are_encoded_with_their_colour_profile(name: str) -> None:
    """So that what another program makes of them stays the same, too."""
    data = SAMPLES[name]
    left = without_metadata(data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(left)) as after:
        assert after.format == ("JPEG" if before.format == "MPO" else before.format)
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.convert("RGB").tobytes() == before.convert("RGB").tobytes()


@pytest.mark.parametrize("name", ["animated png", "animated webp", "gif"])
def test_an_animation_keeps_its_frames(name: str) -> None:
    with (
        Image.open(io.BytesIO(SAMPLES[name])) as before,
        Image.open(io.BytesIO(without_metadata(SAMPLES[name]))) as after,
    ):
        assert (after.n_frames, after.info.get("loop")) == (2, before.info.get("loop"))
        for frame in (0, 1):
            before.seek(frame)
            after.seek(frame)
            assert after.convert("RGBA").tobytes() == before.convert("RGBA").tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_where_there_is_nothing_to_leave_out_the_bytes_stay(kind: str) -> None:
    data = saved(picture(), kind)
    assert without_metadata(data) is data


def test_a_preview_in_the_header_of_a_jpeg_is_left_out() -> None:
    data = saved(picture(), "JPEG")
    preview = segment(0xE0, data[6:18] + b"\2\1" + b"hunter")
    with_preview = data[:2] + preview + data[20:]
    assert without_metadata(with_preview) == data


def test_what_is_built_in_an_unusual_way_is_written_anew() -> None:
    cut = jpeg(6)[:-600]
    odd = b"\xff\xd8" + segment(0xE1, exif(6)) + b"\xff\0" + saved(picture(), "JPEG")[2:]
    for data in (odd, cut):
        assert shown(without_metadata(data)) == shown(data)
        assert SECRET not in without_metadata(data)


def test_a_chunk_whose_checksum_is_wrong_is_left_out_with_the_rest() -> None:
    data = saved(picture(), "PNG", exif=exif())
    wrong = data.replace(b"eXIf", b"eXIg")
    assert without_metadata(wrong) == saved(picture(), "PNG")


@pytest.mark.parametrize("data", [b"", b"notes", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        without_metadata(data)


@examples(150)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_files_give_the_same_picture_or_an_image_error(
    name: str, edits: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray(SAMPLES[name])
    for place, content in edits:
        at = int(place * len(data))
        data[at : at + len(content)] = content
    damaged = bytes(data[: int(cut * len(data))] if cut < 0.5 else data)
    try:
        expected = shown(damaged)
    except ImageError:
        return
    try:
        left = without_metadata(damaged)
    except ImageError:
        return
    assert shown(left) == expected


def test_a_source_without_its_metadata_goes_by_the_hash_of_what_is_left() -> None:
    source = open_image(jpeg(6))
    left = stripped(source)
    assert left.ref == open_image(left.data).ref
    assert left.ref != source.ref
    assert left.source == source.source
    assert stripped(left) is left
    png_of = stripped(open_image(SAMPLES["tiff"]))
    assert (png_of.ref.mime_type, png_of.ref.size) == ("image/png", (32, 48))
    assert isinstance(png_of, SourceImage)


@pytest.mark.parametrize(
    ("usual", "suffix"),
    [(".jpg", ".jpg"), (".JPEG", ".JPEG"), ("", ".jpg"), (".png", ".jpg"), (".a\nb", ".jpg"), ("." + "x" * 99, ".jpg")],
)
def test_the_suffix_of_a_file_suits_its_format(usual: str, suffix: str) -> None:
    assert suffix_of(saved(picture(), "JPEG"), usual) == suffix
    assert suffix_of(saved(picture(), "PNG"), usual) == ".png"
    assert suffix_of(saved(picture(), "WEBP"), usual) == ".webp"
    assert suffix_of(saved(picture(), "GIF"), ".gif") == ".gif"
