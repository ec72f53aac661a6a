"""The bytes inside of a `data:` URL, decoded piece by piece so that memory stays in proportion to them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_data_url
from cof_agent.images.limits import ImageLimits

_PIECE = 2**16
"""Characters that are decoded at once. `unquote_to_bytes` takes 80 times the size of a text that is all escapes."""

_HEADER = re.compile(r'((?:[^,"]*"[^"]*")*[^,"]*|[^,]*),')
_QUOTED = re.compile(r'"[^"]*"')
"""A parameter of the type may be quoted, and hold a comma. A quote that is not closed is a character like others."""

_BLANKS = b" \t\r\n\f\v"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def decode_data_url(url: str, limits: ImageLimits) -> bytes:
    """What `url` holds. Escapes, line breaks and blanks in base64, and its URL-safe alphabet are all read.

    Takes a few times the memory of the content, whatever form it has. Raises ImageError for a URL without a comma,
    content that is no base64, or more of it than the limits allow.
    """
    name = show_data_url(url)
    if (fragment := url.find("#")) >= 0:  # no part of the content
        url = url[:fragment]
    found = _HEADER.match(url[:_PIECE])
    if found is None:
        raise ImageError(f"{name} has no comma: write it like data:image/png;base64,…")
    begin = found.end()
    # Escapes only ever make a payload longer than its content, at most three times, and base64 once more by 4/3.
    limits.check_bytes((len(url) - begin) // 4, name)
    in_base64 = any(part.strip().lower() == "base64" for part in _QUOTED.sub("", found[1]).split(";")[1:])
    content = bytearray()
    for piece in _unquoted(url, begin):
        content += piece.translate(_URL_SAFE, delete=_BLANKS) if in_base64 else piece
        # Of base64, up to two characters at the end may be padding.
        limits.check_bytes(len(content) * 3 // 4 - 2 if in_base64 else len(content), name)
    if not in_base64:
        return bytes(content)
    while content.endswith(b"="):
        del content[-1]
    content += b"=" * (-len(content) % 4)
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"{name} is not valid base64 ({error}): encode the image again") from error
    limits.check_bytes(len(data), name)
    return data


def _unquoted(url: str, begin: int) -> Iterator[bytes]:
    """The payload, which starts at `begin`, without its escapes. None of them is cut in two."""
    while begin < len(url):
        end = min(begin + _PIECE, len(url))
        if end < len(url) and (escape := url.rfind("%", end - 2, end)) >= 0:
            end = escape
        # Half of a surrogate pair is no character: it is no base64 either, and the decoder says so.
        yield unquote_to_bytes(url[begin:end].encode("utf-8", "surrogatepass"))
        begin = end
