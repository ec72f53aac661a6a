from __future__ import annotations

from pathlib import Path

import pytest

from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports.exporting import export
from tests.support.once import once


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was collected of the ideal observer's answers to a few questions."""
    asked = {"count": 6, "resolutions": (224, 448)}
    return once(tmp_path_factory, "kept", lambda directory: collect("scenes:train", "observer", out=directory, **asked))


@pytest.fixture(scope="session")
def rows(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its conversations."""
    return once(tmp_path_factory, "rows", lambda directory: export(kept, directory / "rows")) / "rows"
