"""What users rely on is as it was recorded: a change of it is made knowingly, with a new record."""

from __future__ import annotations

import json

import pytest

from tests.support.surface import RECORD, surface

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def now() -> dict[str, object]:
    return json.loads(json.dumps(surface()))


@pytest.mark.parametrize("part", ["names", "help", "runs", "prompts", "profiles", "tools"])
def test_it_is_as_recorded(part: str, now: dict[str, object]) -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert now[part] == recorded[part], "if this is meant, record it anew: python -m tests.support.surface"
