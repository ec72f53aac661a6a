"""Trajectories on disk: one JSON line each, beside content-addressed images."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cof_agent.agent.trajectory import ID, Trajectory
from cof_agent.errors import ImageError, TrajectoryError
from cof_agent.files import json_line, owner_only, parse_json, private_directory
from cof_agent.images.codecs.metadata import stripped
from cof_agent.images.opening import load_image
from cof_agent.images.store import DirectoryStore, ImageStore, MemoryStore

log = logging.getLogger(__name__)

LINES = "trajectories.jsonl"
IMAGES = "images"

_writing = threading.Lock()


def prepare_directory(directory: str | Path) -> None:
    """Make sure that trajectories can be saved there, before work is spent on one. Raises TrajectoryError."""
    try:
        private_directory(Path(directory) / IMAGES)
        open(Path(directory) / LINES, "ab", opener=owner_only).close()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) else None
        raise TrajectoryError(
            f"cannot save trajectories under {directory}: {why or error}; choose another directory"
        ) from error


def save_trajectory(trajectory: Trajectory, directory: str | Path, store: ImageStore) -> Path:
    """Append a line to `DIRECTORY/trajectories.jsonl` and put its images, taken from `store`, in `DIRECTORY/images`.

    The images are written first, so a line never refers to one that is missing. A crash leaves at most one torn
    last line: earlier lines stay as they are and the next line starts on its own. Returns the file's path; raises
    TrajectoryError when it cannot be written or `store` lacks an image.
    """
    path = Path(directory) / LINES
    line = json_line({ID: trajectory.id, **trajectory.to_json()})
    try:
        private_directory(path.parent)
        images = DirectoryStore(path.parent / IMAGES)
        for ref in trajectory.image_refs:
            if ref not in images and ref.is_kept:
                images.put(ref, store.get(ref))
        # Unbuffered: one write, which is whole among those of other processes.
        with _writing, open(path, "ab+", buffering=0, opener=owner_only) as file:
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError("only a part could be written: is the disk full?")
            os.fsync(file.fileno())
    except (OSError, ValueError) as error:  # an image that is lost, or a NUL in the name
        why = error.strerror if isinstance(error, OSError) else None
        raise TrajectoryError(f"cannot save a trajectory under {directory}: {why or error}") from error
    return path


def without_metadata(trajectory: Trajectory, store: ImageStore) -> tuple[Trajectory, ImageStore]:
    """The same run, about images without their metadata, and a store that has its images.

    Raises TrajectoryError where `store` lacks one of them.
    """
    images, named, originals = MemoryStore(), trajectory.image.source, []
    try:
        for view in trajectory.views:
            images.put(view.image, store.get(view.image))
        for given in trajectory.images:
            named = given.source
            source = stripped(load_image(given.ref, store, name=named))
            if source.data:
                images.put(source.ref, source.data)
            ref = source.ref
            changed = {"sha256": ref.sha256, "mime_type": ref.mime_type, "page": ref.page, "file": ref.file}
            originals.append(given.model_copy(update={**changed, "pages": None}))
    except ImageError as error:
        raise TrajectoryError(f"cannot take the metadata out of {named}: {error}") from error
    return trajectory.model_copy(update={"image": originals[0], "other_images": tuple(originals[1:])}), images


def has_several_images(path: str | Path) -> bool:
    """Whether a trajectory in `trajectories.jsonl` of the directory `path` is about several images."""
    with (Path(path) / LINES).open("rb") as file:
        return any(b'"other_images":' in line and _is_of_several(line) for line in file)


def _is_of_several(line: bytes) -> bool:
    try:
        return "other_images" in parse_json(line)
    except (ValueError, TypeError):  # torn, or no trajectory: whoever reads it says so
        return False


def read_trajectories(path: str | Path) -> Iterator[Trajectory]:
    """The trajectories of a file, or of the `trajectories.jsonl` in a directory, in order.

    A line that a crash has torn is skipped with a warning. Raises TrajectoryError, naming file and line, for a
    file that cannot be read and for a whole line that is no trajectory.
    """
    return (located.trajectory for located in located_trajectories(path))


@dataclass(frozen=True, slots=True)
class LocatedTrajectory:
    """A trajectory in its file."""

    offset: int
    """Where its line begins, in bytes."""
    id: str
    """As it was when the line was written: a later version may know more of a trajectory, and compute another."""
    trajectory: Trajectory


def located_trajectories(path: str | Path) -> Iterator[LocatedTrajectory]:
    """As `read_trajectories`, each with its id and its place in the file."""
    path = Path(path)
    path = path / LINES if path.is_dir() else path
    try:
        file = path.open("rb")
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read: {error.strerror or error}") from error
    end = 0
    with file:
        for number, line in enumerate(file, start=1):
            begin, end = end, end + len(line)
            if not line.strip():
                continue
            try:
                value = parse_json(line)
            except ValueError:
                log.warning("%s line %d is torn (a crash while it was written?) and was skipped", path, number)
                continue
            try:
                trajectory = Trajectory.from_json(value)
            except TrajectoryError as error:
                raise TrajectoryError(f"{path} line {number}: {error}") from error
            yield LocatedTrajectory(begin, str(value.get(ID) or trajectory.id), trajectory)
