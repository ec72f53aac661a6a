"""Options of a multiple-choice question as they stand in its text: `(A) …`, `(B) …`."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

LETTERS = string.ascii_uppercase
"""Letters of options, in order."""

_MARK = re.compile(r"(?:(?<=\s)|^)\(([A-Z])\)\s*")


def with_options(text: str, options: Sequence[str]) -> str:
    """`text` with a line `(A) …` for each option beneath it."""
    return "\n".join(
        [text.rstrip(), *(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))]
    )


def read_options(text: str) -> tuple[str, tuple[str, ...]]:
    """What is asked, and the options that stand after it, on lines of their own or in a row.

    The last run of at least two of (A), (B), … counts, each option to the next mark, the last to the end of its
    line. Without one, the whole text and no options.
    """
    run: list[re.Match[str]] = []
    found: list[re.Match[str]] = []
    for mark in _MARK.finditer(text):
        if mark[1] == "A":
            run = [mark]
        elif run and mark[1] == LETTERS[len(run)]:
            run.append(mark)
        if len(run) >= 2:
            found = run
    if not found:
        return text, ()
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    pieces = [text[mark.end() : end] for mark, end in zip(found, ends, strict=True)]
    pieces[-1] = pieces[-1].partition("\n")[0]
    options = tuple(" ".join(piece.split()) for piece in pieces)
    return (text[: found[0].start()].rstrip(), options) if all(options) else (text, ())
