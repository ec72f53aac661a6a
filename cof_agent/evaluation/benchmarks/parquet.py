"""Parquet files with a column of images: the other columns at once, the images one by one."""

from __future__ import annotations

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError, ImageError, MissingExtraError
from cof_agent.evaluation.benchmarks.rows import Row, RowError

_KEPT = 16
"""Images kept: those that questions asked at the same time are about."""


@dataclass(frozen=True, slots=True)
class ParquetField:
    """An image in a row of a file."""

    column: _Column
    row: int
    """From 0."""

    def read(self) -> bytes:
        """The image. Raises ImageError when it cannot be read."""
        return self.column.at(self.row)


def parquet_rows(path: Path, required: Sequence[str], large: str) -> Iterator[tuple[str, Row | RowError]]:
    """The rows of a parquet file with where they stand; the column `large` as a `ParquetField`.

    Raises ConfigError when it cannot be read or lacks a column of `required`, MissingExtraError without pyarrow.
    """
    file = _open(path)
    names = file.schema_arrow.names
    missing = [name for name in required if name not in names]
    if missing:
        raise ConfigError(f"{path} is in another layout: it lacks the columns {', '.join(missing)}")
    column = _Column(path, large)
    number = 0
    batches = file.iter_batches(batch_size=256, columns=[name for name in names if name != large])
    while rows := _next_rows(path, batches):
        for row in rows:
            number += 1
            yield f"{path.name} row {number}", {**row, large: ParquetField(column, number - 1)}


class _Column:
    """A column of images, read forwards: row groups of such files are too large to be taken in whole for one row."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._next = 0
        self._values: Iterator[Any] = iter(())
        self._open = False

    def at(self, row: int) -> bytes:
        with self._lock:
            if row not in self._kept:
                try:
                    self._read_to(row)
                except ImageError:
                    raise
                except Exception as error:  # pyarrow's errors, and those of the system
                    self._open = False
                    raise ImageError(
                        f"row {row + 1} of {self.path} cannot be read ({error}): check the file"
                    ) from error
            if not self._kept[row]:
                raise ImageError(f"row {row + 1} of {self.path} has no image in base64 or bytes: download it again")
            return self._kept[row]

    def _read_to(self, row: int) -> None:
        if not self._open or row < self._next:
            self._values, self._next, self._open = self._stream(), 0, True
        for value in self._values:
            at, self._next = self._next, self._next + 1
            if at > row - _KEPT or at == row:
                self._kept[at] = value if isinstance(value, bytes) else b""
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            if at == row:
                return
        raise ImageError(f"{self.path} has no row {row + 1} any more: it was changed")

    def _stream(self) -> Iterator[bytes]:
        for batch in _open(self.path).iter_batches(batch_size=1, columns=[self.name], use_threads=False):
            yield from (_bytes(value) for value in batch.column(0).to_pylist())


def _bytes(value: Any) -> bytes:
    """An image in one of the forms it is kept in: base64, bytes, or bytes with a path. Empty when it is none."""
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return b""
    return value if isinstance(value, bytes) else b""


def _next_rows(path: Path, batches: Iterator[Any]) -> list[dict[str, Any]]:
    """The rows of the next batch that has any; none at the end. Raises ConfigError where the file is damaged."""
    try:
        return next(filter(None, (batch.to_pylist() for batch in batches)), [])
    except Exception as error:  # pyarrow's errors, those of the system, and values that Python has not
        raise ConfigError(f"{path} is damaged ({error}): download it again") from error


def _open(path: Path) -> Any:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError.for_extra("eval", f"reading {path.name}") from error
    try:
        return parquet.ParquetFile(path, memory_map=True, pre_buffer=False)
    except (OSError, arrow.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read as parquet ({error}): download it again") from error
