"""Killed with SIGKILL while it writes, a run goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cof_agent.evaluation import read_run
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.evaluation.row import Rule
from tests.support.conversations import answer, photo
from tests.support.interrupted_evaluation import COMMAND, Interrupted, command, interrupt
from tests.support.warm import WarmProcess


def test_a_run_that_is_killed_three_times_ends_like_one_that_was_not(tmp_path: Path) -> None:
    words = [*command(tmp_path / "killed", 12), "--region", "blank"]
    happened = interrupt(words, tmp_path / "killed", 24, kills=3)
    assert happened.rows_at_kills == sorted(set(happened.rows_at_kills))
    assert 0 < happened.rows_at_kills[0] < happened.rows_at_kills[-1] < 24
    given = {"resolutions": (224,), "limit": 12, "concurrency": 1, "regions": ("blank",)}
    evaluate("scenes", "observer", out=tmp_path / "quiet", **given)
    rows, undisturbed = read_run(tmp_path / "killed").rows, read_run(tmp_path / "quiet").rows
    assert len(undisturbed) == 24
    assert happened.compare(rows, undisturbed) == []


def test_a_judge_that_comes_later_and_is_killed_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its verdicts are kept one by one; the rows change together, when all are there."""
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)  # reports have tests of their own
    photo(32, 32).save(tmp_path / "photo.png")
    lines = [json.dumps({"image": "photo.png", "question": f"{n}?", "answer": f"a cat {n}"}) for n in range(200)]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    for name, turns in (("policy", [answer("a pet")]), ("judge", ["1"])):
        (tmp_path / f"{name}.json").write_text(json.dumps(turns))
    killed, quiet, cache = tmp_path / "killed", tmp_path / "quiet", tmp_path / "killed" / "judge.jsonl"
    given = {"policy": f"script:{tmp_path / 'policy.json'}", "resolutions": ["native"]}
    evaluate(f"jsonl:{tmp_path / 'asked.jsonl'}", out=killed, **given)
    before = (killed / "results.jsonl").read_bytes()
    words = [str(COMMAND), "eval", f"jsonl:{tmp_path / 'asked.jsonl'}", "--policy", given["policy"]]
    words += ["--resolutions", "native", "--out", str(killed), "--judge", f"script:{tmp_path / 'judge.json'}"]
    process = WarmProcess(words, tmp_path / "said", before=cache.name, lines=150)
    process.kill_when(lambda: cache.exists() and cache.read_bytes().count(b"\n") >= 5)
    verdicts = [line for line in cache.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    assert (killed / "results.jsonl").read_bytes() == before
    judge = f"script:{tmp_path / 'judge.json'}"
    for out in (killed, quiet):
        evaluate(f"jsonl:{tmp_path / 'asked.jsonl'}", out=out, judge=judge, **given)
    assert cache.read_bytes().startswith(b"".join(verdicts))
    assert cache.read_bytes().count(b"\n") == 200
    rows, undisturbed = read_run(killed).rows, read_run(quiet).rows
    assert {(row.rule, row.correct) for row in rows} == {(Rule.JUDGE, True)}
    assert Interrupted().compare(rows, undisturbed) == []


def test_what_is_lost_doubled_or_different_is_told(tmp_path: Path) -> None:
    evaluate("scenes", "observer", resolutions=(224,), limit=3, out=tmp_path)
    one, two, three = read_run(tmp_path).rows
    wrong = Interrupted().compare([one, one, two.model_copy(update={"answer": "?"})], [one, two, three])
    assert [words.partition(" @")[0] for words in wrong] == [one.question, three.question, two.question]
