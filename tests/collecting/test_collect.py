"""What is kept of a policy's runs, why the rest is not, and that being cut off anywhere changes nothing."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cof_agent import read_trajectories
from cof_agent.collecting import CollectionReport, collect, read_rows
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.evaluation import Role, read_run
from cof_agent.evaluation.question import BenchmarkQuestion, MalformedRow
from cof_agent.store import DirectoryStore
from tests.collecting.told import HERE, THERE, lasting, looking, told
from tests.conversations import answer
from tests.made_questions import Made

GOOD = [looking(), looking(HERE), looking(HERE, THERE)]
SMALL: Any = {"resolutions": (56, 84)}


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than these runs; the reports of evaluations have tests of their own."""
    monkeypatch.setattr("cof_agent.evaluation.report.write_report", read_run)


def kept(made: tuple[Made, Any], out: Path, count: int = 3, **given: Any) -> CollectionReport:
    return collect(made[0], made[1], count=count, out=out, **SMALL | given)


def test_every_run_is_kept_or_dropped_for_one_reason(tmp_path: Path) -> None:
    made = told(
        *GOOD[:2],
        looking(said=answer("41")),
        looking(said="<answer>42</answer>"),
        looking(said="<think>?</think><answer>cannot answer: too dark</answer>"),
        ["fail"],
        looking(),
        looking(HERE),
        looking(HERE, THERE),
    )
    made[0].items = [*made[0].items, MalformedRow("made line 10", "no answer")]
    report = kept(made, tmp_path, count=4, limit=20)
    assert (report.tried, report.questions, report.kept, report.malformed) == (18, 9, 4, 1)
    assert {reason.value: number for reason, number in report.dropped.items()} == {
        "failed": 2, "unanswered": 2, "wrong": 2, "guessed": 0, "untraceable": 0, "format": 2,
        "near_duplicate": 4, "surplus": 2,
    }  # fmt: skip
    assert report.kept + sum(report.dropped.values()) == report.tried
    assert {kind.value: number for kind, number in report.kinds.items()} == {"direct": 2, "one": 1, "several": 1}
    assert sum(share.kept for share in report.balance) == 4
    assert sum(share.found for share in report.balance) == 10
    assert json.loads((tmp_path / "report.json").read_text()) == report.model_dump(mode="json")


def test_rows_and_trajectories_tell_of_the_same_runs(tmp_path: Path) -> None:
    kept(told(*GOOD, *GOOD), tmp_path, count=6)
    rows, runs = list(read_rows(tmp_path)), list(read_trajectories(tmp_path))
    assert [row.position for row in rows] == list(range(6)) == list(range(len(runs)))
    images = DirectoryStore(tmp_path / "images")
    for row, run in zip(rows, runs, strict=True):
        assert run.question == f"Question {row.question.removeprefix('q')}?"
        assert max(run.image.width, run.image.height) == row.cell.resolution
        assert len(run.zooms) == row.zooms == {"direct": 0, "one": 1, "several": 2}[row.kind]
        assert (row.truth, row.benchmark, row.policy, row.role) == ("42", "made", "told", Role.TRAIN)
        assert row.allow_test is False
        assert all(images.get(ref) for ref in run.image_refs)
    wanted = {ref.sha256 for run in runs for ref in run.image_refs}
    assert {file.stem for file in (tmp_path / "images").iterdir()} == wanted
    assert len({row.id for row in rows}) == 6
    assert {row.cell.resolution for row in rows} == {56, 84}


def test_right_answers_that_were_luck_are_dropped(tmp_path: Path) -> None:
    report = collect(
        "scenes:train:character", "observer", count=50, limit=30, out=tmp_path, resolutions=(224,), concurrency=1
    )
    run = read_run(tmp_path / "tried")
    lucky = [row.key for row in run.rows if row.correct and row.reachable is False]
    assert lucky
    assert report.dropped["guessed"] == len(lucky)  # type: ignore[index]
    assert not {row.id for row in read_rows(tmp_path)} & set(lucky)
    for trajectory in read_trajectories(tmp_path):
        assert "guess" not in trajectory.turns[-1].text
        assert "Most likely" not in trajectory.turns[-1].text


