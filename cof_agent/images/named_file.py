"""A file that data names, inside of the directory that the data came with."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath

_BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPOSITORY = re.compile(r"(datasets|models|spaces)--.+")
_SHARED = ".huggingface-shared-blobs"
"""Marks the directory where version 2 of the hub's client keeps the content of several repositories."""


class NamedFileError(ValueError):
    """Data names a file that is not there, or that lies elsewhere. The message goes on from the file's name."""


def named_file(name: str, root: Path, folders: Sequence[str] = ("",)) -> Path:
    """The file that data in `root` calls `name`, in the first of `folders` of `root` that has it.

    A name may be written in another Unicode normalisation than the file's own, and with backslashes between folders,
    unless there is a file of just that name. Raises NamedFileError where there is none, or it leads out of `root`.
    """
    leads_out = False
    for spelling in _spellings(name):
        for folder in folders:
            path = root / folder / spelling
            if not _is_below(os.path.normpath(path), os.path.normpath(root)):
                leads_out = True
            elif (file := _file(root / folder, spelling)) is not None:
                if is_inside(file, root):
                    return file
                leads_out = True
    if leads_out:
        raise NamedFileError(f"leads out of {root}: put the file itself there, and name it from there")
    raise NamedFileError(f"is not a file in {' or '.join(str(root / folder) for folder in folders)}")


def is_inside(path: Path, root: Path) -> bool:
    """Whether `path`, all symbolic links resolved, lies in `root`.

    The cache of the Hugging Face hub keeps the content of files beside its snapshots, and links to it: this is inside.
    """
    real, base = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if real.is_relative_to(base):
        return True
    folder, above = real.parent, real.parent.parent
    named_by_hash = _BLOB.fullmatch(real.name) is not None
    if folder.name == "blobs" and _REPOSITORY.fullmatch(above.name):
        # Earlier versions of the client also linked to it from a directory of one's own.
        return named_by_hash or base.is_relative_to(above / "snapshots")
    return named_by_hash and above.name == "blobs" and real.name.startswith(folder.name) and (above / _SHARED).is_file()


def _is_below(path: str, root: str) -> bool:
    return Path(path).is_relative_to(root)


def _spellings(name: str) -> Iterator[str]:
    yield name
    if "\\" in name:  # written on Windows
        yield name.replace("\\", "/")


def _file(directory: Path, name: str) -> Path | None:
    """The regular file `name`, in whichever Unicode normalisation its parts are written there; None without one."""
    here = directory
    for part in PurePath(name).parts:
        try:
            here = here / part if os.path.lexists(here / part) else here / _listed(here)[_form(part)]
        except (OSError, ValueError, KeyError):  # ValueError: a NUL in the name
            return None
    try:
        return here if stat.S_ISREG(os.stat(here).st_mode) else None
    except OSError:
        return None


def _listed(directory: Path) -> Mapping[str, str]:
    """The names in a directory whose form matters, by their composed form."""
    return _names(str(directory), os.stat(directory).st_mtime_ns)


@lru_cache(maxsize=32)
def _names(directory: str, changed: int) -> Mapping[str, str]:
    return {_form(name): name for name in sorted(os.listdir(directory), reverse=True) if not name.isascii()}


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)
