"""The further files of a slide: some formats keep the pixels beside the file that is named."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_source
from cof_agent.images.limits import ImageLimits

_BESIDE = (".dcm", ".vms", ".vmu")
"""Endings of slides whose further files lie in the same directory. Those of `.mrxs` lie in one of its own."""

_MOST_FILES = 20_000
_INDEX_BYTES = 4 * 2**20

_LEADS_AWAY = re.compile(rb"(?m)^[^=\r\n]*=[^\r\n]*(?:\.\.[\\/]|[\\/]\.\.|=\s*[\\/]|=\s*[A-Za-z]:[\\/])")
"""A value of an index that leads out of its directory."""


def check_companions(path: str, limits: ImageLimits) -> None:
    """Raise ImageError where a slide leads to files outside of its directory, or `limits` do not allow one of them."""
    name, ending = show_source(path), Path(path).suffix.lower()
    directory = Path(path).with_suffix("") if ending == ".mrxs" else Path(path).parent
    if ending == ".mrxs":
        _check_index(directory / "Slidedat.ini", name)
    elif ending in (".vms", ".vmu"):
        _check_index(Path(path), name)
    elif ending not in _BESIDE:
        return
    if limits.roots is None:
        return
    try:
        files = [entry.path for _, entry in zip(range(_MOST_FILES + 1), os.scandir(directory), strict=False)]
    except OSError as error:
        raise ImageError(
            f"{name} has its further files in {directory}, which cannot be read ({error.strerror or error}): put them "
            "there"
        ) from error
    if len(files) > _MOST_FILES:
        raise ImageError(f"{directory} has more than {_MOST_FILES:,} files: put the slide in a directory of its own")
    for file in files:
        limits.allowed_file(file)


def _check_index(index: Path, name: str) -> None:
    try:
        with index.open("rb") as file:
            text = file.read(_INDEX_BYTES)
    except OSError as error:
        raise ImageError(
            f"{name} is a slide that lacks {index.name} ({error.strerror or error}): put the slide's further files "
            f"into {index.parent}"
        ) from error
    if _LEADS_AWAY.search(text):
        raise ImageError(f"{name} has an index, {index.name}, that leads out of its directory: use another file")
