from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models thrash on more
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # graph state must hold plain values only

import pytest
from hypothesis import HealthCheck, settings

from tests.support.examples import QUICK, WHOLE

for name, count in (("whole", WHOLE), ("quick", QUICK)):
    settings.register_profile(
        name,
        deadline=None,
        derandomize=True,
        max_examples=count,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is
    )
settings.load_profile("whole")


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    from tests.support.integrations.hosts import photo

    path = tmp_path / "photo.png"
    photo().save(path)
    return path


@pytest.fixture
def other_file(tmp_path: Path) -> Path:
    from tests.support.integrations.hosts import other_photo

    path = tmp_path / "other.png"
    other_photo().save(path)
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, or one process would be left alone with them at the end."""
    items.sort(key=lambda item: "/weights/training/" not in item.path.as_posix())
