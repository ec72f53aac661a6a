"""A file is there whole or not at all, and values become JSON whatever is in them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cof_agent.errors import LockedError
from cof_agent.files import (
    LOCK,
    LineWriter,
    atomic_directory,
    atomic_write,
    json_line,
    locked,
    private_directory,
)


def test_a_file_has_its_name_only_when_all_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    (tmp_path / ".data.json.part").write_bytes(b"left by a process that died, and longer than what is written now")
    for content in (b"old", b"new"):
        with atomic_write(path) as file:
            file.write(content)
            assert path.exists() is (content == b"new")
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_half_of_a_surrogate_pair_is_written_and_read(tmp_path: Path) -> None:
    value = {"text": "a\ud800b", "more": "ä"}
    line = json_line(value)
    assert line.endswith(b"\n")
    assert "ä".encode() in line
    assert json.loads(line) == value


def test_a_lock_excludes_everybody_else_and_names_its_holder(tmp_path: Path) -> None:
    with locked(tmp_path, "exporting for trl"):
        with (
            pytest.raises(
                LockedError, match=rf"^{re.escape(str(tmp_path))} is in use: this process has been exporting"
            ),
            locked(tmp_path, "exporting for verl"),
        ):
            pass
        with locked(tmp_path, "something else", name=".other.lock"):
            pass
        with ThreadPoolExecutor(1) as threads, pytest.raises(LockedError, match=r"or choose another directory$"):
            threads.submit(locked(tmp_path, "exporting").__enter__).result()
    assert list(tmp_path.iterdir()) == [], "a lock that is free leaves no file"
    with locked(tmp_path, "exporting again"):
        pass


def test_what_a_dead_process_left_is_no_lock(tmp_path: Path) -> None:
    left = {"pid": 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00", "doing": "exporting"}
    (tmp_path / LOCK).write_bytes(json_line(left) * 3)  # longer than what is written now
    with locked(tmp_path, "exporting"):
        assert json.loads((tmp_path / LOCK).read_bytes())["pid"] == os.getpid()


def test_a_lock_that_names_nobody_is_a_lock(tmp_path: Path) -> None:
    with locked(tmp_path, "exporting"):
        (tmp_path / LOCK).write_bytes(b"\xff{")
        said = r"the runs is in use: another process has it\. Wait .* or take another$"
        again = locked(tmp_path, "exporting", what="the runs", instead="take another")
        with pytest.raises(LockedError, match=said), again:
            pass


def test_a_lock_of_an_exception_is_free(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path, "exporting"):
        raise KeyboardInterrupt
    with locked(tmp_path, "exporting"):
        pass


def test_many_threads_never_hold_one_lock_at_once(tmp_path: Path) -> None:
    """The file is removed at the end of each turn: whoever had opened the removed one must not count as holder."""
    inside, most, turns = 0, 0, 0
    counting = threading.Lock()

    def take(_: int) -> None:
        nonlocal inside, most, turns
        with contextlib.suppress(LockedError), locked(tmp_path, "counting"):
            with counting:
                inside, turns = inside + 1, turns + 1
                most = max(most, inside)
            with counting:
                inside -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(take, range(400)))
    assert (most, turns > 0) == (1, True)


def test_a_directory_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    said = r"none cannot be locked \(No such file or directory\): make it writable"
    with pytest.raises(LockedError, match=said), locked(tmp_path / "none", "exporting"):
        pass


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """The system's default lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.usefixtures("open_to_all")
class TestWhoMayRead:
    def test_new_files_and_directories_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        private_directory(tmp_path / "a" / "b")
        with atomic_write(tmp_path / "a" / "b" / "whole.json") as file:
            file.write(b"{}")
        with LineWriter(tmp_path / "a" / "lines.jsonl") as lines:
            lines.append({})
        with atomic_directory(tmp_path / "c" / "d") as part:
            assert mode(part) == 0o700
        assert [mode(tmp_path / name) for name in ("a", "a/b", "c", "c/d")] == [0o700] * 4
        assert [mode(tmp_path / name) for name in ("a/b/whole.json", "a/lines.jsonl")] == [0o600] * 2

    def test_what_was_there_keeps_its_permissions(self, tmp_path: Path) -> None:
        for name, given in (("whole.json", 0o644), ("lines.jsonl", 0o640)):
            (tmp_path / name).touch()
            (tmp_path / name).chmod(given)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder").chmod(0o751)
        private_directory(tmp_path / "folder")
        for _ in range(2):
            with atomic_write(tmp_path / "whole.json") as file:
                file.write(b"{}")
            with LineWriter(tmp_path / "lines.jsonl") as lines:
                lines.append({})
            with atomic_directory(tmp_path / "folder"):
                pass
        assert [mode(tmp_path / name) for name in ("whole.json", "lines.jsonl", "folder")] == [0o644, 0o640, 0o751]

    def test_a_directory_that_a_group_shares_is_shared(self, tmp_path: Path) -> None:
        (tmp_path / "team").mkdir()
        (tmp_path / "team").chmod(0o2770)
        private_directory(tmp_path / "team" / "runs")
        with atomic_write(tmp_path / "team" / "whole.json") as file:
            file.write(b"{}")
        assert (mode(tmp_path / "team" / "runs") & 0o777, mode(tmp_path / "team" / "whole.json")) == (0o770, 0o660)

    def test_what_is_meant_for_others_is_as_the_system_says(self, tmp_path: Path) -> None:
        with atomic_write(tmp_path / "page.html", private=False) as file:
            file.write(b"")
        with atomic_directory(tmp_path / "model", private=False):
            pass
        assert (mode(tmp_path / "page.html"), mode(tmp_path / "model")) == (0o666, 0o777)

    def test_nothing_is_written_through_a_link_in_the_place_of_a_part(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"mine")
        (tmp_path / ".data.json.part").symlink_to(tmp_path / "other")
        with atomic_write(tmp_path / "data.json") as file:
            file.write(b"{}")
        assert ((tmp_path / "other").read_bytes(), (tmp_path / "data.json").read_bytes()) == (b"mine", b"{}")
