"""A file of JSON lines that survives the sudden death of who writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from cof_agent.errors import TrajectoryError
from cof_agent.json_bytes import json_bytes


class Lines:
    """Appends JSON lines to a file, each with one write that goes to the system at once.

    A line is there even if this process is killed right after :meth:`append`. The disk gets it when the system thinks
    fit, and at the latest when the file is closed: after a power failure the last lines may be missing or torn.
    Opening cuts off a last line that is torn. Raises TrajectoryError when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("ab+", buffering=0)
            whole = whole_bytes(path.read_bytes())
            if whole < self._file.seek(0, os.SEEK_END):
                self._file.truncate(whole)
        except OSError as error:
            raise self._refused(error) from error

    def append(self, value: Any) -> None:
        """One more line."""
        line = json_bytes(value)
        try:
            if self._file.write(line) != len(line):
                raise OSError("only a part could be written: is the disk full?")
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            os.fsync(self._file.fileno())

    def _refused(self, error: OSError) -> TrajectoryError:
        why = error.strerror or error
        return TrajectoryError(f"{self.path} cannot be written ({why}): make room, or choose another directory")


def whole_bytes(data: bytes) -> int:
    """How many of the first bytes of a file are whole lines."""
    return data.rfind(b"\n") + 1


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The lines of a file as JSON values, with their numbers from 1; none where there is no file.

    A torn last line is left out. Raises TrajectoryError, naming file and line, for any other line that is not JSON.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read: {error.strerror or error}") from error
    for number, line in enumerate(data[: whole_bytes(data)].split(b"\n")[:-1], start=1):
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise corrupt(path, number, error) from error


def corrupt(path: Path, number: int, why: object) -> TrajectoryError:
    """What is raised for a line that cannot be what it must be."""
    return TrajectoryError(
        f"{path} line {number} is damaged ({why}): delete that line, and its question will be asked again"
    )
