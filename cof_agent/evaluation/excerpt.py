"""The beginning of a text that is too long to be shown."""

from __future__ import annotations


def excerpt(text: str, most: int) -> str:
    """`text`, or as much of it as `most` characters hold, the last of which then says that there is more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
