from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import Trajectory, build_graph
from cof_agent.agent.history import kept_runs, sqlite_runs
from tests.support.conversations import scripted
from tests.support.interrupted_run import THREAD, TURNS
from tests.support.killing import running
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]


def killed_and_resumed(directory: Path, place: str) -> list[str]:
    """What a run prints that goes on after it was killed, right after its first zoom."""
    command = [sys.executable, "-m", "tests.support.interrupted_run", str(directory)]
    with running([*command, "start", place], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shown = []
        for line in process.stdout:
            if line.strip() == "stuck":
                break
            shown.append(line.strip())
    assert process.returncode == -signal.SIGKILL
    assert shown == ["0", "1"]
    again = [*command, "resume", place]
    return subprocess.run(
        again, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
    ).stdout.splitlines()


def test_killed_inside_of_a_parent_it_goes_on_and_repeats_none(tmp_path: Path) -> None:
    assert killed_and_resumed(tmp_path, "parent") == ["2", "3", "It is 42. 1"]
    with sqlite_runs(tmp_path / "runs.sqlite") as saver:
        (run,) = kept_runs(saver)
    assert run.trajectory is not None
    assert (run.node, run.standing, run.trajectory.usage.policy_calls) == ("look", "answered", 4)


def test_killed_after_a_zoom_it_goes_on_and_repeats_none(tmp_path: Path) -> None:
    assert killed_and_resumed(tmp_path, "root") == ["2", "3"]
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
        state = build_graph(scripted(*TURNS), checkpointer=saver).get_state(THREAD)
    assert state.next == ()
    run = Trajectory.from_state(state.values)
    assert (run.answer, run.usage.zooms, run.usage.policy_calls, len(run.views)) == ("42", 3, 4, 4)
    assert len({tuple(view.box.as_list()) for view in run.zooms}) == 3
    assert [turn.text for turn in run.turns if turn.role == "policy"] == TURNS
