from __future__ import annotations

import functools
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models thrash on more
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # graph state must hold plain values only

import pytest
import typer.testing
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

# Typer's runner builds all commands with all their options for each invocation: 25 ms, many hundreds of times.
typer.testing._get_command = functools.cache(typer.testing._get_command)


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


LONGEST = ("/weights/training/", "/weights/", "/processes/")
"""In this order. What is nowhere here comes last: unit tests are short, and fill what is left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, or one process would be left alone with them at the end."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((number for number, part in enumerate(LONGEST) if part in path), len(LONGEST))

    items.sort(key=place)
