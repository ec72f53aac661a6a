"""Files that survive the sudden death of who writes them: atomic writes, JSON lines, and locks."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import secrets
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cof_agent.errors import LockedError, TrajectoryError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".cof-agent.lock"
_GUARD = 2**30
"""Windows locks this byte, far behind the text: whoever finds a locked file can read who holds it."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def owner_only(path: str, flags: int) -> int:
    """For `open(…, opener=owner_only)`: a file that is made is for its owner alone; one that is there stays as it is.

    In a directory that hands its group on to its files and lets it write (as `chmod g+ws` makes it), the group may too.
    """
    return os.open(path, flags, 0o660 if _is_of_a_group(Path(path).parent) else 0o600)


def private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for their owner alone; what is there stays as it is."""
    if path.is_dir():
        return
    private_directory(path.parent)
    path.mkdir(mode=0o770 if _is_of_a_group(path.parent) else 0o700, exist_ok=True)


def _is_of_a_group(directory: Path) -> bool:
    shared = stat.S_ISGID | stat.S_IWGRP
    return os.name == "posix" and directory.stat().st_mode & shared == shared


@contextlib.contextmanager
def atomic_write(
    path: Path, *, shared: bool = False, durable: bool = True, private: bool = True
) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when all is in it; if this raises, `path` is as it was.

    A process that is killed leaves a file `.NAME….part`, which the next writer of `path` replaces. `shared`: several
    processes may write the same path at once; each then has a part of its own. `durable`: the file is on the disk
    before it becomes `path`. `private`: a new file is for its owner alone, as `owner_only` says; else for whom the
    system's default says. A file that was there hands its permissions on.
    """
    own = f"{path.stem}.{os.getpid()}.{secrets.token_hex(4)}" if shared else path.name
    part = path.with_name(f".{own}.part")
    try:
        part.unlink(missing_ok=True)  # never written through: it may be a link that somebody else has put there
        with open(part, "xb", opener=owner_only if private else None) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        _hand_on(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path, *, private: bool = True) -> Iterator[Path]:
    """A directory to write in that becomes `path` at the end, in place of an older one; it vanishes if this raises.

    What a process that was killed has left beside `path` is removed first. `private`: it is for its owner alone; else
    for whom the system's default says. A directory that was there hands its permissions on.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        if private:
            private_directory(part.parent)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700 if private and not _is_of_a_group(part.parent) else 0o777)
        yield part
        _hand_on(path, part)
        if path.exists():
            shutil.rmtree(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _hand_on(old: Path, new: Path) -> None:
    """Give `new` the permissions of `old`, if that is there."""
    with contextlib.suppress(FileNotFoundError):
        os.chmod(new, stat.S_IMODE(old.stat().st_mode))


@contextlib.contextmanager
def locked(
    directory: Path,
    doing: str,
    *,
    name: str = LOCK,
    what: str | None = None,
    instead: str = "choose another directory",
) -> Iterator[None]:
    """Hold a lock in `directory`, which exists, so that nobody else holds it at the same time.

    `doing` says to others what the holder does, such as "exporting for trl". `name` is the lock's file: other names
    are other locks. `what` is in use then (default: the directory), and `instead` is what others can do but wait.
    The system frees the lock of a process that dies, however it dies. Threads of one process exclude each other too.
    Some network file systems have no locks: there nobody is excluded.

    Raises LockedError, which names the holder, at once where the lock is held, and where it cannot be made.
    """
    path = directory / name
    try:
        file = _locked_file(path)
    except OSError as error:
        raise LockedError(
            f"{directory} cannot be locked ({error.strerror or error}): make it writable, or {instead}"
        ) from error
    if file is None:
        raise LockedError(f"{what or directory} is in use: {_holder(path)}. Wait until it ends, or {instead}")
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "doing": doing}
        with contextlib.suppress(OSError):  # a full disk: the lock is held, if by nobody who has a name
            os.ftruncate(file, 0)
            os.write(file, json_line(holder))
        yield
    finally:
        if sys.platform != "win32":  # where a file that is open cannot be removed
            path.unlink(missing_ok=True)
        os.close(file)


def _locked_file(path: Path) -> int | None:
    """A descriptor of the file at `path` that holds its lock; None where another one does."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if not _lock(file):
                os.close(file)
                return None
            if _is_at(file, path):  # else its holder has removed it meanwhile: a lock that nobody else would see
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int) -> bool:
    """Whether the lock of an open file could be had."""
    try:
        if sys.platform == "win32":
            os.lseek(file, _GUARD, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}:
            return False
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    """Who holds the lock at `path`, as far as it has said so."""
    for _ in range(20):  # it writes its name right after it has the lock
        try:
            told = json.loads(path.read_bytes()[:4096])
            here = (told["pid"], told["host"]) == (os.getpid(), socket.gethostname())
            whose = "this process" if here else f"process {told['pid']} on {told['host']}"
            return f"{whose} has been {told['doing']} since {told['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.01)
    return "another process has it"


def json_line(value: Any, indent: int | None = None) -> bytes:
    """`value` as JSON in UTF-8 that ends with a newline. Half of a surrogate pair becomes an escape."""
    return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace") + b"\n"


def parse_json(data: str | bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError for whatever cannot be read, nesting too deep included."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


class LineWriter:
    """Appends JSON lines to a file, each with one write that goes to the system at once.

    A line is there even if this process is killed right after `append`. The disk gets it when the system thinks
    fit, and at the latest when the file is closed: after a power failure the last lines may be missing or torn.
    Opening cuts off a last line that is torn. Raises TrajectoryError when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = io.FileIO(path, "a+", opener=owner_only)
            whole = whole_bytes(path.read_bytes())
            if whole < self._file.seek(0, os.SEEK_END):
                self._file.truncate(whole)
        except OSError as error:
            raise self._refused(error) from error

    def append(self, value: Any) -> None:
        """One more line."""
        line = json_line(value)
        try:
            if self._file.write(line) != len(line):
                raise OSError("only a part could be written: is the disk full?")
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> LineWriter:
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
            yield number, parse_json(line)
        except ValueError as error:
            raise corrupt(path, number, error) from error


def corrupt(path: Path, number: int, why: object) -> TrajectoryError:
    """What is raised for a line that cannot be what it must be."""
    return TrajectoryError(
        f"{path} line {number} is damaged ({why}): delete that line, and its question will be asked again"
    )
