from __future__ import annotations

import json
from pathlib import Path

import pytest

from cof_agent import ChainOfFocus, ConfigError, load_policy
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.script import load_script
from tests.support.conversations import answer, photo, zoom


def written(directory: Path, value: object) -> str:
    path = directory / "turns.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return str(path)


def test_a_list_of_turns_is_replayed(tmp_path: Path) -> None:
    spec = "script:" + written(tmp_path, [zoom(1, 2, 30, 40), answer("42 – ✓")])
    result = ChainOfFocus(spec).ask(photo(), "What is it?")
    assert (result.answer, result.status, result.usage.zooms) == ("42 – ✓", Status.ANSWERED, 1)
    assert result.trajectory.policy == spec


def test_a_script_may_carry_a_profile(tmp_path: Path) -> None:
    path = written(tmp_path, {"turns": [answer("42")], "profile": {"coordinates": "thousandths"}})
    policy = load_policy(f"script:{path}")
    assert policy.profile.coordinates == "thousandths"
    assert load_policy(f"script:{path}", profile=policy.profile.model_copy(update={"tools": ()})).profile.tools == ()


def test_one_model_serves_any_number_of_conversations(tmp_path: Path) -> None:
    agent = ChainOfFocus("script:" + written(tmp_path, [zoom(1, 2, 30, 40), answer("42")]))
    assert [agent.ask(photo(), "What is it?").answer for _ in range(3)] == ["42"] * 3


def test_a_script_that_is_too_short_fails_with_what_to_do(tmp_path: Path) -> None:
    result = ChainOfFocus("script:" + written(tmp_path, [zoom(1, 2, 30, 40)])).ask(photo(), "What is it?")
    assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.POLICY_ERROR)
    assert "the script has 1 turns and turn 2 was asked for: add turns" in (result.message or "")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("5", "needs a list of turns"),
        ("{}", "needs a list of turns"),
        ([answer("42"), 5], "needs a list of turns"),
        ({"turns": "hello"}, "needs a list of turns"),
        ({"turns": [], "profil": {}}, "has unknown keys: profil"),
        ({"turns": [], "profile": {"tools": ["rotate"]}}, r"not valid at tools\.0"),
        ({"turns": [], "profile": []}, "not valid at the whole"),
    ],
)
def test_a_bad_script_is_named(tmp_path: Path, value: object, why: str) -> None:
    path = written(tmp_path, value)
    with pytest.raises(ConfigError, match=why) as caught:
        load_script(path)
    assert path in str(caught.value)


def test_a_script_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.json cannot be read"):
        load_script(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_script(tmp_path)
    (tmp_path / "latin").write_bytes(b'["\xe9"]')
    with pytest.raises(ConfigError, match="is not JSON"):
        load_script(tmp_path / "latin")


@pytest.mark.parametrize("spec", ["script:", "script", "nobody", ""])
def test_an_unknown_policy_is_refused_with_the_choices(spec: str) -> None:
    with pytest.raises(ConfigError, match="choose one of reader, tiny, script:FILE"):
        load_policy(spec)
