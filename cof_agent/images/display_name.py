"""What an image source is called in messages: short, printable, without secrets."""

from __future__ import annotations

import re

_LONGEST = 200
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\\]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_PAGE = re.compile(r"#(?:[^#/\\]*&)?page=[^#&/\\]*(?:&[^#/\\]*)?\Z", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Za-z:.%]*\]|[^:@\[\]]*)(:[0-9]*)?")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DATA = re.compile(r"\W{0,3}data:", re.I)
_ADDRESS = re.compile(
    r"(?<![A-Za-z])([A-Za-z][A-Za-z0-9+.-]{0,30}(?=:[/\\]{2})|(?:https?|ftps?|s3|gcs|gs|abfs|az)(?=[^A-Za-z0-9]{1,3}[/\\]))",
    re.I,
)
"""The scheme of an address that has something before it, or is mistyped, such as `https//host` or `http:\\host`."""
_FIRST_PART = re.compile(r"[/\\]{0,3}([^/\\]*)")
_QUERY = re.compile(r"[?#](?!page=[0-9]{1,9}\Z)[\w.~%-]{1,64}=")
_PARAMETER = re.compile(r"[&;][\w.~%-]{1,64}=")
_BOT = re.compile(r"/bot[0-9]+:[\w-]+")
"""The key of a Telegram bot, which stands in the path of the files that people sent to it."""


def show_text(text: str) -> str:
    """`text` on one line and cut to a readable length, control characters escaped."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def nth_image(index: int, count: int) -> str:
    """Which of a question's images it is, for people, who count from 1: `image 2 of 3` for the `index` 1."""
    return f"image {index + 1} of {count}"


def page_in(name: str) -> str:
    """What ends a `name` that means a page of a document, such as `#page=3`; empty where it means none."""
    found = _PAGE.search(name, max(0, len(name) - _LONGEST))
    return found.group() if found else ""


def show_source(source: str) -> str:
    """A path or URL, well formed or not, without what may be a password or a key, and never the data in it."""
    text = source.strip()
    if data := _DATA.match(text):
        return show_data_url(text[data.end() - len("data:") :])
    if _URL.fullmatch(text):
        return show_url(text)
    if address := _ADDRESS.search(text):  # where a password begins and ends in it, nobody can tell
        return f"{'…' if address.start() else ''}{address[1]}://…"
    scheme = _SCHEME.match(text)
    if scheme and _after_password(text, scheme.end()):
        return f"{scheme[1]}:…"
    if after := _after_password(text):
        text = f"…@{text[after:]}"
    if query := _QUERY.search(text):
        text = f"{text[: query.start() + 1]}…"
    return show_text(_BOT.sub("/bot…", text))


def _after_password(text: str, begin: int = 0) -> int | None:
    """Where a host begins that has a name and a password before it, but no scheme; None without them."""
    first = _FIRST_PART.match(text, begin)
    colon, at = (first[1].find(":"), first[1].rfind("@")) if first else (-1, -1)
    return first.start(1) + at + 1 if first and 0 <= colon < at else None


def show_url(url: str) -> str:
    """A URL without user name and password, and without its query, which often holds a key.

    A URL too malformed to tell where a password ends is reduced to its scheme.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        return show_source(url)
    authority, path = parts["authority"], parts["path"]
    host = authority.rpartition("@")[2]
    # With an @ further on only, what looks like a port may be the beginning of a password with a slash in it.
    if not _HOST.fullmatch(host) or (":" in authority and "@" not in authority and "@" in path):
        return f"{parts['scheme']}://…"
    rest = "?…" if parts["rest"].startswith("?") else ""
    if parameter := _PARAMETER.search(path):
        path, rest = path[: parameter.start() + 1], "…"
    return show_text(f"{parts['scheme']}://{host}{_BOT.sub('/bot…', path)}{rest}")


def show_data_url(url: str) -> str:
    """A `data:` URL by its declared type and length, never its content."""
    declared = url[len("data:") : 100].partition(",")[0].partition(";")[0][:40]
    return f"data URL ({show_text(declared) or 'no type'}, {len(url):,} characters)"


def with_page(source: str, page: int | None, pages: int | None) -> str:
    """The name of a source with its page behind, where the document has several and the name has none."""
    return source if page is None or (pages or page) < 2 or _PAGE.search(source) else f"{source}#page={page}"
