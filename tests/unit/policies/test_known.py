"""Which profile a policy gets: one given, its own, or that of a published checkpoint's name, else of its type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cof_agent import ConfigError, Profile, load_policy
from cof_agent.dialects import DIALECTS, default_profile, parse_profile
from cof_agent.policies.profiles import profile_for


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("xintongzhang/CoF-rl-model-7b", "cof"),
        ("xintongzhang/CoF-sft-model-7b", "cof"),
        ("/models/chain-of-focus-7b", "cof"),
        ("ChenShawn/DeepEyes-7B", "deepeyes"),
        ("deepeyes_v1_7b", "deepeyes"),
        ("rosemary-and-thymes", "native"),
        ("Mini-o3/Mini-o3-7B-v1", "mini-o3"),
        ("models/mini_o3_sft", "mini-o3"),
        ("TIGER-Lab/PixelReasoner-RL-v1", "pixel-reasoner"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3"),
        ("qwen3-vl:8b", "qwen3"),
        ("sensenova/SenseNova-MARS-32B", "sensenova-mars"),
        ("Qwen/Qwen3.5-27B", "qwen3.5"),
        ("Qwen/Qwen3.5-397B-A17B", "qwen3.5"),
        ("Qwen/Qwen3.6-35B-A3B-FP8", "qwen3.5"),
        ("Qwen/Qwen3.8-27B", "qwen3.5"),
        ("qwen3.5:9b", "qwen3.5"),
        ("qwen3.5-plus", "qwen3.5"),
        ("runs/qwen3_5_4b_sft", "qwen3.5"),
        ("Qwen/Qwen3-8B", "native"),
        ("Qwen/Qwen3-VL-8B-Thinking", "qwen3"),
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
    assert profile_for(name) == (default_profile(dialect), "nothing" if dialect == "native" else "its name")


@pytest.mark.parametrize(
    "name",
    [
        "ChenShawn/DeepEyesV2-7B",
        "deepeyes-v2",
        "DeepEyes_v2_sft",
        "Kwai-Keye/Thyme-RL",
        "Agents-X/PyVision-Image-7B-RL",
    ],
)
def test_a_policy_of_a_form_that_no_dialect_reads_is_told_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no dialect reads that, and no code is run; ask it with --dialect native"):
        profile_for(name, model_type="qwen2_5_vl")
    assert profile_for(name, dialect="native")[0] == default_profile("native")
    (tmp_path / "focus.json").write_text('{"dialect": "cof"}')
    assert profile_for(name, folder=tmp_path)[0] == default_profile("cof")


@pytest.mark.parametrize(
    ("model_type", "dialect"),
    [
        ("qwen2_vl", "cof"), ("qwen2_5_vl", "cof"), ("qwen3_vl", "qwen3"), ("qwen3_vl_moe", "qwen3"),
        ("qwen3_5", "qwen3.5"), ("qwen3_5_moe", "qwen3.5"), ("llava", "native"),
    ],
)  # fmt: skip
def test_by_type_where_the_name_says_nothing(model_type: str, dialect: str) -> None:
    profile, told_by = profile_for("/runs/checkpoint-700", model_type=model_type)
    assert (profile.dialect, f"its type {model_type}" in told_by or dialect == "native") == (dialect, True)
    assert profile_for("/runs/deepeyes-700", model_type=model_type) == (default_profile("deepeyes"), "its name")


def test_the_first_of_what_says_it_counts(tmp_path: Path) -> None:
    (tmp_path / "focus.json").write_text('{"dialect": "mini-o3"}')
    given, own = Profile(dialect="qwen3"), Profile(dialect="pixel-reasoner")
    says = {"profile": given, "dialect": "deepeyes", "own": own, "folder": tmp_path, "model_type": "qwen3_vl"}
    expected = ["qwen3", "deepeyes", "pixel-reasoner", "mini-o3", "qwen3", "native"]
    told = ["the profile given", "the dialect given", "the policy itself", "its focus.json", "its type qwen3_vl"]
    for dialect, told_by in zip(expected, [*told, "nothing"], strict=True):
        profile, why = profile_for("it", **says)  # type: ignore[arg-type]
        assert (profile.dialect, why) == (dialect, told_by)
        if says:
            del says[next(iter(says))]
    (tmp_path / "focus.json").unlink()
    assert profile_for("deepeyes-7b", folder=tmp_path) == (default_profile("deepeyes"), "its name")


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


@pytest.mark.parametrize(
    ("spec", "options", "why"),
    [
        ("script:FILE", {"device": "cpu"}, "takes no options, but device"),
        ("reader", {"device": "cpu"}, "has no option device: it takes page_text"),
        ("reader", {"page_text": "yes"}, "page_text is true or false, not 'yes'"),
    ],
)
def test_options_that_a_policy_does_not_take(spec: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load_policy(spec, **options)


@pytest.mark.parametrize("spec", ["", "nothing", "hf:", ":m", "openai:", "script:"])
def test_a_spec_of_no_form(spec: str) -> None:
    with pytest.raises(ConfigError, match="no policy is named"):
        load_policy(spec)
