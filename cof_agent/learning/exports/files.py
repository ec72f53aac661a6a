"""Directories of training files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from cof_agent.errors import ConfigError, ImageError, MissingExtraError, TrajectoryError
from cof_agent.files import atomic_directory, json_line, locked, private_directory
from cof_agent.images.codecs.metadata import suffix_of, without_metadata
from cof_agent.learning.exports.conversation import Picture
from cof_agent.loop.transcript import json_safe

ROWS = "metadata.jsonl"
"""The name by which `datasets.load_dataset(DIRECTORY)` knows rows that name image files beside them."""
TABLE = "train.parquet"
PICTURES = "images"

_GROUP = 32
"""Rows of a parquet file that are held and written together, with their images."""


Held: TypeAlias = Mapping[str, tuple[Picture, ...] | Picture]
"""The columns of a row that hold pictures, or one."""


@contextlib.contextmanager
def fresh_directory(out: str | Path) -> Iterator[Path]:
    """A directory to write in, which becomes `out` at the end, or vanishes when something is raised.

    What a process that was killed has left beside `out` is removed first. Raises ConfigError when `out` exists and is
    no empty directory, LockedError when another export writes to it, TrajectoryError when it cannot be written.
    """
    out = Path(os.path.expanduser(out)).absolute()
    if not out.name:
        raise ConfigError(f"{out} is no new directory: name one with out=")
    try:
        private_directory(out.parent)
        beside = locked(
            out.parent,
            f"exporting to {out}",
            name=f".{out.name}.lock",
            what=str(out),
            instead="name another directory with out=",
        )
        with beside, _appearing(out) as part:
            yield part
    except OSError as error:
        raise TrajectoryError(
            f"{out} cannot be written ({error.strerror or error}): make room, or name another directory with out="
        ) from error


@contextlib.contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists and is not an empty directory: name a new one with out=")
    with atomic_directory(out) as part:
        yield part


class PictureFolder:
    """Pictures as files named by the hash of their bytes, each once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._written: set[str] = set()

    def add(self, pictures: Iterable[Picture]) -> Iterator[str]:
        """Write pictures; gives their paths from the training file.

        Raises ImageError, before any is written, when one cannot be read.
        """
        contents = [read(picture) for picture in pictures]
        return (self._add(suffix, data) for data, suffix in contents)

    def _add(self, suffix: str, data: bytes) -> str:
        name = f"{hashlib.sha256(data).hexdigest()}{suffix}"
        if name not in self._written:
            self.directory.mkdir(exist_ok=True)
            (self.directory / name).write_bytes(data)
            self._written.add(name)
        return f"{self.directory.name}/{name}"


class LineFile:
    """JSON lines beside a folder of pictures. Columns that hold them end in `_file_names`, or `_file_name` for one."""

    def __init__(self, directory: Path) -> None:
        self._pictures = PictureFolder(directory / PICTURES)
        self._file = (directory / ROWS).open("wb")

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def add(self, row: dict[str, Any], pictures: Held) -> None:
        """One more row. Raises ImageError, and adds none, when a picture cannot be read."""
        columns = {name: (held,) if isinstance(held, Picture) else held for name, held in pictures.items()}
        paths = self._pictures.add(picture for held in columns.values() for picture in held)
        named: dict[str, Any] = {}
        for name, held in columns.items():
            taken = list(islice(paths, len(held)))
            if isinstance(pictures[name], Picture):
                named[f"{name}_file_name"] = taken[0]
            else:
                named[f"{name}_file_names"] = taken
        self._file.write(json_line(row | named))


class TableFile:
    """A parquet file with its pictures inside, in the columns that `datasets` knows as images.

    `features` are the columns other than pictures, as `datasets` writes them in JSON. Raises MissingExtraError
    without pyarrow.
    """

    def __init__(
        self, directory: Path, features: dict[str, Any], lists: Sequence[str], single: Sequence[str] = ()
    ) -> None:
        try:
            self._arrow, self._parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingExtraError.for_extra("eval", f"writing {TABLE}") from error
        image = {"_type": "Image"}
        shown = {name: {"feature": image, "_type": "List"} for name in lists} | dict.fromkeys(single, image)
        every = features | shown
        fields = [(name, self._type(feature)) for name, feature in every.items()]
        known = json.dumps({"info": {"features": every}})
        self._schema = self._arrow.schema(fields, metadata={"huggingface": known})
        self._rows: list[dict[str, Any]] = []
        self._path = directory / TABLE
        self._writer = self._parquet.ParquetWriter(self._path, self._schema)

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, row: dict[str, Any], pictures: Held) -> None:
        """One more row. Raises ImageError, and adds none, when a picture cannot be read."""
        inside = {
            column: _inside(held) if isinstance(held, Picture) else [_inside(picture) for picture in held]
            for column, held in pictures.items()
        }
        # Half of a surrogate pair is no UTF-8: it becomes "?".
        self._rows.append(json_safe(row) | inside)
        if len(self._rows) == _GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def _type(self, feature: Any) -> Any:
        if feature.get("_type") == "Image":
            return self._arrow.struct([("bytes", self._arrow.binary()), ("path", self._arrow.string())])
        if feature.get("_type") == "List":
            return self._arrow.list_(self._type(feature["feature"]))
        if feature.get("_type") == "Value":
            return self._arrow.string()
        return self._arrow.struct([(name, self._type(inner)) for name, inner in feature.items()])


def read(picture: Picture) -> tuple[bytes, str]:
    """A picture as it is written, without its metadata, and the suffix of its file's name.

    Raises ImageError for one that is empty, cannot be read, or is none.
    """
    data = picture.read()
    if not data:
        raise ImageError(f"{picture.origin!r} is empty: a crash may have left it so")
    data = without_metadata(data)
    return data, suffix_of(data, picture.suffix)


def _inside(picture: Picture) -> dict[str, Any]:
    data, suffix = read(picture)
    return {"bytes": data, "path": f"{hashlib.sha256(data).hexdigest()}{suffix}"}