def test_a_test_set_needs_leave_and_is_stamped(tmp_path: Path) -> None:
    made = told(*GOOD, role=Role.TEST)
    with pytest.raises(ConfigError, match=r"made counts as a test set.*--allow-test"):
        kept(made, tmp_path)
    assert list(tmp_path.iterdir()) == []
    report = kept(made, tmp_path, allow_test=True)
    assert report.allow_test
    assert [(row.role, row.allow_test) for row in read_rows(tmp_path)] == [(Role.TEST, True)] * 3
    kept(told(*GOOD), tmp_path / "train", allow_test=True)
    assert {row.allow_test for row in read_rows(tmp_path / "train")} == {False}


def test_questions_are_asked_until_there_are_enough_of_each_kind(tmp_path: Path) -> None:
    made = told(*[looking()] * 6, looking(HERE), *[looking()] * 3, looking(HERE, THERE), *[looking()] * 30)
    report = kept(made, tmp_path, count=3, limit=40)
    assert (report.questions, report.kept) == (16, 3)  # 2, 4, 8 and 16: the second kind is the eleventh question
    assert set(report.kinds.values()) == {1}
    report = kept(told(*[looking()] * 50), tmp_path / "direct", count=3)
    assert (report.questions, report.kept, report.limit) == (12, 3, 12)  # four for each row
    report = kept(told(*[looking()] * 5), tmp_path / "few", count=40, limit=100)
    assert (report.questions, report.kept) == (5, 5)


def test_when_everything_fails_it_does_not_go_on(tmp_path: Path) -> None:
    report = kept(told(*[["fail"]] * 40), tmp_path, count=10)
    assert (report.questions, report.kept) == (5, 0)
    assert list(read_trajectories(tmp_path)) == list(read_rows(tmp_path)) == []


def test_another_count_uses_what_was_asked_before(tmp_path: Path) -> None:
    made = told(*GOOD * 8)
    kept(made, tmp_path / "both", count=12)
    asked = (tmp_path / "both" / "tried" / "results.jsonl").read_bytes()
    kept(made, tmp_path / "both", count=3)
    kept(made, tmp_path / "small", count=3)
    assert (tmp_path / "both" / "tried" / "results.jsonl").read_bytes() == asked
    assert lasting(tmp_path / "both") == lasting(tmp_path / "small")


def test_how_many_are_asked_at_a_time_changes_nothing(tmp_path: Path) -> None:
    for concurrency in (1, 7):
        kept(told(*GOOD * 4), tmp_path / str(concurrency), count=9, concurrency=concurrency)
    assert lasting(tmp_path / "1") == lasting(tmp_path / "7")


def cutting(monkeypatch: Any, last: int, work: Callable[[], Any]) -> bool:
    """Do `work` until it is about to put its `last` file in place or on the disk; whether it came so far."""
    left = [last]

    def until(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return real(*args, **named)

        return write

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", until(os.replace))
        patched.setattr(os, "fsync", until(os.fsync))
        try:
            work()
        except KeyboardInterrupt:
            return True
    return False


def test_cut_off_again_and_again_while_it_asks_it_ends_with_the_same_data(tmp_path: Path, monkeypatch: Any) -> None:
    made = told(*GOOD * 3)
    quiet = kept(made, tmp_path / "quiet", count=6)
    cuts = 0
    while cutting(monkeypatch, 13, lambda: kept(made, tmp_path / "cut", count=6, concurrency=2)):
        cuts += 1
        assert not (tmp_path / "cut" / "report.json").exists()
    assert cuts > 4
    assert kept(made, tmp_path / "cut", count=6) == quiet
    assert lasting(tmp_path / "cut") == lasting(tmp_path / "quiet")


def test_cut_off_at_any_file_it_writes_it_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: Any) -> None:
    made, out = told(*GOOD * 2), tmp_path / "cut"
    kept(made, tmp_path / "quiet", count=2)
    old = kept(made, tmp_path / "old", count=4)
    new = lasting(tmp_path / "quiet")
    for last in itertools.count(1):
        shutil.copytree(tmp_path / "old", out)
        cut = cutting(monkeypatch, last, lambda: kept(made, out, count=2))
        if (out / "report.json").exists():
            report = CollectionReport.model_validate_json((out / "report.json").read_bytes())
            runs, rows = list(read_trajectories(out)), list(read_rows(out))
            assert report.kept == len(rows) == len(runs)
            assert cut == (report == old)
            images = DirectoryStore(out / "images")
            assert all(ref in images for run in runs for ref in run.image_refs)
        kept(made, out, count=2)
        assert lasting(out) == new
        shutil.rmtree(out)
        if not cut:
            break
    assert last > 6


