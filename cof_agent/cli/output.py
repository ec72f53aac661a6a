"""What commands write: others' text steers no terminal, and JSON stays JSON whatever is in it.

Everything that a command writes goes through `say` and `say_json`, or through the console of `cli.console`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

import typer

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of what is escaped: control and format characters, half surrogates, line and paragraph breaks."""

_JOINERS = {"\u200c", "\u200d"}
"""Persian and Indic words, and some emoji, need these between two of their own characters."""


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with every character that steers a terminal, or hides in it, as an escape such as `\\x1b` or `\\u202e`.

    A line break is escaped, too, unless `lines`: it then stays, as a tab does.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(
            "\t".join(printable(part) for part in line.split("\t")) for line in text.replace("\r\n", "\n").split("\n")
        )
    return "".join(
        character if character.isprintable() or _harmless(text, at) else _escape(character)
        for at, character in enumerate(text)
    )


def _harmless(text: str, at: int) -> bool:
    """Whether the character there, though not printable to Python, is a space or joins two characters that need it."""
    character = text[at]
    if character in _JOINERS:
        beside = text[at - 1 : at] + text[at + 1 : at + 2]
        return len(beside) == 2 and all(
            ord(other) > 0x7F and unicodedata.category(other)[0] in "LMS" for other in beside
        )
    return unicodedata.category(character) not in _UNSEEN


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def say(text: object, *, err: bool = False, lines: bool = False) -> None:
    """Write a line to standard output, or to standard error; several where `lines`.

    What the stream's encoding lacks becomes an escape.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    cleaned = printable(str(text), lines=lines)
    typer.echo(cleaned.encode(encoding, "backslashreplace").decode(encoding), err=err)


def say_all(texts: Iterable[object], *, err: bool = False) -> None:
    """Write each text on a line of its own."""
    for text in texts:
        say(text, err=err)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Write `value` to standard output as JSON, on one line unless it is indented.

    Characters that are not printable, and those that the encoding of the output lacks, are JSON's own escapes: whoever
    parses it gets the value as it is.
    """
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    text = json.dumps(value, ensure_ascii=not unicode, indent=indent)
    typer.echo(re.sub(r"[^ -~\n]", lambda found: _json_escape(found[0]), text))


def _json_escape(character: str) -> str:
    if character.isprintable():
        return character
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"


def clean_what_libraries_write() -> None:
    """Have tracebacks, warnings and unhandled log records of this process printed as `say` prints."""

    def told(kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True, lines=True)

    def warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        say(warnings.formatwarning(message, category, filename, lineno).rstrip("\n"), err=True, lines=True)

    class Cleaned(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return printable(super().format(record), lines=True)

    sys.excepthook = told
    threading.excepthook = lambda given: told(given.exc_type, given.exc_value, given.exc_traceback)
    warnings.showwarning = warn  # type: ignore[assignment]
    if logging.lastResort:
        logging.lastResort.setFormatter(Cleaned())
