"""A file is there whole or not at all, and values become JSON whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cof_agent.files import atomic_write, json_line


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
