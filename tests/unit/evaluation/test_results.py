"""A run on disk: nothing that was written is lost, and nothing that is damaged passes for whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, LockedError, TrajectoryError
from cof_agent.evaluation.plan import Plan, PlannedQuestion
from cof_agent.evaluation.question import MalformedRow
from cof_agent.evaluation.results import read_run, writing
from cof_agent.evaluation.row import ResultRow, Rule
from cof_agent.evaluation.settings import RunSettings, default_directory, lasting_options, limits_of, profile_digest
from cof_agent.evaluation.sizes import DEFAULT_RESOLUTIONS, numbers
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.state import Status, StopReason, UsageRecord
from tests.support.made_questions import questions

pytestmark = pytest.mark.slow


def settings(**given: Any) -> RunSettings:
    profile = Profile()
    known: dict[str, Any] = {
        "benchmark": "made",
        "role": "test",
        "policy": "script",
        "dialect": "cof",
        "profile": profile.model_dump(mode="json"),
        "profile_digest": profile_digest(profile),
        "resolutions": (56, None),
        "limits": FocusConfig().model_dump(mode="json"),
        "version": "1",
    }
    return RunSettings.of(**known | given)


def tasks(count: int = 3) -> list[PlannedQuestion]:
    return [item for item in Plan(questions(count), settings()) if isinstance(item, PlannedQuestion)]


def row(task: PlannedQuestion, **known: Any) -> ResultRow:
    usage = UsageRecord(
        policy_calls=1, zooms=0, refused=0, visual_tokens=9, prompt_tokens=0, completion_tokens=0, seconds=0.5
    )
    return ResultRow(
        key=task.key, number=task.number, question=task.question.id, category="all", cell=task.cell,
        text=task.question.text, truth=task.question.answer, options=task.question.options,
        answer="42", status=Status.ANSWERED, stop_reason=StopReason.ANSWERED, message=None, correct=True,
        rule=Rule.TEXT, usage=usage,
    ).model_copy(update=known)  # fmt: skip


def filled(path: Path, count: int = 3) -> list[ResultRow]:
    rows = [row(task) for task in tasks(count)]
    with writing(path, settings()) as directory:
        for item in rows:
            directory.add(item)
    return rows


def test_what_is_written_is_read_in_the_order_of_the_plan(tmp_path: Path) -> None:
    rows = [row(task, message="Straße \ud800") for task in tasks(12)]
    with writing(tmp_path, settings()) as directory:
        for item in reversed(rows):
            directory.add(item)
    run = read_run(tmp_path)
    assert list(run.rows) == rows
    assert run.settings == settings()
    assert (run.malformed, run.skipped) == (0, {})


def test_a_row_is_there_as_soon_as_it_is_added(tmp_path: Path) -> None:
    first, *_ = tasks()
    with writing(tmp_path, settings()) as directory:
        directory.add(row(first))
        assert [item.key for item in read_run(tmp_path).rows] == [first.key]


@pytest.mark.parametrize("kept", range(1, 60))
def test_a_torn_last_line_is_cut_off_and_asked_again(tmp_path: Path, kept: int) -> None:
    rows = filled(tmp_path)
    path = tmp_path / "results.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) * kept // 60])
    assert list(read_run(tmp_path).rows) == rows[:-1]
    with writing(tmp_path, settings()) as directory:
        assert set(directory.rows) == {item.key for item in rows[:-1]}
        directory.add(rows[-1])
    assert path.read_bytes() == whole


def test_a_line_without_its_end_is_asked_again(tmp_path: Path) -> None:
    rows = filled(tmp_path)
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    with writing(tmp_path, settings()) as directory:
        assert len(directory.rows) == len(rows) - 1


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b'{"key": 1}', b"[]", b'{"key": "x"'])
def test_a_damaged_line_is_named(tmp_path: Path, damage: bytes) -> None:
    filled(tmp_path)
    path = tmp_path / "results.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]) + b"\n")
    for use in (lambda: read_run(tmp_path), lambda: writing(tmp_path, settings()).__enter__()):
        with pytest.raises(TrajectoryError, match=r"results\.jsonl line 2 is damaged .*: delete that line"):
            use()
    assert path.read_bytes().splitlines()[1] == damage


def test_a_second_row_of_a_question_is_refused(tmp_path: Path) -> None:
    rows = filled(tmp_path)
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write(json.dumps(rows[0].model_dump(mode="json")) + "\n")
    with pytest.raises(TrajectoryError, match=r"line 7 is damaged .a second row of 'q0 @56/native'"):
        read_run(tmp_path)
    with writing(tmp_path / "other", settings()) as directory:
        directory.add(rows[0])
        with pytest.raises(AssertionError, match="asked twice"):
            directory.add(rows[0])


def test_other_settings_are_named_with_both_values(tmp_path: Path) -> None:
    filled(tmp_path)
    profile = Profile(any_view=True)
    other = settings(
        mode="direct", limit=5, profile=profile.model_dump(mode="json"), profile_digest=profile_digest(profile)
    )
    with pytest.raises(ConfigError) as caught, writing(tmp_path, other):
        pass
    said = str(caught.value)
    for words in (
        'mode was "adaptive" and is now "direct"', "limit was null and is now 5",
        "profile.any_view was false and is now true", "out=",
    ):  # fmt: skip
        assert words in said
    assert "digest" not in said


def test_a_setting_that_another_version_lacked_is_named(tmp_path: Path) -> None:
    filled(tmp_path)
    stored = json.loads((tmp_path / "run.json").read_text())
    del stored["regions"]
    stored["version"] = "0"
    (tmp_path / "run.json").write_text(json.dumps(stored | {"gone": 1}))
    with pytest.raises(ConfigError, match=r'version was "0" and is now "1".*gone was 1 and is now null'):
        writing(tmp_path, settings()).__enter__()


def test_nobody_else_can_write_to_a_run_meanwhile(tmp_path: Path) -> None:
    with writing(tmp_path, settings()), pytest.raises(LockedError, match="in use: this process has been evaluating"):
        writing(tmp_path, settings()).__enter__()
    with writing(tmp_path, settings()):
        pass


def test_results_without_settings_are_nobodys(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no run: there is no run\.json"):
        read_run(tmp_path)
    with pytest.raises(ConfigError, match=r"results\.jsonl but no run\.json"):
        writing(tmp_path, settings()).__enter__()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1}'])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    filled(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/run .*choose another directory with out="):
        writing(tmp_path / "file" / "run", settings()).__enter__()


def test_skipped_questions_are_counted_by_resolution(tmp_path: Path) -> None:
    asked = tasks()
    for _ in range(2):
        with writing(tmp_path, settings()) as directory:
            for task in asked[:3]:
                directory.skip(task)
            assert [directory.has(task) for task in asked[:4]] == [True, True, True, False]
    assert read_run(tmp_path).skipped == {56: 2, None: 1}


def test_malformed_rows_are_those_of_the_last_reading(tmp_path: Path) -> None:
    for lines in ((3, 9), (3, 9), (9,), ()):
        with writing(tmp_path, settings()) as directory:
            for line in lines:
                directory.keep_malformed(MalformedRow(f"a.jsonl line {line}", "no image"))
        assert read_run(tmp_path).malformed == len(lines)


@pytest.mark.parametrize(
    ("field", "now", "words"),
    [
        ("text", "Another?", 'the text of q0 was "Question 0?" and is now "Another?"'),
        ("answer", "43", 'the truth of q0 was "42" and is now "43"'),
        ("options", ("42", "43"), 'the options of q0 was [] and is now ["42", "43"]'),
    ],
)
def test_a_run_does_not_go_on_with_a_benchmark_that_was_changed(
    tmp_path: Path, field: str, now: Any, words: str
) -> None:
    filled(tmp_path)
    first, *_ = tasks()
    changed = replace(first, question=replace(first.question, **{field: now}))
    with writing(tmp_path, settings()) as directory:
        assert directory.has(first)
        with pytest.raises(ConfigError, match=re.escape(f"{words}. Choose another directory")):
            directory.has(changed)


def test_cells_are_every_combination_in_order() -> None:
    cells = settings(
        resolutions=(56, None), budgets=(224, 448), counterfactual=True, regions=("overview", "blank")
    ).cells
    kinds = ((False, None), (False, "overview"), (False, "blank"), (True, None))  # changed pictures: plain regions only
    assert [(cell.resolution, (cell.counterfactual, cell.region), cell.budget) for cell in cells] == [
        (resolution, kind, budget) for resolution in (56, None) for kind in kinds for budget in (224, 448)
    ]
    assert [cell.plain for cell in cells[:8:2]] == [True, False, False, False]


@pytest.mark.parametrize(
    "given", [{"resolutions": ()}, {"resolutions": (0,)}, {"budgets": (56, 56)}, {"budgets": (27,)}]
)
def test_cells_that_make_no_sense_are_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="whole numbers of at least 28, or native, each once"):
        settings(**given)


def test_regions_cannot_be_changed_where_none_are_shown() -> None:
    with pytest.raises(ConfigError, match="regions blank replace what zooms show, and mode direct has none"):
        settings(regions=("blank",), mode="direct")


def test_each_kind_of_regions_is_named_once() -> None:
    with pytest.raises(ConfigError, match="regions are blank, elsewhere, overview, each once, not 'blank,blank'"):
        settings(regions=("blank", "blank"))


def test_keys_tell_what_regions_show() -> None:
    made = Plan(questions(1), settings(resolutions=(56,), regions=("blank", "elsewhere")))
    assert [item.key for item in made if isinstance(item, PlannedQuestion)] == [
        "q0 @56/native", "q0 @56/native blank", "q0 @56/native elsewhere",
    ]  # fmt: skip


def test_numbers_as_people_write_them() -> None:
    assert numbers("224, 448,native", "--resolutions") == (224, 448, None)
    with pytest.raises(ConfigError, match="--resolutions takes whole numbers and native"):
        numbers("224,,448", "--resolutions")


def test_options_that_change_no_answer_are_left_out_and_secrets_hidden() -> None:
    given = ["temperature=0.7", "api_key=sk-abcdef123", "base_url=http://a", "device=cuda", "a=sk-abcdef123456"]
    assert lasting_options(given) == ("a=[hidden]", "temperature=0.7")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"policy": "observer"}, "scenes-observer-adaptive"),
        ({"benchmark": "scenes:test:colour", "policy": "hf:sets/Qwen2.5-VL-7B", "mode": "direct"},
         "scenes-test-colour-hf-sets-qwen2.5-vl-7b-direct"),
        ({"benchmark": "vstar:/a/b/vstar_bench/", "policy": "openai:a/b", "mode": "proactive", "regions": ["blank"]},
         "vstar-b-vstar-bench-openai-a-b-proactive-blank"),
        ({"policy": "script:../x.json", "counterfactual": True}, "scenes-script-x.json-adaptive-changed"),
        ({"regions": ("blank", "overview")}, "scenes-script-adaptive-blank-overview"),
        ({"budgets": (224, None)}, "scenes-script-adaptive-look-224-native"),
        ({"resolutions": (448, None)}, "scenes-script-adaptive-at-448-native"),
        ({"limit": 20}, "scenes-script-adaptive-first-20"),
        ({"limits": FocusConfig(max_zooms=2).model_dump(mode="json")}, "scenes-script-adaptive-max-zooms-2"),
        ({"options": ("temperature=0.7",)}, "scenes-script-adaptive-temperature-0.7"),
    ],
)  # fmt: skip
def test_a_run_without_a_name_gets_one_that_tells_what_is_not_as_usual(given: Any, name: str) -> None:
    known = {"benchmark": "scenes", "limit": 300, "resolutions": DEFAULT_RESOLUTIONS}
    made = settings(**known | given)
    limits = limits_of(made.mode, FocusConfig(), Profile()) if "limits" not in given else None
    made = made.model_copy(update={"limits": limits.model_dump(mode="json")} if limits else {})
    assert str(default_directory(made, 300)) == name


def test_long_names_that_differ_stay_apart() -> None:
    sizes = [tuple(range(100, 100 + 20 * last, 20)) for last in (18, 19)]
    one, other = (default_directory(settings(resolutions=size), None) for size in sizes)
    assert one != other
    assert len(one.name) < 120


def test_another_judge_may_come_until_one_has_decided_something(tmp_path: Path) -> None:
    rows = filled(tmp_path, 2)
    for judge in ("first", "second", None, "third"):
        with writing(tmp_path, settings(judge=judge)) as directory:
            assert directory.rows == {item.key: item for item in rows}
        assert read_run(tmp_path).settings.judge == judge
    with writing(tmp_path, settings(judge="third")) as directory:
        directory.exchange([rows[0].model_copy(update={"rule": Rule.JUDGE})])
    assert [item.rule for item in read_run(tmp_path).rows] == [Rule.JUDGE, *[Rule.TEXT] * 3]
    for judge in ("first", None):
        with pytest.raises(ConfigError, match='judge was "third" and is now'):
            writing(tmp_path, settings(judge=judge)).__enter__()
    with pytest.raises(ConfigError, match="limit was null and is now 5; judge was"):
        writing(tmp_path, settings(judge="first", limit=5)).__enter__()
