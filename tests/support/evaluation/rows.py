"""Results of runs, made by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cof_agent.evaluation.results import Run
from cof_agent.evaluation.row import Cell, ResultRow, Rule
from cof_agent.evaluation.settings import RunSettings
from cof_agent.loop.state import Status, StopReason, UsageRecord


def usage(zooms: int = 0, **values: Any) -> UsageRecord:
    known = {
        "policy_calls": zooms + 1,
        "zooms": zooms,
        "refused": 0,
        "visual_tokens": 64 * (zooms + 1),
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "seconds": 1.0,
    }
    return UsageRecord.model_validate(known | values)


def row(question: str, correct: bool, *, zooms: int = 0, **values: Any) -> ResultRow:
    """An answered multiple-choice question whose truth is A, unless said otherwise."""
    cell = Cell.model_validate({name: values.pop(name) for name in Cell.model_fields if name in values})
    key = f"{question} @{cell.resolution}/{cell.budget}" + (" changed" if cell.counterfactual else "")
    key += f" {cell.region}" if cell.region else ""
    known: dict[str, Any] = {
        "key": key,
        "question": question,
        "category": "all",
        "cell": cell,
        "text": f"What is {question}? (A) this (B) that",
        "truth": "A",
        "options": ("this", "that"),
        "chance": 0.5,
        "source": (448, 336),
        "answer": "A" if correct else "B",
        "status": Status.ANSWERED,
        "stop_reason": StopReason.ANSWERED,
        "message": None,
        "correct": correct,
        "rule": Rule.LETTER if correct else Rule.UNMATCHED,
        "usage": usage(zooms),
    }
    return ResultRow.model_validate(known | values)


def failed_row(question: str, message: str = "the server is gone", **values: Any) -> ResultRow:
    known: dict[str, Any] = {
        "answer": None,
        "status": Status.FAILED,
        "stop_reason": StopReason.POLICY_ERROR,
        "message": message,
        "rule": Rule.UNANSWERED,
    }
    return row(question, False, **(known | values))


def settings(**values: Any) -> RunSettings:
    known: dict[str, Any] = {
        "benchmark": "scenes:test",
        "role": "test",
        "policy": "script:turns",
        "dialect": "cof",
        "profile": {"dialect": "cof", "overview": {"max_pixels": 50176}},
        "profile_digest": "0123456789abcdef",
        "limits": {"max_zooms": 6, "max_turns": 12},
        "version": "0.1.0",
    }
    return RunSettings.model_validate(known | values)


def run_of(rows: Iterable[ResultRow], directory: Path = Path("run"), *, malformed: int = 0, **values: Any) -> Run:
    return Run(directory, settings(**values), tuple(rows), malformed, {})


def write_run(directory: Path, rows: Iterable[ResultRow], **values: Any) -> Path:
    """A run's directory as an evaluation leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "run.json").write_text(json.dumps(settings(**values).to_json()), encoding="utf-8")
    lines = [json.dumps(found.model_dump(mode="json")) for found in rows]
    (directory / "results.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return directory


def lifelike_rows(
    skill: float = 0.5,
    seed: int = 0,
    *,
    budgets: tuple[int | None, ...] = (None,),
    n: int = 60,
    regions: tuple[str, ...] = (),
) -> list[ResultRow]:
    """Scenes at five resolutions with changed ones; who has more `skill` zooms where it is needed, and sees there."""
    kinds: list[dict[str, Any]] = [{}, {"counterfactual": True}, *({"region": region} for region in regions)]
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        size = draw.uniform(0.01, 0.2)
        for resolution in (224, 448, 896, 1792, 3584):
            for budget in budgets:
                reachable = size * resolution > 12
                need = 0 if size * min(resolution, budget or 224) > 12 else 1
                zooms = need if draw.random() < 0.5 + skill / 2 else 0
                for kind in kinds:
                    sees = reachable and zooms >= need and not (need and "region" in kind)
                    correct = draw.random() < (0.97 if sees else 0.35)
                    answer = "A" if correct else "B" if draw.random() < 0.7 else "C"
                    rows.append(
                        row(
                            f"scene {number:04}",
                            correct,
                            zooms=zooms,
                            resolution=resolution,
                            budget=budget,
                            **kind,
                            category=("direct_attributes", "relative_position")[number % 2],
                            truth="A",
                            answer=answer,
                            chance=0.25 if number % 2 else 0.5,
                            ideal_zooms=need if reachable else None,
                            reachable=reachable,
                            contains_truth=sees,
                            iou=0.6 if sees else 0.0,
                        )
                    )
    return rows
