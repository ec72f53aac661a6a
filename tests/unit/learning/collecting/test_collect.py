"""What is kept of a policy's runs, why the rest is not, and that being cut off anywhere changes nothing."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cof_agent import read_trajectories
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.evaluation import Role, read_run
from cof_agent.evaluation.progress import RunProgress
from cof_agent.evaluation.question import BenchmarkQuestion, MalformedRow
from cof_agent.images.store import DirectoryStore
from cof_agent.learning.collecting.candidate import Looks
from cof_agent.learning.collecting.collected import CollectionEnd, CollectionReport, read_rows
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.collecting.selection import Mix
from cof_agent.learning.collecting.tried import Reason
from cof_agent.loop.state import Status
from tests.support.conversations import answer, photo
from tests.support.learning.told import HERE, THERE, Drawn, lasting, looking, told
from tests.support.made_questions import Made

pytestmark = pytest.mark.slow

GOOD = [looking(), looking(HERE), looking(HERE, THERE)]
SMALL: Any = {"resolutions": (56, 84)}


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than these runs; the reports of evaluations have tests of their own."""
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


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
        "failed": 2, "out_of_time": 0, "unanswered": 2, "wrong": 2, "guessed": 0, "untraceable": 0, "format": 2,
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


@pytest.mark.parametrize("kind", ["absent", "foreign"])
def test_what_is_rightly_declined_is_kept(kind: str, tmp_path: Path) -> None:
    report = collect(f"scenes:train:{kind}", "observer", count=5, out=tmp_path, resolutions=(336, 448), mix="natural")
    assert (report.kept, report.ended, report.dropped[Reason.UNANSWERED]) == (5, CollectionEnd.ENOUGH, 0)
    rows, runs = list(read_rows(tmp_path)), list(read_trajectories(tmp_path))
    assert {(row.truth, row.category, row.kind) for row in rows} == {("cannot answer", "unanswerable", Looks.DIRECT)}
    assert {(run.status, run.answer) for run in runs} == {(Status.DECLINED, None)}
    assert len({row.question for row in rows}) == 5


def test_what_is_answered_in_place_of_declining_is_wrong(tmp_path: Path) -> None:
    declines = looking(said=answer("cannot answer: too dark"))
    made = told(looking(), declines, looking(HERE), looking(HERE, said=declines[0]))
    made[0].items = [replace(item, answer="cannot answer") for item in made[0].items]  # type: ignore[type-var]
    report = kept(made, tmp_path, count=4, mix="natural", resolutions=(84,))
    assert (report.kept, report.dropped[Reason.WRONG], report.dropped[Reason.UNANSWERED]) == (2, 2, 0)
    assert {kind.value: number for kind, number in report.kinds.items()} == {"direct": 1, "one": 1, "several": 0}


def test_a_test_set_needs_leave_and_is_stamped(tmp_path: Path) -> None:
    made = told(*GOOD, role=Role.TEST)
    with pytest.raises(ConfigError, match=r"made counts as a test set.*allow_test=True"):
        kept(made, tmp_path)
    assert list(tmp_path.iterdir()) == []
    report = kept(made, tmp_path, allow_test=True)
    assert report.settings.role is Role.TEST
    assert [row.role for row in read_rows(tmp_path)] == [Role.TEST] * 3
    kept(told(*GOOD), tmp_path / "train", allow_test=True)
    assert {row.role for row in read_rows(tmp_path / "train")} == {Role.TRAIN}


