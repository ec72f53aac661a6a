"""The table of the kinds of policy: what reads it has a place for each row."""

from __future__ import annotations

import pytest

from cof_agent import ConfigError
from cof_agent.cli.options import PolicyOption
from cof_agent.policies.checks.installation import diagnose
from cof_agent.policies.checks.requirements import _MORE
from cof_agent.policies.kinds import PROVIDER, TABLE, kind_of
from cof_agent.policies.loading import LOADERS


def test_each_kind_has_a_loader_and_only_kinds_are_checked() -> None:
    names = [kind.name for kind in TABLE]
    assert sorted(names) == sorted(LOADERS)
    assert _MORE.keys() <= set(names)
    assert len(set(names)) == len(names)


def test_people_are_told_of_each_kind() -> None:
    policies = diagnose()["policies"]
    assert sorted(policies) == sorted(kind.form for kind in TABLE)
    assert {kind.extra for kind in TABLE} - {None} <= diagnose()["extras"].keys()
    help_text = PolicyOption.__metadata__[0].help  # type: ignore[attr-defined]
    assert all(kind.form in help_text for kind in TABLE)


@pytest.mark.parametrize(
    ("spec", "name", "rest"),
    [
        ("reader", "reader", ""),
        ("tiny", "tiny", ""),
        ("hf:org/x@v2", "hf", "org/x@v2"),
        ("script:a:b.json", "script", "a:b.json"),
        ("openai:org/look:7b", "openai", "org/look:7b"),
        ("OpenAI:m", "openai", "m"),
        ("Mistral-AI:m", PROVIDER.name, "mistral_ai:m"),
        ("reader:m", PROVIDER.name, "reader:m"),
        ("PROVIDER:m", PROVIDER.name, "provider:m"),
        ("HF:m", PROVIDER.name, "hf:m"),
    ],
)
def test_the_kind_of_a_spec(spec: str, name: str, rest: str) -> None:
    kind, following = kind_of(spec)
    assert (kind.name, following) == (name, rest)


@pytest.mark.parametrize("spec", ["", "nothing", "reader:", "hf", "hf:", ":m", "openai:", "script:", "PROVIDER"])
def test_a_spec_of_no_kind(spec: str) -> None:
    with pytest.raises(ConfigError, match="or any other PROVIDER:MODEL"):
        kind_of(spec)
