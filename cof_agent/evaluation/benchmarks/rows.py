"""Rows of a benchmark's files: read one by one, each a question or a reason why it is none."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from cof_agent.errors import ConfigError
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, MalformedRow
from cof_agent.evaluation.summary import excerpt
from cof_agent.images.display_name import page_in, show_source
from cof_agent.images.named_file import NamedFileError, named_file
from cof_agent.images.receiving.regular_file import open_regular

Row: TypeAlias = Mapping[str, Any]

_SHOWN = 60
_REMOTE = re.compile(r"(?:https?|data):", re.I)
_FILE = re.compile(r"file:", re.I)


class RowError(ValueError):
    """A row that cannot be asked, and why. Becomes a `MalformedRow`; never leaves this package."""


def questions(
    rows: Iterable[tuple[str, Row | RowError]], ask: Callable[[Row], BenchmarkQuestion]
) -> Iterator[BenchmarkItem]:
    """The question that `ask` makes of each row, given with where it stands."""
    for where, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            question = replace(ask(row), where=where)
        except RowError as error:
            yield MalformedRow(where, str(error))
        else:
            yield question


def json_lines(path: Path, *, links: bool = True) -> Iterator[tuple[str, Row | RowError]]:
    """The objects of a JSONL file with where they stand. Raises ConfigError when it cannot be read.

    Without `links` no part of `path` may be a symbolic link.
    """
    try:
        with open_regular(path, links=links) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path.name} line {number}", json_object(line)
    except OSError as error:
        raise unreadable(path, error) from error


def json_object(line: bytes) -> Row | RowError:
    """The JSON object in `line`, or why it is none."""
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return RowError("it is not UTF-8")
    except json.JSONDecodeError as error:
        return RowError(f"it is not JSON ({error})")
    except ValueError:
        return RowError("a number in it has too many digits: write it as a text")
    except RecursionError:
        return RowError("it is not JSON that can be read: it is nested too deep")
    return value if isinstance(value, dict) else RowError(f"it is a JSON {type(value).__name__}, not an object")


def text_of(row: Row, field: str) -> str:
    """The text in `field`, which must be there. A number counts as the text it is written as."""
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        raise RowError(f"`{field}` is missing" if value is None else f"`{field}` is {show(value)}, not a text")
    text = value if isinstance(value, str) else json.dumps(value)
    if not text.strip():
        raise RowError(f"`{field}` is empty")
    return text


def optional_text(row: Row, field: str, default: str) -> str:
    """The text in `field`, or `default` where it is missing, null or empty."""
    value = row.get(field)
    return default if value is None or value == "" else text_of(row, field)


def image_file(name: str, root: Path, folders: Sequence[str] = ("",)) -> str:
    """The path of the image `name`, in the first of `folders` of `root` that has it; none that leads out of `root`."""
    try:
        return str(named_file(name, root, folders))
    except NamedFileError as error:
        raise RowError(f"its image {show(show_source(name))} {error}") from None


def image_source(name: str, directory: Path) -> str:
    """`name` itself when it is a web address or a data URL, else the path of that file in `directory`.

    A page of a document, such as `plan.pdf#page=3`, stays that page; a file of exactly that name goes first.
    """
    if _REMOTE.match(name):
        return name
    page = page_in(name)
    if page and not (directory / name).is_file():
        return image_source(name.removesuffix(page), directory) + page
    if not _FILE.match(name):
        return image_file(name, directory)
    from urllib.request import url2pathname  # heavy

    try:
        parts = urlsplit(name)
    except ValueError as error:
        raise RowError(f"its image {show(show_source(name))} is not a valid file URL") from error
    if parts.netloc.lower() not in ("", "localhost"):
        raise RowError(f"its image {show(show_source(name))} is on another host")
    return image_file(url2pathname(parts.path), directory)


def corners_as_fractions(value: Any, unit: str) -> tuple[float, float, float, float]:
    """Four finite numbers in `value`. Raises RowError that names the `unit` for anything else."""
    if not (isinstance(value, list | tuple) and len(value) == 4 and all(map(_is_finite, value))):
        raise RowError(f"a box is {show(value)}: it needs four numbers, {unit}")
    return float(value[0]), float(value[1]), float(value[2]), float(value[3])


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond those of floating point
        return False


def existing(path: str) -> Path:
    """`path` with `~` resolved. Raises ConfigError when nothing is there."""
    found = Path(os.path.expanduser(path))
    try:
        if found.exists():
            return found
    except (OSError, ValueError) as error:
        raise ConfigError(f"{show(path)} is no path: {error}") from error
    raise ConfigError(f"{path} does not exist: check the path")


def unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be read ({error.strerror or error}): check the file and its permissions")


def show(value: object) -> str:
    """`value` for a message: as Python writes it, cut short."""
    return excerpt(repr(value), _SHOWN)
