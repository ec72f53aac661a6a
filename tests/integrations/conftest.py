from __future__ import annotations

from pathlib import Path

import pytest

from tests.integrations.hosts import photo


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    photo().save(path)
    return path