def test_a_run_that_was_asked_twice_counts_once(tmp_path: Path) -> None:
    made = told(*GOOD)
    kept(made, tmp_path / "quiet", limit=3)
    shutil.copytree(tmp_path / "quiet", tmp_path / "twice")
    lines = tmp_path / "twice" / "tried" / "trajectories" / "trajectories.jsonl"
    whole = lines.read_bytes()
    others = [json.loads(line) for line in whole.splitlines()]
    for value in others:  # as a question leaves it whose process died before the row was written
        value["usage"]["seconds"] += 0.25
        value["turns"][-1]["text"] = "<answer>42</answer>"
    stale = b"".join(json.dumps(value).encode() + b"\n" for value in others)
    lines.write_bytes(stale + whole[:99] + b"\n" + whole + whole[:99])
    kept(made, tmp_path / "twice", limit=3)
    assert lasting(tmp_path / "twice") == lasting(tmp_path / "quiet")


def test_a_run_whose_trajectory_is_gone_or_not_certain_is_dropped(tmp_path: Path) -> None:
    made = told(*GOOD)
    kept(made, tmp_path, limit=3)
    lines = tmp_path / "tried" / "trajectories" / "trajectories.jsonl"
    all_lines = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(b"".join([*all_lines[1:], all_lines[1]]))
    report = kept(made, tmp_path, limit=3)
    assert report.dropped["untraceable"] == 2  # type: ignore[index]
    lines.write_bytes(all_lines[0] + b'{"schema": 1}\n')
    with pytest.raises(TrajectoryError, match=r"trajectories.jsonl line 2: not a trajectory"):
        kept(made, tmp_path, limit=3)


def test_nothing_of_anybody_elses_is_lost(tmp_path: Path) -> None:
    made = told(*GOOD)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"other files \(notes.txt\): choose a new directory"):
        kept(made, tmp_path)
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "trajectories.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="not the runs they were chosen from"):
        kept(made, saved)
    assert (saved / "trajectories.jsonl").read_text() == "{}\n"
    with pytest.raises(ConfigError, match="nothing can be collected in"):
        kept(made, tmp_path / "notes.txt")
    mixed = tmp_path / "mixed"
    kept(made, mixed)
    before = lasting(mixed)
    with pytest.raises(ConfigError, match=r"other settings: resolutions was \[56, 84\] and is now \[56\]"):
        kept(made, mixed, resolutions=(56,))
    assert lasting(mixed) == before


@pytest.mark.parametrize("given", [{"count": 0}, {"limit": 0}, {"count": -3}])
def test_numbers_that_mean_nothing_are_refused(tmp_path: Path, given: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be at least 1, not"):
        kept(told(*GOOD), tmp_path / "out", **given)


def test_an_unfinished_collection_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="no finished collection"):
        list(read_rows(tmp_path))
    (tmp_path / "rows.jsonl").write_text('{"schema": 1}\n')
    with pytest.raises(TrajectoryError, match=r"rows.jsonl line 1 is damaged \(id: Field required"):
        list(read_rows(tmp_path))


def test_pictures_smaller_than_asked_for_are_told(tmp_path: Path) -> None:
    made = told(*GOOD)
    from tests.conversations import photo

    made[0].items = [BenchmarkQuestion("q0", photo(60, 45), "Question 0?", "42"), *made[0].items[1:]]
    report = kept(made, tmp_path, limit=3)
    assert (report.skipped, report.tried, report.questions) == (1, 5, 3)
