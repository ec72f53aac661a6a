from __future__ import annotations

from pathlib import Path

import pytest

from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports.exporting import export


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was collected of the ideal observer's answers to a few questions."""
    where = tmp_path_factory.mktemp("collection") / "kept"
    collect("scenes:train", "observer", count=6, out=where, resolutions=(224, 448))
    return where


@pytest.fixture(scope="session")
def rows(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its conversations."""
    return export(kept, tmp_path_factory.mktemp("export") / "rows").directory
