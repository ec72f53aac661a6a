"""Where the bytes of images are kept, by the hash in their reference."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from cof_agent.errors import StoreError
from cof_agent.files import atomic_write, private_directory
from cof_agent.images.receiving.regular_file import read_regular
from cof_agent.images.reference import ImageRef

_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "image/jp2": "jp2",
    "image/avif": "avif",
    "application/pdf": "pdf",
}

_ABANDONED_SECONDS = 3600
"""Age after which an unfinished file must be the rest of a process that died."""


@runtime_checkable
class ImageStore(Protocol):
    """Keeps encoded images. Safe to call from several threads."""

    def put(self, ref: ImageRef, data: bytes) -> None:
        """Keep `data` under `ref`; storing an image again is harmless. Raises StoreError when it cannot be kept."""

    def get(self, ref: ImageRef) -> bytes:
        """The bytes kept under `ref`. Raises StoreError, naming hash and store, when they are missing."""

    def __contains__(self, ref: object) -> bool:
        """Whether `get` would find `ref`."""

    def prune(self, keep: Iterable[ImageRef]) -> int:
        """Delete every image that is not in `keep` and return how many those were."""


class MemoryStore:
    """Images in this process's memory, up to `max_bytes` together: the one unused for longest leaves first."""

    def __init__(self, max_bytes: int = 512 * 2**20) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0

    def __repr__(self) -> str:
        return f"MemoryStore(max_bytes={self.max_bytes})"

    def put(self, ref: ImageRef, data: bytes) -> None:
        if len(data) > self.max_bytes:
            raise StoreError(
                f"{ref.url} has {len(data):,} bytes, more than all of {self!r}: raise max_bytes or use a DirectoryStore"
            )
        with self._lock:
            self._drop(ref.sha256)
            self._images[ref.sha256] = data
            self._held += len(data)
            while self._held > self.max_bytes:
                self._drop(next(iter(self._images)))

    def get(self, ref: ImageRef) -> bytes:
        with self._lock:
            data = self._images.get(ref.sha256)
            if data is None:
                raise StoreError(
                    f"{ref.url} is not in {self!r}: it was never put there, was pruned, or left when the store was "
                    "full; open the image again, raise max_bytes, or use a DirectoryStore, which outlives the process"
                )
            self._images.move_to_end(ref.sha256)
            return data

    def __contains__(self, ref: object) -> bool:
        with self._lock:
            return isinstance(ref, ImageRef) and ref.sha256 in self._images

    def prune(self, keep: Iterable[ImageRef]) -> int:
        kept = {ref.sha256 for ref in keep}
        with self._lock:
            gone = [sha256 for sha256 in self._images if sha256 not in kept]
            for sha256 in gone:
                self._drop(sha256)
        return len(gone)

    def _drop(self, sha256: str) -> None:
        self._held -= len(self._images.pop(sha256, b""))


class DirectoryStore:
    """Images as files `<sha256>.<extension>` in one directory, which is made when the first image is put.

    A file appears whole or not at all, so several processes may share the directory, and one that is killed leaves
    nothing that is read. The files, and a directory that is made, are for their owner alone; a directory that is there
    keeps its permissions. Files are not flushed to the disk one by one; after a power failure an image may be missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self.path)!r})"

    def put(self, ref: ImageRef, data: bytes) -> None:
        target = self._file(ref)
        try:
            if _length(target) == len(data):
                return
            private_directory(self.path)
            _write(target, data)
        except OSError as error:
            raise StoreError(
                f"{ref.url} cannot be kept in {self!r} ({error.strerror or error}): "
                "check that the directory can be written and the disk has room"
            ) from error

    def get(self, ref: ImageRef) -> bytes:
        try:
            data = read_regular(self._file(ref))
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise StoreError(
                f"{ref.url} cannot be read from {self!r} ({error.strerror or error}): check the file's permissions"
            ) from error
        if not data:
            raise StoreError(
                f"{ref.url} is not in {self!r}: it was never put there, was pruned, or the directory is another one; "
                "open the image again, or use the store it was put in"
            )
        return data

    def __contains__(self, ref: object) -> bool:
        return isinstance(ref, ImageRef) and _length(self._file(ref)) > 0

    def prune(self, keep: Iterable[ImageRef]) -> int:
        kept = {self._file(ref).name for ref in keep}
        removed = 0
        try:
            files = [Path(entry.path) for entry in os.scandir(self.path) if entry.is_file()]
        except FileNotFoundError:
            return 0
        for file in files:
            if _is_image(file) and file.name not in kept:
                removed += _remove(file)
            elif _is_abandoned(file):
                _remove(file)
        return removed

    def _file(self, ref: ImageRef) -> Path:
        return self.path / f"{ref.sha256}.{_EXTENSIONS.get(ref.mime_type, 'bin')}"


def _write(target: Path, data: bytes) -> None:
    try:
        with atomic_write(target, shared=True, durable=False) as file:
            file.write(data)
    except PermissionError:
        # Windows refuses to replace a file that another process is reading; the same hash is the same content.
        if _length(target) != len(data):
            raise


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def _is_image(file: Path) -> bool:
    return len(file.stem) == 64 and file.suffix[1:] in {*_EXTENSIONS.values(), "bin"}


def _is_abandoned(file: Path) -> bool:
    if not (file.name.startswith(".") and file.suffix == ".part"):
        return False
    try:
        return time.time() - file.stat().st_mtime > _ABANDONED_SECONDS
    except OSError:
        return False


def _remove(file: Path) -> bool:
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(
            f"{file} cannot be deleted ({error.strerror or error}): check the directory's permissions"
        ) from error
    return True
