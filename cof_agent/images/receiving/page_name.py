"""The page that a source names: `plan.pdf#page=3`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_source
from cof_agent.images.limits import ImageLimits

_PAGE = re.compile(r"#(?:[^#/\\]*&)?page=([^#&/\\]*)(?:&[^#/\\]*)?\Z", re.IGNORECASE)
_IN_URL = re.compile(r"#(?:[^#]*&)?page=([^#&]*)(?:&[^#]*)?\Z", re.IGNORECASE)
"""Viewers take further parameters beside it, such as `#page=3&zoom=200`."""
_URL = re.compile(r"#(?:[^#]*&)?page=([^#&]*)(?:&[^#]*)?\Z")
"""Viewers take further parameters beside it, such as `#page=3&zoom=200`."""
_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+:")
_FILE_URL = re.compile(r"\s*file:", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")
_LIKE_A_NUMBER = re.compile(r"[+-]?[0-9]*")
"""What a path names as its page, even where there is no such file."""
_LONGEST = 200
"""Characters at the end of a source that are looked at: a `data:` URL may have a hundred million."""


def split_page(source: Any, page: int | None, limits: ImageLimits) -> tuple[Any, int | None]:
    """A source without the page that it names, and the number of that page, or `page` where it names none.

    A path names no page where there is a file of exactly that name. Raises ImageError for a page that is no number
    from 1 on, and for two different ones.
    """
    if page is not None and (type(page) is not int or page < 1):
        raise ImageError(f"page {page!r:.40} is none: pages are whole numbers from 1 on")
    if not isinstance(source, str | os.PathLike):
        return source, page
    text = os.fspath(source)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    is_url = isinstance(source, str) and _URL.match(text[:_LONGEST]) is not None
    if is_url and _FILE_URL.match(text[:_LONGEST]):
        _check_escapes(text.strip(), limits)
    begin = max(0, len(text) - _LONGEST)
    found = (_IN_URL if is_url else _PAGE).search(text.rstrip(), begin)
    if found is None:
        return source, page
    bare = text[: found.start()]
    if not is_url and (_is_there(text, limits) or not (_LIKE_A_NUMBER.fullmatch(found[1]) or _is_there(bare, limits))):
        return source, page
    if not _NUMBER.fullmatch(found[1]) or int(found[1]) < 1:
        raise ImageError(
            f"{show_source(bare)} has no page {found[1][:20]!r}: pages are whole numbers from 1 on, as in #page=3"
        )
    number = int(found[1])
    if page is not None and page != number:
        raise ImageError(f"{show_source(bare)} was named with page {number}, and page {page} was asked for: name one")
    return Path(bare) if isinstance(source, os.PathLike) else bare, number


def _is_there(path: str, limits: ImageLimits) -> bool:
    try:
        return os.path.lexists(limits.allowed_file(path))
    except (OSError, ValueError):  # it is outside of the roots, or no name of a file
        return False


def _check_escapes(url: str, limits: ImageLimits) -> None:
    """Raise ImageError where a file URL names a file only if its # and ? are taken as part of the name."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        plain = url2pathname(urlsplit(url).path)
        meant = url2pathname(urlsplit(url.replace("#", "%23").replace("?", "%3F")).path)
    except ValueError:  # whoever reads the file says so
        return
    if meant != plain and _is_there(meant, limits) and not _is_there(plain, limits):
        raise ImageError(f"{show_source(url)} does not exist, but {meant} does: write # as %23 and ? as %3F in a URL")
