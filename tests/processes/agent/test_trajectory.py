from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cof_agent import (
    ChainOfFocus,
    read_trajectories,
    save_trajectory,
)
from tests.support.conversations import BOTH, answer, crop, photo, scripted, zoom
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from cof_agent import DirectoryStore, read_trajectories, save_trajectory
given, directory, name = sys.argv[1:]
(trajectory,) = read_trajectories(given)
for _ in range(30):
    save_trajectory(trajectory.model_copy(update={"policy": name}), directory, DirectoryStore(given + "/images"))
"""


def test_threads_and_processes_write_whole_lines(tmp_path: Path) -> None:
    turns = (zoom(1, 2, 30, 40), crop(10, 20, 300, 200), answer("42"))
    base = ChainOfFocus(scripted(*turns, profile=BOTH)).ask(photo(), "What is it?")
    large = base.trajectory.model_copy(update={"message": "ä" * 100_000})
    save_trajectory(large, tmp_path / "given", base.store)
    target = tmp_path / "runs"
    command = [sys.executable, "-c", WRITER, str(tmp_path / "given"), str(target)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("one", "two")]

    def write(name: int) -> None:
        for _ in range(5):
            save_trajectory(large.model_copy(update={"policy": f"thread {name}"}), target, base.store)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
    found = [trajectory.policy for trajectory in read_trajectories(target)]
    assert sorted(found) == sorted(["one", "two"] * 30 + [f"thread {name}" for name in range(8)] * 5)
    assert all(json.loads(line) for line in (target / "trajectories.jsonl").read_bytes().splitlines() if line)
    assert len(list((target / "images").iterdir())) == len({ref.sha256 for ref in large.image_refs})
