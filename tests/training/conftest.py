from __future__ import annotations

from pathlib import Path

import pytest

from cof_agent.collecting import collect
from cof_agent.exports import export


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few conversations of the ideal observer."""
    where = tmp_path_factory.mktemp("collection")
    collect("scenes:train", "observer", count=6, out=where / "kept", resolutions=(224, 448))
    export(where / "kept", where / "rows")
    return where / "rows"
