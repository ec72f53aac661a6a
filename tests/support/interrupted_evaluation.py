"""Whether a run that is killed again and again ends as an undisturbed one does.

`python -m tests.support.interrupted_evaluation --questions 200 --kills 20`: runs `cof-agent eval scenes` in a process
of its own, kills that with SIGKILL while it writes results, starts it again until it is done, and compares the
results with those of a run that nobody disturbed. Prints what came out; the exit code is 1 if anything was lost,
asked twice or answered differently.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cof_agent.evaluation import ResultRow, read_run
from tests.support.warm import WarmProcess

COMMAND = Path(sys.executable).with_name("cof-agent")


@dataclass
class Interrupted:
    """What happened."""

    rows_at_kills: list[int] = field(default_factory=list)
    """Whole lines in `results.jsonl` after each kill."""
    torn: int = 0
    """Kills that left a torn last line."""

    def compare(self, rows: Sequence[ResultRow], undisturbed: Sequence[ResultRow]) -> list[str]:
        """What differs, in words; nothing if all is well."""
        counted = Counter(row.key for row in rows)
        expected = {row.key: row for row in undisturbed}
        wrong = [f"{key} has {count} rows" for key, count in counted.items() if count > 1]
        wrong += [f"{key} is missing" for key in expected if key not in counted]
        wrong += [f"{key} was never planned" for key in counted if key not in expected]
        wrong += [
            f"{row.key} differs: {row.lasting} and {expected[row.key].lasting}"
            for row in rows
            if row.key in expected and row.lasting != expected[row.key].lasting
        ]
        return wrong


def command(out: Path, questions: int, resolutions: str = "224", concurrency: int = 4) -> list[str]:
    return [
        str(COMMAND), "eval", "scenes", "--policy", "observer", "--resolutions", resolutions,
        "--limit", str(questions), "--concurrency", str(concurrency), "--out", str(out),
    ]  # fmt: skip


def interrupt(words: Sequence[str], out: Path, total: int, kills: int, seed: int = 0) -> Interrupted:
    """Run a command, kill it so many times while it writes its `total` rows, and let it end at last."""
    draw, happened = random.Random(f"interrupted {seed}"), Interrupted()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        for left in range(kills, 0, -1):
            rows = _lines(out)
            # So far on average that the kills are spread over the run, never so far that none is left for the next.
            spare = total - rows - left
            wanted = rows + 1 + draw.randrange(max(1, min(spare, 2 * spare // (left + 1))))
            process = WarmProcess(words, said, before="results.jsonl", lines=total - left)
            process.kill_when(lambda wanted=wanted: _lines(out) >= wanted)
            data = (out / "results.jsonl").read_bytes()
            happened.rows_at_kills.append(data.count(b"\n"))
            happened.torn += not data.endswith(b"\n")
        last = WarmProcess(words, said)
        assert last.wait() == 0, last.said
    return happened


def _lines(out: Path) -> int:
    try:
        return (out / "results.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resolutions", default="224")
    given = parser.parse_args()
    total = given.questions * (given.resolutions.count(",") + 1)
    with tempfile.TemporaryDirectory() as directory:
        disturbed, quiet = Path(directory) / "disturbed", Path(directory) / "quiet"
        words = command(disturbed, given.questions, given.resolutions)
        happened = interrupt(words, disturbed, total, given.kills, given.seed)
        subprocess.run(command(quiet, given.questions, given.resolutions), check=True, capture_output=True)
        rows, undisturbed = read_run(disturbed).rows, read_run(quiet).rows
        wrong = happened.compare(rows, undisturbed)
    print(f"{given.kills} kills with SIGKILL, at {happened.rows_at_kills} of {total} rows; {happened.torn} torn lines")
    print(f"{len(rows)} rows, {len({row.key for row in rows})} different; undisturbed: {len(undisturbed)}")
    print("\n".join(wrong) or "every question once, and every row as in the undisturbed run (but for seconds)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
