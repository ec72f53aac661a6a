"""A regular file, opened without waiting for anybody and, where that matters, without passing a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

_READ = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO would otherwise wait for somebody to write to it
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class SpecialFileError(OSError):
    """A directory, device, pipe or socket stands where a file should. The message says which."""


def open_regular(path: str | os.PathLike[str], *, links: bool = True) -> BinaryIO:
    """A regular file, opened for reading.

    Without `links`, no part of `path` may be a symbolic link at the moment of opening. Whoever has resolved and
    checked a path opens it so: a directory that was replaced by a link meanwhile leads nowhere.

    Raises SpecialFileError for anything but a file, and OSError where it cannot be opened.
    """
    text = os.fspath(path)
    # Looked at first as well: to open a device may already do something.
    _check_kind(os.stat(text, follow_symlinks=links))
    descriptor = os.open(text, _READ) if links else _without_links(text)
    try:
        _check_kind(os.fstat(descriptor))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def size_of(file: BinaryIO) -> int:
    """The bytes that an opened file says it has. Those of `/proc` say 0."""
    return os.fstat(file.fileno()).st_size


def read_at_most(file: BinaryIO, most: int) -> bytes:
    """The content of an opened file, its first `most` bytes if it has more."""
    size = size_of(file)
    data = _some(file.read(min(size + 1, most)))
    if len(data) > size:  # it grows, or it does not tell its size
        data += _some(file.read(most - len(data)))
    return data


def read_regular(path: str | os.PathLike[str], *, links: bool = True) -> bytes:
    """The content of a regular file. Raises as `open_regular`."""
    with open_regular(path, links=links) as file:
        return _some(file.read())


def _without_links(path: str) -> int:
    try:
        return _open_without_links(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):  # which systems say of a link
            raise SpecialFileError("a symbolic link") from error
        raise


def _some(data: bytes | None) -> bytes:
    if data is None:  # a file of the kernel that has nothing to tell yet
        raise BlockingIOError(errno.EAGAIN, "there is nothing in it to read now")
    return data


def _check_kind(status: os.stat_result) -> None:
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        raise SpecialFileError(
            "a directory"
            if stat.S_ISDIR(mode)
            else "a symbolic link"
            if stat.S_ISLNK(mode)
            else "a socket"
            if stat.S_ISSOCK(mode)
            else "a device or pipe"
        )


if sys.platform == "win32":

    def _open_without_links(path: str) -> int:
        descriptor = os.open(path, _READ)
        try:
            if os.path.normcase(_final_path(descriptor)) != os.path.normcase(_plain(os.path.abspath(path))):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _final_path(descriptor: int) -> str:
        """Where an opened file lies, as the system tells it."""
        import ctypes
        import msvcrt

        final = ctypes.WinDLL("kernel32", use_last_error=True).GetFinalPathNameByHandleW
        final.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32]
        final.restype = ctypes.c_uint32
        buffer = ctypes.create_unicode_buffer(32_768)  # the longest path that Windows knows
        if not 0 < final(msvcrt.get_osfhandle(descriptor), buffer, len(buffer), 0) < len(buffer):
            raise OSError(errno.EIO, "the system does not tell where the opened file lies")
        return _plain(buffer.value)

    def _plain(path: str) -> str:
        """A path without the prefix of those that may be long."""
        return path.replace("\\\\?\\UNC\\", "\\\\", 1).removeprefix("\\\\?\\")

elif sys.platform == "darwin":

    def _open_without_links(path: str) -> int:
        return os.open(path, _READ | os.O_NOFOLLOW_ANY)

else:

    def _open_without_links(path: str) -> int:
        """Opened directory by directory: the system has no other way to refuse a link in the middle."""
        step = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        first, *names = Path(os.path.abspath(path)).parts
        here = os.open(first, step)
        try:
            for name in names[:-1]:
                there = os.open(name, step, dir_fd=here)
                os.close(here)
                here = there
            return os.open(names[-1] if names else ".", _READ | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
