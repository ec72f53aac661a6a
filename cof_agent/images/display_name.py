"""What an image source is called in messages: short, printable, without secrets."""

from __future__ import annotations

import re

_LONGEST = 200
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\\]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_HOST = re.compile(r"(\[[0-9A-Za-z:.%]*\]|[^:@\[\]]*)(:[0-9]*)?")


def show_text(text: str) -> str:
    """`text` on one line and cut to a readable length, control characters escaped."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def show_url(url: str) -> str:
    """A URL without user name and password, and without its query, which often holds a key.

    A URL too malformed to tell where a password ends is reduced to its scheme.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        return show_text(url)
    host = parts["authority"].rpartition("@")[2]
    if not _HOST.fullmatch(host):
        return f"{parts['scheme']}://…"
    query = "?…" if parts["rest"].startswith("?") else ""
    return show_text(f"{parts['scheme']}://{host}{parts['path']}{query}")


def show_data_url(url: str) -> str:
    """A `data:` URL by its declared type and length, never its content."""
    declared = url[len("data:") : 100].partition(",")[0].partition(";")[0][:40]
    return f"data URL ({show_text(declared) or 'no type'}, {len(url):,} characters)"
