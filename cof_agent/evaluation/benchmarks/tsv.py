"""TSV files of gigabytes: rows one by one, the one large field left where it stands.

Fields may be quoted with `"`, doubled within, as pandas and Python's csv write them; a quoted one may hold line breaks.
(Python's csv module would need its process-wide limit of a field's size raised, and tells no positions.)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cof_agent.errors import ConfigError, ImageError
from cof_agent.evaluation.benchmarks.rows import Row, RowError, show, unreadable

_LONGEST = 100
"""Lines that one row may take. A quote that is never closed would else swallow the rest of the file."""


@dataclass(frozen=True, slots=True)
class TsvField:
    """Base64 of an image, in a field of a file."""

    path: Path
    offset: int
    """In bytes, where the content begins."""
    length: int
    """In bytes."""

    def head(self, count: int) -> bytes:
        """The first bytes of the field, as they stand."""
        return self._bytes(min(count, self.length))

    def read(self) -> bytes:
        """The image. Raises ImageError when the file is gone or the field is no base64."""
        try:
            return base64.b64decode(self._bytes(self.length), validate=True)
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read ({error.strerror or error}): check the file") from error
        except (binascii.Error, ValueError) as error:
            raise ImageError(
                f"the image at byte {self.offset} of {self.path} is not base64 ({error}): download the file again"
            ) from error

    def _bytes(self, count: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(count)


def tsv_rows(path: Path, required: Sequence[str], large: str) -> Iterator[tuple[str, Row | RowError]]:
    """The rows of a TSV file with a header, with where they stand; the field `large` as a `TsvField`.

    Raises ConfigError when it cannot be read or its header lacks a column of `required`.
    """
    try:
        with path.open("rb", buffering=2**20) as file:
            header = file.readline(2**20)
            start = len(header)
            names = [content.decode("utf-8-sig", "replace") for _, content in _fields(header) or ()]
            missing = [name for name in required if name not in names]
            if missing:
                raise ConfigError(
                    f"{path} is in another layout: its first line lacks the columns {', '.join(missing)}; "
                    f"it begins with {show(header[:40])}"
                )
            number = 1
            while line := file.readline():
                number, first = number + 1, number + 1
                record, fields = line, _fields(line)
                while fields is None and number - first < _LONGEST and (line := file.readline()):
                    number, record = number + 1, record + line
                    fields = _fields(record)
                if fields is None:
                    # Most likely a quote that was meant as one: the lines after it are rows of their own.
                    end = record.find(b"\n") + 1 or len(record)
                    file.seek(start + end)
                    number, record = first, record[:end]
                    yield f"{path.name} line {first}", RowError("a quote in it is not closed")
                elif record.strip():
                    yield f"{path.name} line {first}", _row(path, names, fields, start, large)
                start += len(record)
    except OSError as error:
        raise unreadable(path, error) from error


def _row(path: Path, names: Sequence[str], fields: list[tuple[int, bytes]], start: int, large: str) -> Row | RowError:
    if len(fields) != len(names):
        return RowError(f"it has {len(fields)} fields where the first line has {len(names)}")
    row: dict[str, object] = {}
    for name, (at, content) in zip(names, fields, strict=True):
        if name == large:
            row[name] = TsvField(path, start + at, len(content))
            continue
        try:
            row[name] = content.replace(b'""', b'"').decode()
        except UnicodeDecodeError:
            return RowError(f"`{name}` is not UTF-8")
    return row


def _fields(record: bytes) -> list[tuple[int, bytes]] | None:
    """The fields of a row, each with where its content begins; None when a quoted one does not end in it."""
    end = len(record.rstrip(b"\r\n"))
    fields: list[tuple[int, bytes]] = []
    at = 0
    while True:
        if record[at : at + 1] == b'"':
            begin = at + 1
            close = record.find(b'"', begin)
            while close >= 0 and record[close + 1 : close + 2] == b'"':
                close = record.find(b'"', close + 2)
            if close < 0:
                return None
            stop = record.find(b"\t", close)
            fields.append((begin, record[begin:close]))
        else:
            stop = record.find(b"\t", at)
            fields.append((at, record[at : stop if stop >= 0 else end]))
        if stop < 0:
            return fields
        at = stop + 1
