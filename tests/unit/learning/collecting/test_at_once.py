"""Who writes to a directory where somebody else writes is refused, and told who that is; the first is unharmed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.dialects.profile import Profile
from cof_agent.errors import LockedError
from cof_agent.evaluation import read_run
from cof_agent.evaluation.compare import compare_runs
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.evaluation.question import Role
from cof_agent.evaluation.report import files
from cof_agent.learning.collecting.collected import read_rows
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports import exporting
from cof_agent.policies import Policy
from cof_agent.policies.script import ScriptedModel
from cof_agent.scenes import vstar_layout
from tests.support.conversations import answer
from tests.support.made_questions import Made, questions
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

TRAINING = Made(list(questions(3)), role=Role.TRAIN)


class Gate:
    """Work that comes to a point, and goes on when it may."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.open.wait(PATIENCE)


class GatedModel(ScriptedModel):
    gate: Gate

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        self.gate.wait()
        return super()._generate(*args, **kwargs)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cof_agent.evaluation.report.files.write_report", read_run)


def gated(gate: Gate) -> Policy:
    return Policy(GatedModel(turns=[answer("42")], gate=gate), Profile(), "gated")


def second_is_refused(gate: Gate, work: Callable[[], Any], also: Callable[[], Any], doing: str) -> Any:
    """What the first gives, though another one has come and was refused."""
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(work)
        assert gate.reached.wait(PATIENCE)
        with pytest.raises(LockedError) as refused:
            also()
        gate.open.set()
        given = first.result(PATIENCE)
    assert doing in str(refused.value)
    assert "since 20" in str(refused.value)
    return given


def test_two_collections(gate: Gate, tmp_path: Path) -> None:
    def work() -> Any:
        return collect(TRAINING, gated(gate), count=3, out=tmp_path, resolutions=(56,), mix="natural")

    report = second_is_refused(gate, work, work, "collecting from made")
    assert (report.kept, len(list(read_rows(tmp_path)))) == (3, 3)
    assert len(read_run(tmp_path / "tried").rows) == 3
    assert work() == report


def test_an_evaluation_of_what_a_collection_tries(gate: Gate, tmp_path: Path) -> None:
    def work() -> Any:
        return collect(TRAINING, gated(gate), count=3, out=tmp_path, resolutions=(56,), mix="natural")

    def other() -> Any:
        evaluate(TRAINING, gated(gate), out=tmp_path / "tried", resolutions=(56,), report=False)

    assert second_is_refused(gate, work, other, "evaluating gated on made").kept == 3


def test_two_evaluations(gate: Gate, tmp_path: Path) -> None:
    def work() -> Any:
        return evaluate(TRAINING, gated(gate), out=tmp_path, resolutions=(56,), report=False)

    assert second_is_refused(gate, work, work, "evaluating gated on made").rows == 3


def test_two_exports(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.open.set()
    collect(TRAINING, gated(gate), count=3, out=tmp_path / "collected", resolutions=(56,), mix="natural")
    gate.open.clear(), gate.reached.clear()
    found = exporting.conversations

    def slowly(*given: Any) -> Iterator[Any]:
        gate.wait()
        yield from found(*given)

    monkeypatch.setattr(exporting, "conversations", slowly)

    def work() -> Any:
        return exporting.export(tmp_path / "collected", tmp_path / "rows")

    done = second_is_refused(gate, work, work, f"exporting to {tmp_path / 'rows'}")
    assert (done.rows, done.left_out) == (3, ())
    assert {path.name for path in tmp_path.iterdir()} == {"collected", "rows"}, "no lock is left"


def test_two_comparisons(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.open.set()
    for name in ("one", "two"):
        evaluate(TRAINING, gated(gate), out=tmp_path / name, resolutions=(56,), report=False)
    gate.open.clear(), gate.reached.clear()
    monkeypatch.setattr(files, "plots_of", lambda runs: {})
    page = files.comparison_page

    def slowly(*given: Any) -> str:
        gate.wait()
        return page(*given)

    monkeypatch.setattr(files, "comparison_page", slowly)

    def work() -> Any:
        return compare_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "out")

    assert second_is_refused(gate, work, work, "comparing 2 runs").common == 3


def test_two_drawings_of_scenes(gate: Gate, tmp_path: Path) -> None:
    def work(count: int = 2) -> Any:
        return vstar_layout.write_vstar(tmp_path, count, 64, on_row=gate.wait)

    written = second_is_refused(gate, work, work, "drawing 2 scenes")
    assert written.read_text().count("\n") == 2


def test_the_command_names_the_first(gate: Gate, tmp_path: Path) -> None:
    def work() -> Any:
        return vstar_layout.write_vstar(tmp_path, 2, 64, on_row=gate.wait)

    def command() -> Any:
        done = CliRunner().invoke(app, ["scenes", str(tmp_path), "--count", "2", "--resolution", "64"])
        assert done.exit_code == 1
        raise LockedError(done.stderr)

    second_is_refused(gate, work, command, f"cof-agent: {tmp_path} is in use: this process has been drawing 2 scenes")
    assert os.listdir(tmp_path)
