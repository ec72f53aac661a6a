"""What rollouts earn is what `cof_agent.learning.rewards` gives to whole groups, however a batch is shared."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cof_agent import ConfigError
from cof_agent.evaluation.judge import Judge
from cof_agent.learning.environment.zoom import ZoomEnvironment
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.rewards import REWARDS
from cof_agent.policies import load_policy
from tests.support.toy import PROFILE, questions
from tests.support.training.groups import earned, played
from tests.support.warm import launched
from training.grpo_settings import GrpoSettings, VllmSettings
from training.reward import GroupReward
from training.settings import load_settings

EXPECTED = {
    "outcome": [[1.0, 1.0, 0.1, 0.9], [1.0, 0.1, 0.1, 0.0], [1.0, 1.0, 0.1, 0.1]],
    "agar-released": [[1.0, 0.8, 0.5, 1.0], [1.0, 0.5, 0.1, 0.0], [1.0, 1.0, 0.1, 0.1]],
    "agar-strict": [[1.0, 0.8, 0.5, 0.0], [1.0, 0.1, 0.1, 0.0], [1.0, 1.0, 0.1, 0.1]],
}
"""By hand, for `SCRIPTS`."""


@pytest.mark.parametrize("name", REWARDS)
def test_each_group_earns_what_its_own_rollouts_are_worth(name: str, tmp_path: Path) -> None:
    assert earned(name, *played(tmp_path)) == pytest.approx([value for group in EXPECTED[name] for value in group])


def test_the_curves_tell_how_the_policy_looked(tmp_path: Path) -> None:
    logged: dict[str, float] = {}
    earned("agar-strict", *played(tmp_path), log=logged.__setitem__)
    assert logged == pytest.approx(
        {
            "accuracy": 6 / 12, "format": 10 / 12, "unanswered": 2 / 12, "zooms": 6 / 12, "wrong_zooms": 2 / 12,
            "refused_calls": 1 / 12, "visual_tokens": logged["visual_tokens"], "share/direct": 7 / 12,
            "share/zoom": 5 / 12,
        }
    )  # fmt: skip


def test_calls_to_tools_that_do_not_exist_are_refused_calls_too(tmp_path: Path) -> None:
    logged: dict[str, float] = {}
    environments, completions, columns = played(tmp_path)
    completions[0] = [{"role": "tool", "name": "zoom", "content": "Tool zoom not found."}, *completions[0]]
    earned("outcome", environments, completions, columns, log=logged.__setitem__)
    assert logged["refused_calls"] == pytest.approx(2 / 12)


def test_processes_that_share_weights_do_not_generate_apart() -> None:
    settings = GrpoSettings(model="m", data="d", output="o")
    settings.check_shared_out(8, sharded=False)
    settings.check_shared_out(1, sharded=True)
    settings.model_copy(update={"vllm": VllmSettings(sleep=False)}).check_shared_out(8, sharded=True)
    with pytest.raises(ConfigError, match=r"8 processes cannot generate with sharded weights.*let vLLM write them"):
        settings.check_shared_out(8, sharded=True)


def test_a_judge_decides_where_no_rule_can_tell(tmp_path: Path) -> None:
    script = tmp_path / "judge.json"
    script.write_text('["1"]')
    judge = Judge(load_policy(f"script:{script}"), tmp_path / "judge.jsonl")
    environments, completions, columns = played(tmp_path)
    told = {**columns, "truth": ["a thing that no rule finds in any answer"] * len(completions)}
    right = GroupReward("outcome", 4, judge, at_once=2)(environments, completions, lambda *_: None, **told)
    wrong = GroupReward("outcome", 4)(environments, completions, lambda *_: None, **told)
    assert [one - other for one, other in zip(right, wrong, strict=True)] == pytest.approx(
        [0.9] * 7 + [0.0] + [0.9] * 3 + [0.0]
    )
    kept = [json.loads(line) for line in (tmp_path / "judge.jsonl").read_text().splitlines()]
    assert len(kept) == len({(line["question"], line["answer"]) for line in kept})


def test_to_decline_is_right_where_a_question_cannot_be_answered(tmp_path: Path) -> None:
    environments, completions, columns = played(tmp_path)
    unanswerable = {**columns, "truth": ["red"] * 4 + ["cannot answer"] * 8}
    right = GroupReward("outcome", 4)(environments, completions, lambda *_: None, **unanswerable)
    assert right == pytest.approx([*EXPECTED["outcome"][0], 0.1, 0.1, 0.1, 0.0, 0.1, 0.1, 0.1, 1.0])


def test_what_breaks_inside_of_a_tool_is_raised_and_not_scored(tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("the cutter broke")

    environments, completions, columns = played(tmp_path, partial(ZoomEnvironment, region_pixels=broken))
    with pytest.raises(ZeroDivisionError, match="the cutter broke"):
        GroupReward("outcome", 4)(environments, completions, lambda *_: None, **columns)


def test_rollouts_of_two_questions_are_no_group(tmp_path: Path) -> None:
    environments, completions, columns = played(tmp_path)
    mixed = {**columns, "id": columns["id"][1:] + columns["id"][:1]}
    with pytest.raises(RuntimeError, match="rollouts 0 to 3 are not those of one question"):
        GroupReward("outcome", 4)(environments, completions, lambda *_: None, **mixed)


def test_two_processes_give_what_one_gives_and_train(seed_checkpoint: Path, tmp_path: Path) -> None:
    """The second of three groups is split between the two."""
    rows = questions(tmp_path, 1)
    export(tmp_path / "asked" / "trajectories", tmp_path / "rows", profile=PROFILE)
    assert rows == tmp_path / "questions"
    launch = ["--multi_gpu", "--num_machines", "1", "--num_processes", "2"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    halves = [*launch, "-m", "tests.support.training.groups", tmp_path, seed_checkpoint]
    launched(halves, tmp_path, ACCELERATE_USE_CPU="true")
    alone = {name: earned(name, *played(tmp_path / "alone")) for name in REWARDS}
    parts = [json.loads((tmp_path / f"earned-{rank}.json").read_text()) for rank in (0, 1)]
    for name in REWARDS:
        assert [len(part[name]) for part in parts] == [6, 6]
        assert parts[0][name] + parts[1][name] == pytest.approx(alone[name])
    for recipe in ("sft", "grpo"):
        assert (tmp_path / recipe / "final" / "focus.json").is_file()
        assert (tmp_path / recipe / "checkpoint-2" / "rng_state_1.pth").is_file()


@pytest.mark.parametrize(
    ("changes", "processes", "passes"),
    [
        ({"questions": 64, "rollouts": 6, "batch": 2}, 8, 24),
        ({"questions": 1, "rollouts": 2, "batch": 1}, 2, 1),
        ({"questions": 3, "rollouts": 6, "batch": 9}, 2, 1),
        ({"questions": 64, "rollouts": 6, "batch": 5}, 8, "make questions a multiple of 20, or batch smaller"),
        ({"questions": 1, "rollouts": 3, "batch": 1}, 2, "make questions a multiple of 2, or"),
    ],
)
def test_a_step_has_whole_groups_on_any_number_of_devices(
    changes: dict[str, int], processes: int, passes: int | str
) -> None:
    settings = GrpoSettings(model="m", data="d", output="o", **changes)
    if isinstance(passes, int):
        assert settings.passes(processes) == passes
        return
    with pytest.raises(ConfigError, match=passes):
        settings.passes(processes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reward": "agar"}, r"not valid at reward: .*choose one of outcome, agar-released, agar-strict"),
        ({"rollouts": 1}, "not valid at rollouts"),
        ({"iterations": 2, "save_steps": 3}, "must be a multiple of iterations"),
        ({"vllm": {"mode": "server"}}, "mode server needs url"),
        ({"vllm": {"mod": "server"}}, r"vllm in .*no setting mod: did you mean mode\?"),
        ({"judge": {"model": "x"}}, r"judge in .*no setting model: .*There are policy, options, at_once"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps({"model": "m", "data": "d", "output": "o", **changes}))
    with pytest.raises(ConfigError, match=why):
        load_settings(path, GrpoSettings)
