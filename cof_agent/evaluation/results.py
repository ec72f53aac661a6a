"""A run on disk: `run.json`, `results.jsonl` and, where there are any, `skipped.jsonl` and `malformed.jsonl`."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cof_agent.errors import ConfigError, TrajectoryError, validated
from cof_agent.evaluation.plan import PlannedQuestion
from cof_agent.evaluation.question import MalformedRow
from cof_agent.evaluation.row import ResultRow, Rule
from cof_agent.evaluation.settings import RunSettings, differing, shown
from cof_agent.files import (
    LineWriter,
    atomic_write,
    corrupt,
    json_line,
    locked,
    parse_json,
    private_directory,
    read_lines,
)
from cof_agent.loop.state import Status

SETTINGS = "run.json"
RESULTS = "results.jsonl"
SKIPPED = "skipped.jsonl"
MALFORMED = "malformed.jsonl"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gave, so far or in the end."""

    directory: Path
    settings: RunSettings
    rows: tuple[ResultRow, ...]
    """In the order of the plan: by question, then by cell."""
    malformed: int
    """Rows of the benchmark that could not be asked."""
    skipped: Mapping[int | None, int]
    """By resolution: questions that were not asked there, because their image is smaller."""


def read_run(directory: str | Path) -> Run:
    """Read a run, finished or not; nothing is changed.

    Raises ConfigError for a directory that holds no run, and TrajectoryError, naming file and line, for damage.
    """
    directory = Path(directory)
    settings = validated(RunSettings, _stored_settings(directory), str(directory / SETTINGS))
    order = {cell: place for place, cell in enumerate(settings.cells)}
    rows = sorted(_rows(directory), key=lambda row: (row.number, order.get(row.cell, len(order)), row.key))
    skipped = Counter(resolution for _, resolution in _skipped(directory))
    return Run(directory, settings, tuple(rows), sum(1 for _ in read_lines(directory / MALFORMED)), dict(skipped))


class RunDirectory:
    """A run's directory while one process writes it; see `writing`."""

    def __init__(self, path: Path, files: contextlib.ExitStack) -> None:
        self.path = path
        self.rows = {row.key: row for row in _rows(path)}
        """Those that were there when it was opened, by key."""
        self._asked = set(self.rows)
        self._skipped = set(_skipped(path))
        self._files = files
        (path / MALFORMED).unlink(missing_ok=True)  # the benchmark is read again, and may have been mended
        self._lines: dict[str, LineWriter] = {}

    def has(self, task: PlannedQuestion) -> bool:
        """Whether it is known how this ended. Raises ConfigError when something else was asked under the same id."""
        if (row := self.rows.get(task.key)) is not None:
            self._check_same(row, task)
        return task.key in self._asked or (task.question.id, task.cell.resolution) in self._skipped

    def add(self, row: ResultRow) -> None:
        """Keep a row. Raises TrajectoryError when it cannot be written; a row of the same key is a mistake of ours."""
        assert row.key not in self._asked, f"{row.key} was asked twice"
        self._append(RESULTS, row.model_dump(mode="json"))
        self._asked.add(row.key)

    def exchange(self, rows: Iterable[ResultRow]) -> None:
        """Put rows in the places of those with their keys, all at once, before any is added."""
        assert RESULTS not in self._lines, "rows are exchanged before others are added"
        self.rows |= {row.key: row for row in rows}
        _write_rows(self.path, self.rows.values())

    def skip(self, task: PlannedQuestion) -> None:
        """Keep in mind that the image of this question is smaller than the resolution."""
        if not self.has(task):
            self._append(SKIPPED, {"question": task.question.id, "resolution": task.cell.resolution})
            self._skipped.add((task.question.id, task.cell.resolution))

    def keep_malformed(self, row: MalformedRow) -> None:
        """Keep what cannot be asked; those of an earlier reading of the benchmark are gone."""
        self._append(MALFORMED, asdict(row))

    def _check_same(self, row: ResultRow, task: PlannedQuestion) -> None:
        question = task.question
        asked = {"text": question.text, "truth": question.answer, "options": question.options}
        for field, now in asked.items():
            if (before := getattr(row, field)) != now:
                raise ConfigError(
                    f"the benchmark was changed since {self.path} was begun: the {field} of {question.id} was "
                    f"{shown(before)} and is now {shown(now)}. Choose another directory with out="
                )

    def _append(self, name: str, value: dict[str, Any]) -> None:
        if name not in self._lines:
            self._lines[name] = self._files.enter_context(LineWriter(self.path / name))
        self._lines[name].append(value)


