from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.once import once


@pytest.fixture(scope="session")
def seed_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2.5-VL checkpoint of 1 MB. Tests read it and leave it as it is."""
    from cof_agent.policies.qwen.seed import write_seed

    return once(tmp_path_factory, "seed", write_seed)


@pytest.fixture(scope="session")
def taught_checkpoint(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint trained for seconds: it zooms once, then says the colour it sees (`tests.support.teaching`)."""
    from tests.support.teaching import teach

    return once(tmp_path_factory, "taught", lambda directory: teach(seed_checkpoint, directory))


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The base URL of a running `transformers serve`. A model's name is the directory of its checkpoint."""
    from tests.support.serving import served

    with served() as base_url:
        yield base_url
