from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models thrash on more
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # graph state must hold plain values only

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "cof",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is
)
settings.load_profile("cof")


@pytest.fixture(scope="session")
def seed_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2.5-VL checkpoint of 1 MB. Tests read it and leave it as it is."""
    from cof_agent.policies.qwen.seed import write_seed

    return write_seed(tmp_path_factory.mktemp("seed") / "checkpoint")


@pytest.fixture(scope="session")
def taught_checkpoint(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That checkpoint trained for seconds: it zooms once, then says the colour it sees; see `tests.teaching`."""
    from tests.teaching import teach

    return teach(seed_checkpoint, tmp_path_factory.mktemp("taught") / "checkpoint")


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """The base URL of a running `transformers serve`. A model's name is the directory of its checkpoint."""
    from tests.serving import served

    with served() as base_url:
        yield base_url
