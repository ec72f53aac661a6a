"""What can be read of a page of HTML that came in place of a reply."""

from __future__ import annotations

import html
import re

READ_AHEAD = 20_000
"""Characters of a server's words that are looked at."""

_PAGE_WORDS = 160
"""Characters that are kept of a page of HTML."""

_PAGE = re.compile(r"<(?:!doctype\s+html|html)\b", re.I)


def without_page(text: str) -> str:
    """`text`, with one line of what can be read of the page of HTML that it ends in, if it does."""
    found = _PAGE.search(text)
    if not found:
        return text
    page = re.sub(r"\\[nrt]", " ", text[found.start() :][:READ_AHEAD])  # some clients show it as a Python string
    for unread in ("script|style|head", "script|style"):  # a page that is all script still has a title
        # What is never closed goes on to the end, and a tag ends before the next: each letter is looked at once.
        aside = rf"<({unread})\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>"
        read = re.sub(aside, " ", page, flags=re.I | re.S)
        if words := " ".join(html.unescape(read).split()).rstrip("'\""):
            break
    words = words if len(words) <= _PAGE_WORDS else words[: _PAGE_WORDS - 1] + "…"
    return f"{text[: found.start()]}a page of HTML: {words}" if words else f"{text[: found.start()]}a page of HTML"