def test_ones_own_questions_are_training_data_where_that_is_said(tmp_path: Path) -> None:
    photo(112, 84).save(tmp_path / "photo.png")
    asked = [{"image": "photo.png", "question": f"Question {number}?", "answer": "42"} for number in range(3)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    _, policy = told(*GOOD)
    for spec, role in ((f"jsonl:{tmp_path}/mine.jsonl", Role.TEST), (f"jsonl:train:{tmp_path}/mine.jsonl", Role.TRAIN)):
        out = tmp_path / role
        collect(spec, policy, count=3, out=out, resolutions=(84,), allow_test=role is Role.TEST)
        assert [(row.role, row.benchmark) for row in read_rows(out)] == [(role, spec)] * 3
    with pytest.raises(ConfigError, match=r"counts as a test set.*jsonl:train:FILE"):
        collect(f"jsonl:{tmp_path}/mine.jsonl", policy, count=3, out=tmp_path / "out")


def test_questions_are_asked_until_there_are_enough_of_each_kind(tmp_path: Path) -> None:
    made = told(*[looking()] * 6, looking(HERE), *[looking()] * 3, looking(HERE, THERE), *[looking()] * 30)
    report = kept(made, tmp_path, count=3, limit=40)
    assert (report.questions, report.kept) == (16, 3)  # 2, 4, 8 and 16: the second kind is the eleventh question
    assert set(report.kinds.values()) == {1}
    assert (report.ended, report.short) == (CollectionEnd.ENOUGH, {})
    report = kept(told(*[looking()] * 50), tmp_path / "direct", count=3)
    assert (report.questions, report.kept, report.limit) == (12, 3, 12)  # four for each row
    assert (report.ended, report.short) == (CollectionEnd.LIMIT, {Looks.ONE: 1, Looks.SEVERAL: 1})
    report = kept(told(*[looking()] * 5), tmp_path / "few", count=40, limit=100)
    assert (report.questions, report.kept) == (5, 5)
    assert (report.ended, report.short) == (CollectionEnd.NO_MORE, {Looks.DIRECT: 8, Looks.ONE: 13, Looks.SEVERAL: 13})


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (["fail"], Reason.FAILED),
        (["<answer>42</answer>"], Reason.FORMAT),
        (["<think>?</think>"] * 9, Reason.UNANSWERED),
    ],
)
def test_a_policy_of_which_no_run_is_in_the_right_format_is_given_up(
    turns: list[str], reason: Reason, tmp_path: Path
) -> None:
    report = kept(told(*[turns] * 40), tmp_path, count=10)
    assert (report.questions, report.kept, report.ended) == (5, 0, CollectionEnd.NO_FORMAT)
    assert report.dropped[reason] == 10
    assert list(read_trajectories(tmp_path)) == list(read_rows(tmp_path)) == []


def test_a_policy_that_declines_or_errs_at_first_is_not_given_up(tmp_path: Path) -> None:
    declines, errs = looking(said=answer("cannot answer: too dark")), looking(said=answer("41"))
    report = kept(told(*[declines, errs] * 5, *GOOD * 3), tmp_path, count=9, limit=19)
    assert (report.questions, report.kept) == (19, 9)
    early = kept(told(["fail"], *GOOD * 3), tmp_path / "early", count=1)  # too few to tell
    assert (early.questions, early.kept) == (2, 1)


