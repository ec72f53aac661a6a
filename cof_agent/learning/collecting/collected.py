"""A collection on disk: `trajectories.jsonl` and `images/`, `rows.jsonl` beside them, and `report.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import Field, ValidationError

from cof_agent.agent.record import Record
from cof_agent.agent.trajectory import Trajectory
from cof_agent.agent.trajectory_file import IMAGES, LINES
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.evaluation.question import Role
from cof_agent.evaluation.results import SETTINGS
from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.settings import RunSettings
from cof_agent.files import atomic_write, corrupt, json_line, parse_json, private_directory, read_lines
from cof_agent.images.reference import ImageRef
from cof_agent.images.store import DirectoryStore
from cof_agent.learning.collecting.candidate import Candidate, Looks
from cof_agent.learning.collecting.selection import Mix, share
from cof_agent.learning.collecting.tried import Reason

TRIED = "tried"
ROWS = "rows.jsonl"
REPORT = "report.json"


class CollectedRow(Record):
    """What is known of a kept trajectory beside itself: a line of `rows.jsonl`."""

    schema_version: int = Field(default=1, alias="schema")
    id: str
    """Unique in a collection: question and cell."""
    question: str
    """The question's id in its benchmark."""
    category: str
    cell: Cell
    kind: Looks
    zooms: int
    """Regions that were shown."""
    refused: int
    """Turns and calls that were refused on the way."""
    truth: str
    """The right answer: the letter of an option, or the text; `cannot answer` where it was right to decline."""
    options: tuple[str, ...]
    role: Role
    """Of the benchmark. It is `test` only where somebody allowed it: figures on that set are then worthless."""
    policy: str
    benchmark: str
    profile_digest: str
    """Of the policy's own profile, before any overview budget; the report holds the profile."""
    position: int
    """Of its trajectory in `trajectories.jsonl`, from 0."""


class CollectionEnd(StrEnum):
    """Why no more questions were tried."""

    ENOUGH = "enough"
    """There are rows enough and, in an even mix, of each way of looking its share."""
    LIMIT = "limit"
    """As many were tried as might be."""
    NO_MORE = "no_more"
    """The benchmark has no more."""
    NO_FORMAT = "no_format"
    """Not one run was in the right format."""


class BalanceCell(Record):
    """One cell of the balance table."""

    kind: Looks
    category: str
    resolution: int | None
    budget: int | None
    found: int
    """Runs with the right answer in the right format."""
    kept: int


class CollectionReport(Record):
    """What was tried and what became of it: `report.json`."""

    schema_version: int = Field(default=1, alias="schema")
    settings: RunSettings
    """Under which the policy was asked."""
    count: int
    """Rows that were wanted."""
    mix: Mix = Mix.EVEN
    """By which rule the good runs were mixed."""
    limit: int
    """Questions that might have been tried at most."""
    ended: CollectionEnd
    """Why no more were tried."""
    questions: int
    """Questions that were tried, each under every setting."""
    tried: int
    """Runs: all of them are kept or dropped."""
    kept: int
    dropped: dict[Reason, int]
    """By the first reason that holds."""
    malformed: int
    """Rows of the benchmark that could not be asked."""
    skipped: int
    """Runs that never were, because the image is smaller than their resolution."""
    kinds: dict[Looks, int]
    """Kept rows by how often the policy looked closer."""
    balance: tuple[BalanceCell, ...]

    @property
    def short(self) -> dict[Looks, int]:
        """The ways of looking of which fewer rows were kept than their share, with what they lack.

        None in a natural mix, where no way of looking has a share.
        """
        if self.mix is Mix.NATURAL:
            return {}
        return {kind: share(self.count) - kept for kind, kept in self.kinds.items() if kept < share(self.count)}


def read_rows(directory: str | Path) -> Iterator[CollectedRow]:
    """The lines of a collection's `rows.jsonl`, in order. Raises TrajectoryError, naming file and line, for damage."""
    path = Path(directory) / ROWS
    if not path.exists():
        raise TrajectoryError(f"{directory} holds no finished collection: there is no {ROWS}; collect into it again")
    for number, value in read_lines(path):
        try:
            yield CollectedRow.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise corrupt(path, number, f"{where}: {first['msg']}") from error


def check_directory(out: Path) -> None:
    """See that nothing of anybody else's would be lost in `out`. Raises ConfigError."""
    try:
        there = {entry.name for entry in out.iterdir() if not entry.name.startswith(".")}
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"nothing can be collected in {out}: {error.strerror or error}; choose another") from error
    ours = {LINES, IMAGES, ROWS, REPORT}
    if foreign := sorted(there - ours - {TRIED}):
        raise ConfigError(f"{out} holds other files ({', '.join(foreign[:3])}): choose a new directory with out=")
    if there & ours and not (out / TRIED / SETTINGS).exists():
        raise ConfigError(
            f"{out} holds trajectories, but not the runs they were chosen from ({TRIED}/): "
            "choose a new directory with out="
        )


def write_collected(
    out: Path, tried: Path, kept: Sequence[Candidate], rows: Iterable[CollectedRow], report: CollectionReport
) -> None:
    """Write a collection; an older one in `out` is replaced. `tried` is where all trajectories are.

    Each file appears whole or not at all, the report last: without it, a collection is unfinished. Images that no
    trajectory refers to any more are deleted. Raises TrajectoryError where something cannot be written, and ImageError
    for an image that is missing.
    """
    try:
        private_directory(out)
        for name in (REPORT, ROWS):  # what tells of trajectories must not outlive them
            (out / name).unlink(missing_ok=True)
        source, images = DirectoryStore(tried / IMAGES), DirectoryStore(out / IMAGES)
        refs: set[ImageRef] = set()
        with atomic_write(out / LINES) as file:
            for line in _lines_at(tried / LINES, [candidate.offset for candidate in kept]):
                for ref in Trajectory.from_json(parse_json(line)).image_refs:
                    if ref not in refs:
                        images.put(ref, source.get(ref))
                        refs.add(ref)
                file.write(line.rstrip(b"\n") + b"\n")
        with atomic_write(out / ROWS) as file:
            file.writelines(json_line(row.model_dump(mode="json")) for row in rows)
        images.prune(refs)
        with atomic_write(out / REPORT) as file:
            file.write(json_line(report.model_dump(mode="json"), indent=2))
    except OSError as error:
        raise TrajectoryError(
            f"{out} cannot be written ({error.strerror or error}): make room, or choose another directory with out="
        ) from error


def _lines_at(path: Path, offsets: Sequence[int]) -> Iterator[bytes]:
    """The lines of a file that begin there; the file need not exist where none is asked for."""
    if offsets:
        with path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield file.readline()
