"""Ask a policy the questions of a `questions.json` about the photos beside it, with zooms and without.

    python -m tests.benchmarks.photo_questions DIRECTORY [POLICY]

Each question has `photo`, `question`, `answer` (a regular expression; null: the photo cannot answer it) and, if there
is an answer, `box` (the truth's place in original pixels). Prints a line a question and the table of right, wrong and
declined answers. Evidence counts where the question needs a zoom: its view must cover at most 25% of the photo, show
at least 1.5 times the overview's pixels per original pixel, and contain the truth box.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from cof_agent import Box, ChainOfFocus, FocusConfig, FocusResult

MODES = {"with zooms": FocusConfig(), "without": FocusConfig(max_zooms=0)}


def verdict(result: FocusResult, truth: str | None) -> str:
    if result.answer is None:
        return "declined"
    return "right" if truth is not None and re.search(truth, result.answer) else "wrong"


def proven(result: FocusResult, truth: Box) -> bool:
    """Whether some evidence lies in a view that proves the answer, as the module says."""
    overview = result.views[0]
    views = [result.views[item.view] for item in result.evidence]
    return any(
        view.box.area <= 0.25 * overview.box.area
        and view.magnification >= 1.5 * overview.magnification
        and view.box.contains(truth)
        for view in views
    )


def main(directory: str, policy: str = "reader") -> None:
    agent = ChainOfFocus(policy)
    tables: dict[str, Counter[tuple[bool, str]]] = {mode: Counter() for mode in MODES}
    unproven = 0
    items: list[dict[str, Any]] = json.loads((Path(directory) / "questions.json").read_text(encoding="utf-8"))
    for item in items:
        truth = item["answer"]
        results = {
            mode: agent.ask(Path(directory) / item["photo"], item["question"], config=config)
            for mode, config in MODES.items()
        }
        verdicts = {mode: verdict(result, truth) for mode, result in results.items()}
        for mode in MODES:
            tables[mode][truth is not None, verdicts[mode]] += 1
        zoomed = results["with zooms"]
        note = ""
        if verdicts["with zooms"] == "right" and verdicts["without"] != "right":
            shown = proven(zoomed, Box(*item["box"]))
            unproven += not shown
            note = "evidence proves it" if shown else "EVIDENCE DOES NOT PROVE IT"
        said = zoomed.answer if zoomed.answer is not None else f"({zoomed.status.value}) {zoomed.message}"
        judged = f"{verdicts['with zooms']:8} {verdicts['without']:8}"
        cost = f"{zoomed.usage.zooms} zooms {zoomed.usage.seconds:5.1f} s"
        print(f"{judged} {cost}  {item['photo']}: {item['question']} -> {said!r:.140} {note}", flush=True)
    for mode, table in tables.items():
        for answerable in (True, False):
            row = {name: table[answerable, name] for name in ("right", "wrong", "declined")}
            print(f"{mode:10} {'answerable' if answerable else 'unanswerable':12} {row}")
    print(f"answers that need a zoom and whose evidence does not prove them: {unproven}")


if __name__ == "__main__":
    main(*sys.argv[1:])
