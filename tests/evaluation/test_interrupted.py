"""Killed with SIGKILL while it writes, a run goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

from cof_agent.evaluation import evaluate, read_run
from tests.interrupted_evaluation import Interrupted, command, interrupt


def test_a_run_that_is_killed_three_times_ends_like_one_that_was_not(tmp_path: Path) -> None:
    words = [*command(tmp_path / "killed", 12), "--region", "blank"]
    happened = interrupt(words, tmp_path / "killed", 24, kills=3)
    assert happened.rows_at_kills == sorted(set(happened.rows_at_kills))
    assert 0 < happened.rows_at_kills[0] <= happened.rows_at_kills[-1] <= 24
    given = {"resolutions": (224,), "limit": 12, "concurrency": 1, "regions": ("blank",)}
    evaluate("scenes", "observer", out=tmp_path / "quiet", **given)
    rows, undisturbed = read_run(tmp_path / "killed").rows, read_run(tmp_path / "quiet").rows
    assert len(undisturbed) == 24
    assert happened.compare(rows, undisturbed) == []


def test_what_is_lost_doubled_or_different_is_told(tmp_path: Path) -> None:
    evaluate("scenes", "observer", resolutions=(224,), limit=3, out=tmp_path)
    one, two, three = read_run(tmp_path).rows
    wrong = Interrupted().compare([one, one, two.model_copy(update={"answer": "?"})], [one, two, three])
    assert [words.partition(" @")[0] for words in wrong] == [one.question, three.question, two.question]
