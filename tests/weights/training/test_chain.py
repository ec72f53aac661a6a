"""From nothing to an evaluated model, as a user types it, killed with SIGKILL in each stage and started again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cof_agent.evaluation import read_run
from cof_agent.learning.collecting.collected import read_rows
from cof_agent.learning.exports.trl import import_trl
from tests.support.warm import WarmProcess
from training.checkpoints import last_save

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "training" / "configs"
COF = str(Path(sys.executable).with_name("cof-agent"))


def killed_then_done(words: list[str | Path], reached: Callable[[], bool], before: str, most: int | None = None) -> str:
    """Kill a command once, run it again in another process, and return what it then said."""
    with TemporaryDirectory() as folder:
        WarmProcess(words, Path(folder) / "killed", before=before, lines=most).kill_when(reached)
        again = WarmProcess(words, Path(folder) / "again")
        assert again.wait() == 0, again.said
        return again.said


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def trained(recipe: str, model: Path, data: Path, output: Path) -> Path:
    """Two steps of a recipe, killed after the first."""
    config = output.with_suffix(".yaml")
    smoke = (CONFIGS / f"{recipe}_tiny_smoke.yaml").read_text(encoding="utf-8")
    config.write_text(smoke.replace("save_steps: 2", "save_steps: 1"), encoding="utf-8")
    words = [sys.executable, "-m", f"training.{recipe}", "--config", config]
    words += ["--model", model, "--data", data, "--output", output, "--steps", "2"]
    said = killed_then_done(words, lambda: last_save(output) is not None, "checkpoint-2/whole.json")
    assert "from step 1" in said
    assert last_save(output) == output / "checkpoint-2"
    return output / "final"


def test_from_collecting_to_evaluating_with_a_kill_in_each_stage(seed_checkpoint: Path, tmp_path: Path) -> None:
    kept, run = tmp_path / "kept", tmp_path / "run"
    collecting = [COF, "collect", "scenes:train", "--policy", "observer", "--count", "20", "--resolutions", "448,1344"]
    tried = kept / "tried" / "results.jsonl"
    killed_then_done([*collecting, "--out", kept], lambda: lines(tried) > 5, tried.name, 9)
    collected = list(read_rows(kept))
    assert len(collected) == 20
    assert {row.kind for row in collected} == {"direct", "one", "several"}

    for target in ("trl", "trl-grpo"):
        words = [COF, "export", kept, "--to", target, "--out", tmp_path / target]
        killed_then_done(words, (tmp_path / f".{target}.part").exists, f"{tmp_path.name}/{target}")
    assert len(list(import_trl(tmp_path / "trl"))) == 20

    tuned = trained("sft", seed_checkpoint, tmp_path / "trl", tmp_path / "sft")
    reinforced = trained("grpo", tuned, tmp_path / "trl-grpo", tmp_path / "grpo")

    asking = [COF, "eval", "scenes", "--policy", f"hf:{reinforced}", "--limit", "10", "--resolutions", "224"]
    options = ["--option", "max_new_tokens=8", "--concurrency", "2", "--out", run]
    killed_then_done([*asking, *options], lambda: lines(run / "results.jsonl") > 2, "results.jsonl", 8)
    rows = read_run(run).rows
    assert len({row.question for row in rows}) == len(rows) == 10
    assert not [row.message for row in rows if row.status == "failed"]
