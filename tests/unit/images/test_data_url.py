"""Data URLs in whatever form they are written, in proportion to what they hold."""

from __future__ import annotations

import base64
import tracemalloc
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.receiving.data_url import decode_data_url
from tests.support.examples import examples

LIMITS = ImageLimits()


def escaped(text: str | bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in (text.encode() if isinstance(text, str) else text))


@examples(60)
@given(st.binary(max_size=200), st.integers(0, 70_000))
def test_every_way_to_write_it_is_read(content: bytes, shift: int) -> None:
    """With `shift`, escapes lie across the border between two pieces."""
    data = b"a" * shift + content
    plain, safe = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    lines = "\r\n ".join(plain[at : at + 76] for at in range(0, len(plain), 76))
    forms = [plain, safe, plain.rstrip("="), safe.rstrip("="), lines, plain.replace("+", "%2B").replace("/", "%2f")]
    for form in forms:
        assert decode_data_url(f"data:image/png;base64,{form}", LIMITS) == data
        assert decode_data_url(f"data:;charset=x;BASE64 ,{form}", LIMITS) == data
    assert decode_data_url(f"data:,{quote_from_bytes(data)}", LIMITS) == data
    assert decode_data_url(f"data:,{'a' * shift}{escaped(content)}", LIMITS) == data


@pytest.mark.slow
@pytest.mark.parametrize("form", ["data:image/png,", "data:image/png;base64,"])
def test_memory_stays_in_proportion_to_what_is_given(form: str) -> None:
    """Decoded at once, a text of escapes took 80 times its size."""
    url = form + escaped(b"A" * 400_000)
    tracemalloc.start()
    try:
        decode_data_url(url, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(url)


def test_what_is_too_large_is_refused_before_all_of_it_is_decoded() -> None:
    limits = ImageLimits(max_bytes=1000)
    for url in (f"data:,{'x' * 1001}", f"data:;base64,{base64.b64encode(b'x' * 1001).decode()}", "data:," + "%" * 9000):
        with pytest.raises(ImageError, match="larger than 1,000 bytes"):
            decode_data_url(url, limits)
    assert len(decode_data_url(f"data:;base64,{base64.b64encode(b'x' * 1000).decode()}", limits)) == 1000
    assert decode_data_url(f"data:,{escaped(b'x' * 1000)}", limits) == b"x" * 1000


@pytest.mark.parametrize("payload", ["A", "AB=C", "AAAA\ud800", "AAAA\u00e9", "%", "AAAA%ff", "===="])
def test_what_is_no_base64_is_said(payload: str) -> None:
    with pytest.raises(ImageError, match=r"is not valid base64 .*: encode the image again|is empty"):
        open_image(f"data:image/png;base64,{payload}")


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,aGVsbG8#page=1",
        "data:image/png,hello#,more",
        'data:image/png;name="a, b;x.png";base64,aGVsbG8=',
        'data:image/png;name="a;base64",hello',
        'data:image/png;name=a",hello',
    ],
)
def test_a_fragment_and_a_quoted_comma_are_no_content(url: str) -> None:
    assert decode_data_url(url, ImageLimits()) == b"hello"
