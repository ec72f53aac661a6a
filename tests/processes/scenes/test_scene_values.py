"""Scenes as values: the laws they are drawn by, and that nothing changes them unnoticed."""

from __future__ import annotations

import subprocess
import sys

from cof_agent.scenes.scene import Scene


def test_a_seed_gives_the_same_scene_in_another_process() -> None:
    code = "from cof_agent.scenes import Scene; print(repr(Scene.from_seed(7)))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert told.stdout.strip() == repr(Scene.from_seed(7))


def test_values_need_no_numpy() -> None:
    code = "import sys; from cof_agent.scenes import Scene; Scene.from_seed(1); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
