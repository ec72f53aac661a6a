"""The memory store and the directory store."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cof_agent.errors import ImageError
from cof_agent.images import ImageRef
from cof_agent.images import store as store_module
from cof_agent.images.store import DirectoryStore, ImageStore, MemoryStore


def item(content: str, size: int = 100, mime_type: str = "image/png") -> tuple[ImageRef, bytes]:
    data = content.encode().ljust(size, b".")
    return ImageRef(hashlib.sha256(data).hexdigest(), mime_type, 1, 1), data


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path / "new" / "images")


def test_put_get_contains_prune(store: ImageStore) -> None:
    assert isinstance(store, ImageStore)
    items = [
        item(name, mime_type=kind) for name, kind in (("a", "image/png"), ("b", "image/jpeg"), ("c", "image/x-odd"))
    ]
    assert store.prune([]) == 0
    for ref, data in items:
        assert ref not in store
        store.put(ref, data)
        store.put(ref, data)
        assert ref in store
        assert store.get(ref) == data
    assert "a" not in store
    assert store.prune([items[1][0]]) == 2
    assert [ref in store for ref, _ in items] == [False, True, False]
    assert store.prune([items[1][0]]) == 0


def test_missing_names_hash_and_store(store: ImageStore) -> None:
    ref, _ = item("a")
    with pytest.raises(ImageError, match=f"{ref.url} is not in .*Store\\(") as caught:
        store.get(ref)
    assert repr(store) in str(caught.value)


def test_memory_store_lets_the_one_unused_for_longest_go() -> None:
    store = MemoryStore(max_bytes=300)
    items = [item(name) for name in "abcd"]
    for ref, data in items[:3]:
        store.put(ref, data)
    store.get(items[0][0])
    store.put(*items[3])
    assert [ref in store for ref, _ in items] == [True, False, True, True]
    with pytest.raises(ImageError, match="max_bytes"):
        store.get(items[1][0])


def test_memory_store_refuses_what_can_never_fit() -> None:
    store = MemoryStore(max_bytes=300)
    store.put(*item("a"))
    with pytest.raises(ImageError, match="301 bytes"):
        store.put(*item("b", 301))
    assert item("a")[0] in store


def test_directory_store_names_files_by_hash(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (png, data), (jpeg, other) = item("a"), item("b", mime_type="image/jpeg")
    store.put(png, data)
    store.put(jpeg, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{png.sha256}.png", f"{jpeg.sha256}.jpg"])
    assert DirectoryStore(str(tmp_path)).get(png) == data


def test_directory_store_makes_nothing_until_it_is_used(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "images")
    assert item("a")[0] not in store
    assert store.prune([]) == 0
    assert not list(tmp_path.iterdir())


def test_directory_store_mends_a_file_cut_short(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    ref, data = item("a")
    for rest in (b"", data[:50]):
        (tmp_path / f"{ref.sha256}.png").write_bytes(rest)
        store.put(ref, data)
        assert store.get(ref) == data
    (tmp_path / f"{ref.sha256}.png").write_bytes(b"")
    assert ref not in store
    with pytest.raises(ImageError, match="is not in"):
        store.get(ref)


def test_prune_leaves_what_is_not_the_stores(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put(*item("a"))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "subdirectory.png").mkdir()
    part, abandoned = tmp_path / ".x.1.aa.part", tmp_path / ".x.2.bb.part"
    for path in (part, abandoned):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    assert store.prune([]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.1.aa.part", "notes.txt", "subdirectory.png"]


def test_directory_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    store = DirectoryStore(tmp_path / "file")
    with pytest.raises(ImageError, match=r"cannot be kept in DirectoryStore.*check that the directory can be written"):
        store.put(*item("a"))
    with pytest.raises(ImageError, match="cannot be read from"):
        store.get(item("a")[0])


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "replace", full)
    with pytest.raises(ImageError, match="No space left"):
        DirectoryStore(tmp_path).put(*item("a"))
    assert not list(tmp_path.iterdir())


def in_threads(count: int, work: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_threads_share_a_store(store: ImageStore) -> None:
    items = [item(str(number), 5000) for number in range(20)]

    def work() -> None:
        for ref, data in items:
            store.put(ref, data)
            assert store.get(ref) == data

    in_threads(8, work)


def test_memory_store_counts_right_under_threads() -> None:
    store = MemoryStore(max_bytes=1000)
    items = [item(str(number)) for number in range(40)]

    def work() -> None:
        for ref, data in items:
            store.put(ref, data)
            store.prune([ref])

    in_threads(6, work)
    assert store.prune([]) <= 10
    assert store._held == 0
