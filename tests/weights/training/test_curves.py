"""Curves of reinforcement learning: what is averaged, drawn and printed, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from training.checkpoints import mark_whole
from training.curves import main, parts, read_curves, smooth


def saved(run: Path, steps: Sequence[dict[str, float]]) -> Path:
    """A run whose last save tells of `steps`."""
    save = run / "checkpoint-9"
    save.mkdir(parents=True)
    (save / "trainer_state.json").write_text(json.dumps({"log_history": steps}))
    mark_whole(save)
    return run


def played(rewards: Sequence[float]) -> list[dict[str, float]]:
    """Logged after every other step."""
    others = {"accuracy": 0.5, "zooms": 2.0, "wrong_zooms": 1.0}
    return [{"step": 2 * number, "reward": reward, **others} for number, reward in enumerate(rewards, 1)]


def test_means_are_over_whole_windows() -> None:
    assert smooth([1, 2, 3, 4], 2) == [1.5, 2.5, 3.5]
    assert smooth([1, 2, 3], 8) == [2]
    assert parts([1, 1, 2, 2, 3, 3, 4, 4, 5, 5]) == [1, 2, 3, 4, 5]
    assert parts([1, 2, 3, 4, 5, 6, 7]) == [1, 2.5, 4, 5.5, 7]
    assert parts([1, 3]) == [1, 3]


def test_runs_are_drawn_and_told_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ten = saved(Path("ten"), played([0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5]))
    two = saved(Path("two"), [*played([0.7, 0.9]), {"train_loss": 0.3}])
    assert main([str(ten), str(two), "--out", str(tmp_path / "new" / "curves.png")]) == 0
    with Image.open(tmp_path / "new" / "curves.png") as picture:
        middle, below = picture.width // 2, picture.height // 16  # the legend is above
        for left, top in ((0, below), (middle, below), (0, picture.height // 2), (middle, picture.height // 2)):
            panel = picture.convert("RGB").crop((left, top, left + middle, top + picture.height // 2 - below))
            shades = {shade for _, shade in panel.getcolors(panel.width * panel.height) or []}
            assert {(0, 114, 178), (213, 94, 0)} <= shades  # a line each
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{ten}, 20 steps, means over parts of them:"
    assert lines[1].split() == ["reward", "0.100", "0.200", "0.300", "0.400", "0.500"]
    assert lines[5] == f"{two}, 4 steps, means over parts of them:"
    assert lines[6].split() == ["reward", "0.700", "0.900"]
    assert read_curves(two).steps == (2, 4)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "has no whole save: name the `output` of a run that has saved"),
        ([{"loss": 0.3}], "tells of no rewards: name runs of `training.grpo`"),
        ([{"reward": 0.3}], r"trainer_state.json cannot be read \(KeyError\('accuracy'\)\)"),
    ],
)
def test_what_tells_of_no_such_run_is_refused(
    steps: list[dict[str, float]], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if steps:
        saved(tmp_path / "run", steps)
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "curves.png")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(why, error)
    assert not (tmp_path / "curves.png").exists()


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(saved(tmp_path / "run", played([0.5]))), "--out", str(tmp_path / "file" / "curves.png")]) == 1
    assert "curves.png cannot be written" in capsys.readouterr().err