@contextlib.contextmanager
def writing(path: str | Path, settings: RunSettings, *, retry_failed: bool = False) -> Iterator[RunDirectory]:
    """Begin a run in a directory, or go on with the one that is there.

    With `retry_failed` its failed rows are left out, but for those that have an answer, which can be judged again, and
    those whose time ran out.
    Raises ConfigError when it was made with other settings (naming them; a larger limit is none, and another judge is
    none until one has decided something), or it cannot be made; LockedError where another process writes to it;
    TrajectoryError, naming file and line, for a line that is damaged.
    """
    path = Path(path)
    with contextlib.ExitStack() as files:
        try:
            private_directory(path)
            doing = f"evaluating {settings.policy} on {settings.benchmark}"
            files.enter_context(locked(path, doing, instead="choose another directory with out="))
            _settle(path, settings)
            if retry_failed:
                _drop_failed(path)
        except OSError as error:
            raise ConfigError(
                f"a run cannot be kept in {path} ({error.strerror or error}): choose another directory with out="
            ) from error
        yield RunDirectory(path, files)


def _settle(path: Path, settings: RunSettings) -> None:
    """Write the settings, or see that they are those which are there."""
    now = settings.to_json()
    if (path / SETTINGS).exists():
        before = {"start": 0, "limit": None, **_stored_settings(path)}  # earlier versions had no start
        if not (found := differing([before, now])):
            return
        if found.keys() - _may_change(path, before, now):
            changes = (
                f"{name} was {shown(before)} and is now {shown(after)}" for name, (before, after) in found.items()
            )
            raise ConfigError(
                f"{path} holds a run with other settings: {'; '.join(changes)}. "
                "Choose another directory with out=, or the same settings to go on with that run"
            )
    elif (path / RESULTS).exists():
        raise ConfigError(
            f"{path} has {RESULTS} but no {SETTINGS}, so nobody knows what was asked: choose another directory with "
            "out="
        )
    with atomic_write(path / SETTINGS) as file:
        file.write(json_line(now, indent=2))


def _may_change(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """The settings that a run may go on with others of: a judge until one has decided something, and a larger limit."""
    free = set() if any(row.rule is Rule.JUDGE for row in _rows(path)) else {"judge"}
    if isinstance(before["limit"], int) and (now["limit"] is None or now["limit"] > before["limit"]):
        free.add("limit")
    return free


def _drop_failed(path: Path) -> None:
    """Failed rows that have an answer stay, for only the judge failed; those whose time ran out go."""
    _write_rows(path, [row for row in _rows(path) if not _is_asked_again(row)])


def _is_asked_again(row: ResultRow) -> bool:
    return row.timed_out or (row.status is Status.FAILED and row.answer is None)


def _write_rows(path: Path, rows: Iterable[ResultRow]) -> None:
    try:
        with atomic_write(path / RESULTS) as file:
            file.writelines(json_line(row.model_dump(mode="json")) for row in rows)
    except OSError as error:
        raise TrajectoryError(
            f"{path / RESULTS} cannot be written ({error.strerror or error}): make room, and run the same again"
        ) from error


def _stored_settings(directory: Path) -> dict[str, Any]:
    path = directory / SETTINGS
    try:
        value = parse_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(f"{directory} holds no run: there is no {SETTINGS}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}): choose another directory") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is damaged (not a JSON object): choose another directory")
    return value


def _rows(directory: Path) -> Iterator[ResultRow]:
    path = directory / RESULTS
    seen: set[str] = set()
    for number, value in read_lines(path):
        try:
            row = ResultRow.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise corrupt(path, number, f"{where}: {first['msg']}") from error
        if row.key in seen:
            raise corrupt(path, number, f"a second row of {row.key!r}")
        seen.add(row.key)
        yield row


def _skipped(directory: Path) -> set[tuple[str, int | None]]:
    path = directory / SKIPPED
    try:
        return {(value["question"], value["resolution"]) for _, value in read_lines(path)}
    except (KeyError, TypeError) as error:
        raise TrajectoryError(f"{path} is damaged ({error}): delete it, and its images are looked at again") from error
