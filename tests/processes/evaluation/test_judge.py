from __future__ import annotations

from pathlib import Path

import pytest

from cof_agent.dialects.profile import Profile
from cof_agent.errors import PolicyError
from cof_agent.evaluation.judge import Judge
from cof_agent.loop.graph import as_policy
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.policies.policy import Policy
from tests.support.misbehaving_server import keeps_silent, playing, refuses, says

SIGN = ("What does the sign say?", "no parking", "Parking is forbidden")


async def test_a_real_endpoint(tmp_path: Path) -> None:
    with playing(says("1"), refuses(401, "no such key"), keeps_silent()) as server:
        model = load_endpoint("openai:m", base_url=server.url, api_key="x")
        asking = Judge(Policy(model, Profile(), "openai:m"), tmp_path / "judge.jsonl")
        assert await asking.means(*SIGN) is True
        assert [message["role"] for message in server.requests[0]["messages"]] == ["system", "user"]
        with pytest.raises(PolicyError, match=r"the judge openai:m failed.*no such key"):
            await asking.means("Why?", "x", "y")
        hasty = Judge(as_policy(model), tmp_path / "hasty.jsonl", seconds=0.3)
        with pytest.raises(PolicyError, match=r"0\.3 seconds"):
            await hasty.means(*SIGN)