def test_calls_that_are_no_text_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    made, policy = told(*GOOD)
    with pytest.raises(ConfigError, match=r"dialect native are the server's own and no text to learn: .* such as cof"):
        collect(made, policy.model, count=3, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_question_under_many_ids_is_kept_once(tmp_path: Path) -> None:
    made = told(*[looking()] * 6, looking(HERE))
    made[0].items = [
        BenchmarkQuestion(f"id {number}", Drawn(0), f"Question {0 if number < 6 else 6}?", "42") for number in range(7)
    ]
    report = kept(made, tmp_path, count=9, limit=9)
    assert [row.question for row in read_rows(tmp_path)] == ["id 0", "id 6"]  # the other question shows the same image
    assert report.dropped[Reason.NEAR_DUPLICATE] == 12


def test_the_report_is_made_once_after_all_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", written.append)
    out = io.StringIO()
    progress = RunProgress(Console(file=out), line_seconds=0)
    made = told(*GOOD * 4)
    assert kept(made, tmp_path, count=12, progress=progress).questions == 12
    assert written == [tmp_path / "tried"]
    assert "going on" not in out.getvalue()
    assert "24 of 24 done" in out.getvalue()
    kept(made, tmp_path, count=12, progress=RunProgress(Console(file=out), line_seconds=0))
    assert out.getvalue().count("going on after 24 results") == 1


def test_another_count_uses_what_was_asked_before(tmp_path: Path) -> None:
    made = told(*GOOD * 8)
    kept(made, tmp_path / "both", count=12)
    asked = (tmp_path / "both" / "tried" / "results.jsonl").read_bytes()
    kept(made, tmp_path / "both", count=3)
    kept(made, tmp_path / "small", count=3)
    assert (tmp_path / "both" / "tried" / "results.jsonl").read_bytes() == asked
    assert lasting(tmp_path / "both") == lasting(tmp_path / "small")


def test_a_natural_mix_is_what_comes_first_and_nothing_more_is_asked(tmp_path: Path) -> None:
    made = told(*[looking()] * 4, looking(HERE), *[looking()] * 3, looking(HERE, THERE), *[looking()] * 30)
    report = kept(made, tmp_path, count=6, mix="natural")
    assert (report.mix, report.ended, report.kept, report.short) == (Mix.NATURAL, CollectionEnd.ENOUGH, 6, {})
    assert [row.question for row in read_rows(tmp_path)] == [f"q{number}" for number in range(6)]
    assert {kind.value: number for kind, number in report.kinds.items()} == {"direct": 5, "one": 1, "several": 0}
    assert report.questions < 12  # three gave half of what is wanted: six more or less, not four for each row
    short = kept(told(*[looking()] * 5), tmp_path / "few", count=40, mix="natural")
    assert (short.ended, short.kept, short.short) == (CollectionEnd.NO_MORE, 5, {})
    with pytest.raises(ConfigError, match="mix must be one of even, natural, not 'odd'"):
        kept(made, tmp_path / "odd", mix="odd")


def test_another_mix_uses_what_was_asked_before(tmp_path: Path) -> None:
    made = told(*[looking()] * 4, *GOOD * 3)
    for first, then in (("even", "natural"), ("natural", "even")):
        kept(made, tmp_path / first / "both", count=6, mix=first)
        before = (tmp_path / first / "both" / "tried" / "results.jsonl").read_bytes()
        kept(made, tmp_path / first / "both", count=6, mix=then)
        assert (tmp_path / first / "both" / "tried" / "results.jsonl").read_bytes().startswith(before)
        kept(made, tmp_path / first / "fresh", count=6, mix=then)
        assert lasting(tmp_path / first / "both") == lasting(tmp_path / first / "fresh")


def test_a_natural_mix_that_is_cut_off_ends_with_the_same_data(tmp_path: Path, monkeypatch: Any) -> None:
    made = told(*GOOD * 3)
    kept(made, tmp_path / "quiet", count=6, mix="natural")
    cuts = 0
    while cutting(monkeypatch, 13, lambda: kept(made, tmp_path / "cut", count=6, concurrency=2, mix="natural")):
        cuts += 1
    assert cuts
    assert lasting(tmp_path / "cut") == lasting(tmp_path / "quiet")


def test_a_report_of_before_there_were_mixes_is_read_as_even(tmp_path: Path) -> None:
    kept(told(*GOOD), tmp_path)
    old = json.loads((tmp_path / "report.json").read_text())
    del old["mix"]
    assert CollectionReport.model_validate(old).mix is Mix.EVEN


def test_how_many_are_asked_at_a_time_changes_nothing(tmp_path: Path) -> None:
    for concurrency in (1, 7):
        kept(told(*GOOD * 4), tmp_path / str(concurrency), count=9, concurrency=concurrency)
    assert lasting(tmp_path / "1") == lasting(tmp_path / "7")


class Cut(BaseException):
    """Nobody catches it. (A KeyboardInterrupt of a task would leave its event loop where nobody waits for it.)"""


def cutting(monkeypatch: Any, last: int, work: Callable[[], Any]) -> bool:
    """Do `work` until it is about to put its `last` file in place or on the disk; whether it came so far."""
    writes = itertools.count(1)  # threads share it

    def until(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **named: Any) -> Any:
            if next(writes) == last:
                raise Cut
            return real(*args, **named)

        return write

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", until(os.replace))
        patched.setattr(os, "fsync", until(os.fsync))
        cut = False
        try:
            work()
        except* Cut:
            cut = True
    return cut


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


def test_a_run_whose_trajectory_is_gone_is_dropped(tmp_path: Path) -> None:
    made = told(*GOOD)
    kept(made, tmp_path, limit=3)
    lines = tmp_path / "tried" / "trajectories" / "trajectories.jsonl"
    all_lines = lines.read_bytes().splitlines(keepends=True)
    lines.write_bytes(b"".join(all_lines[1:]))
    report = kept(made, tmp_path, limit=3)
    assert report.dropped["untraceable"] == 1  # type: ignore[index]
    lines.unlink()
    with pytest.raises(TrajectoryError, match=r"trajectories.jsonl cannot be read"):
        kept(made, tmp_path, limit=3)
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
    made[0].items = [BenchmarkQuestion("q0", photo(60, 45), "Question 0?", "42"), *made[0].items[1:]]
    report = kept(made, tmp_path, limit=3)
    assert (report.skipped, report.tried, report.questions) == (1, 5, 3)
