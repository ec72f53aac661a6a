"""The profile of a published checkpoint is found by its name, else by its type."""

from __future__ import annotations

import pytest

from cof_agent import ConfigError, Profile, load_policy
from cof_agent.dialects import DIALECTS, default_profile, parse_profile
from cof_agent.policies.known_checkpoints import known_profile


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("xintongzhang/CoF-rl-model-7b", "cof"),
        ("xintongzhang/CoF-sft-model-7b", "cof"),
        ("/models/chain-of-focus-7b", "cof"),
        ("ChenShawn/DeepEyes-7B", "deepeyes"),
        ("Mini-o3/Mini-o3-7B-v1", "mini-o3"),
        ("models/mini_o3_sft", "mini-o3"),
        ("TIGER-Lab/PixelReasoner-RL-v1", "pixel-reasoner"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3"),
        ("qwen3-vl:8b", "qwen3"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "cof"),
        ("qwen2.5vl:7b", "cof"),
        ("my_qwen2_5_vl_run", "cof"),
        ("deepeyes-from-qwen2.5-vl", "deepeyes"),
        ("gpt-4o", "native"),
        ("coffee-model", "native"),
        ("/data/cof-agent/Qwen3-VL-2B-Instruct/", "qwen3"),
        ("runs/deepeyes/checkpoint-7", "native"),
        (".", "native"),
        ("claude-sonnet", "native"),
    ],
)
def test_by_name(name: str, dialect: str) -> None:
    assert known_profile(name).dialect == dialect
    assert known_profile(name) == default_profile(dialect)


@pytest.mark.parametrize(
    ("model_type", "dialect"),
    [("qwen2_vl", "cof"), ("qwen2_5_vl", "cof"), ("qwen3_vl", "qwen3"), ("qwen3_vl_moe", "qwen3"), ("llava", "native")],
)
def test_by_type_where_the_name_says_nothing(model_type: str, dialect: str) -> None:
    assert known_profile("/runs/checkpoint-700", model_type).dialect == dialect
    assert known_profile("/runs/deepeyes-700", model_type).dialect == "deepeyes"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_profile_starts_from_the_defaults_of_its_dialect(dialect: str) -> None:
    assert parse_profile({"dialect": dialect}, "it") == default_profile(dialect)
    changed = parse_profile({"dialect": dialect, "prompts": {"task": "Look."}, "overview": {"max_pixels": 2**20}}, "it")
    default = default_profile(dialect)
    assert changed.prompts == default.prompts.model_copy(update={"task": "Look."})
    assert (changed.overview.max_pixels, changed.overview.factor) == (2**20, default.overview.factor)
    assert (changed.zoom, changed.coordinates, changed.regions) == (default.zoom, default.coordinates, default.regions)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"dialect": "klingon"}, "no dialect is named 'klingon'"),
        ({"dialect": ["cof"]}, "dialect"),
        ({"dialekt": "cof"}, "dialekt"),
        ({"prompts": "none"}, "prompts"),
        ([], "it"),
        ({"overview": {"max_pixels": 0}}, "overview"),
    ],
)
def test_a_profile_that_is_none(value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_profile(value, "it")


def test_a_profile_and_a_dialect_are_not_given_together() -> None:
    with pytest.raises(ConfigError, match="a profile or a dialect"):
        load_policy("reader", profile=Profile(), dialect="cof")


@pytest.mark.parametrize("spec", ["reader", "script:FILE"])
def test_policies_without_options_take_none(spec: str) -> None:
    with pytest.raises(ConfigError, match="takes no options, but device"):
        load_policy(spec, device="cpu")


@pytest.mark.parametrize("spec", ["", "nothing", "hf:", ":m", "openai:", "script:"])
def test_a_spec_of_no_form(spec: str) -> None:
    with pytest.raises(ConfigError, match="no policy is named"):
        load_policy(spec)
