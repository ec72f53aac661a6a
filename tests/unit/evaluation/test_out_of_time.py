"""A question whose time ran out is told apart, and asked again; its row and its trajectory name each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from typer.testing import CliRunner

from cof_agent import ChainOfFocus, FocusConfig, read_trajectories
from cof_agent.agent.trajectory import Trajectory
from cof_agent.cli.app import app
from cof_agent.dialects.profile import Profile
from cof_agent.evaluation import read_run
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.evaluation.question import Role
from cof_agent.evaluation.report.run_tables import remarks
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.collecting.tried import Reason
from cof_agent.learning.exports.exporting import export
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies import Policy
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, zoom
from tests.support.made_questions import Made, questions

ASKED: Any = {"resolutions": (56,), "trajectories": True}


class LateModel(ScriptedModel):
    """Has no time for the questions whose texts it is told."""

    late: set[str]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        said = json.dumps([message.content for message in messages])
        if any(text in said for text in self.late):
            raise OutOfTimeError("the policy did not reply within the 1.0 seconds that were left")
        return super()._generate(messages, *args, **kwargs)


def policy(*late: str, turns: tuple[str, ...] = (zoom(4, 4, 30, 30), answer("42"))) -> Policy:
    return Policy(LateModel(turns=list(turns), late=set(late)), Profile(), "late")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


def ids(directory: Path) -> set[str]:
    """As anybody reads them, without this package."""
    return {json.loads(line)["id"] for line in (directory / "trajectories.jsonl").read_text().splitlines()}


@pytest.mark.parametrize("closing", [False, True], ids=["while it looks", "when asked for its last answer"])
def test_more_time_would_do_whichever_limit_came_first(closing: bool) -> None:
    turns = (zoom(4, 4, 30, 30), zoom(4, 4, 30, 30))
    late = policy("No more regions" if closing else "What", turns=turns)
    result = ChainOfFocus(late, config=FocusConfig(max_zooms=1)).ask(photo(96, 72), "What?")
    assert (result.status, result.stop_reason, result.answer) == (Status.BUDGET, StopReason.TIME_LIMIT, None)
    assert "max_seconds" in (result.message or "")


def test_it_is_told_apart_and_asked_again(tmp_path: Path) -> None:
    made = Made(list(questions(4)))
    late = evaluate(made, policy("Question 1?", "Question 2?"), out=tmp_path, report=False, **ASKED)
    assert (late.rows, late.timed_out, late.failed) == (4, 2, 0)
    (cell,) = late.cells
    assert (cell.timed_out, cell.statuses[Status.BUDGET], cell.accuracy.count) == (2, 2, 2)
    told = remarks(late)
    assert "Without an answer because their time ran out (max_seconds), which counts as wrong: 2." in told
    assert not any("out of budget" in line for line in told)
    before = read_run(tmp_path).rows
    same = evaluate(made, policy(), out=tmp_path, report=False, **ASKED)
    assert same.timed_out == 2, "without retry_failed a run that is over stays as it is"
    mended = evaluate(made, policy(), out=tmp_path, report=False, retry_failed=True, **ASKED)
    assert (mended.rows, mended.timed_out, mended.cells[0].accuracy.count) == (4, 0, 4)
    after = read_run(tmp_path).rows
    assert [row for row in after if row in before] == [row for row in before if not row.timed_out]
    assert {row.trajectory for row in after} < ids(tmp_path / "trajectories")
    assert len(ids(tmp_path / "trajectories")) == 6, "two of the first time as well"


def test_budgets_that_are_not_of_time_are_not_asked_again(tmp_path: Path) -> None:
    made, stubborn = Made(list(questions(1))), policy(turns=(zoom(4, 4, 30, 30),) * 2 + ("",))
    limited = FocusConfig(max_zooms=1)
    first = evaluate(made, stubborn, out=tmp_path, report=False, config=limited, **ASKED)
    assert (first.timed_out, first.cells[0].statuses) == (0, {Status.BUDGET: 1})
    kept = (tmp_path / "results.jsonl").read_bytes()
    evaluate(made, policy(), out=tmp_path, report=False, config=limited, retry_failed=True, **ASKED)
    assert (tmp_path / "results.jsonl").read_bytes() == kept


def test_a_row_names_its_line_and_an_export_takes_no_other(tmp_path: Path) -> None:
    made = Made(list(questions(3)))
    evaluate(made, policy("Question 0?"), out=tmp_path / "run", report=False, **ASKED)
    evaluate(made, policy(), out=tmp_path / "run", report=False, retry_failed=True, **ASKED)
    lines = (tmp_path / "run" / "trajectories" / "trajectories.jsonl").read_text().splitlines()
    named = {row.trajectory: row.text for row in read_run(tmp_path / "run").rows}
    asked = {value["id"]: value["question"] for value in map(json.loads, lines)}
    assert (len(named), len(asked)) == (3, 4)
    assert {id_: asked[id_ or ""] for id_ in named} == named
    for run, line in zip(read_trajectories(tmp_path / "run" / "trajectories"), lines, strict=True):
        assert run.id == json.loads(line)["id"]
        assert Trajectory.from_json(run.to_json()) == run
    done = export(tmp_path / "run", tmp_path / "rows", allow_test=True)
    assert (done.rows, done.left_out) == (3, ())


def test_a_line_of_a_version_that_knew_less_of_a_trajectory_is_found_by_its_id(tmp_path: Path) -> None:
    made = Made(list(questions(2)), role=Role.TRAIN)
    collect(made, policy(), count=2, out=tmp_path, resolutions=(56,), mix="natural")
    tried = tmp_path / "tried"
    rows = read_run(tried).rows
    for path in (tried / "results.jsonl", tried / "trajectories" / "trajectories.jsonl"):
        text = path.read_text()
        for row in rows:
            text = text.replace(str(row.trajectory), f"earlier{row.number}")
        path.write_text(text)
    report = collect(made, policy(), count=2, out=tmp_path, resolutions=(56,), mix="natural")
    assert (report.kept, report.dropped[Reason.UNTRACEABLE]) == (2, 0)


def test_a_collection_tells_it_apart_and_asks_again(tmp_path: Path) -> None:
    made, given = Made(list(questions(4)), role=Role.TRAIN), {"count": 4, "limit": 4, "resolutions": (56,)}
    report = collect(made, policy("Question 1?"), out=tmp_path, mix="natural", **given)
    assert (report.kept, report.dropped[Reason.OUT_OF_TIME], report.dropped[Reason.UNANSWERED]) == (3, 1, 0)
    again = collect(made, policy(), out=tmp_path, mix="natural", retry_failed=True, **given)
    assert (again.kept, again.dropped[Reason.OUT_OF_TIME]) == (4, 0)
    tried = tmp_path / "tried" / "trajectories"
    assert {row.trajectory for row in read_run(tmp_path / "tried").rows} == ids(tmp_path) < ids(tried)


def test_the_commands_say_how_it_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(96, 72).save(tmp_path / "photo.png")
    rows = [{"image": "photo.png", "question": f"Question {n}?", "answer": "42"} for n in range(2)]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr("cof_agent.cli.evaluate.named_policy", lambda *_: policy("Question 1?"))
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", lambda out: _summed(out))
    words = [f"jsonl:{tmp_path / 'asked.jsonl'}", "--policy", "late:x", "--resolutions", "native"]
    done = CliRunner().invoke(app, ["eval", *words, "--out", str(tmp_path / "run")])
    assert "questions whose time ran out, counted as wrong: 1. --retry-failed asks them again" in done.stderr


def _summed(out: Path) -> Any:
    from cof_agent.evaluation.report.files import sum_up

    return sum_up(out)
