"""Measure `reader` on questions of your own: `python examples/evaluate_jsonl.py [FILE.jsonl [RUN]]`

Needs the extras `eval` and `reader`. Each line of the file is `{"image": "photo.jpg", "question": "…", "answer": "…"}`,
the image's path relative to the file; `options`, `category` and `boxes` may be given, too. What was answered, and a
report, go to the directory RUN; the same command goes on with a run that was cut short.
"""

import sys
from pathlib import Path

from rich.console import Console

from cof_agent.evaluation import evaluate
from cof_agent.evaluation.report.terminal import print_summary

QUESTIONS = Path(__file__).parent / "images" / "questions.jsonl"

file, run = [*sys.argv[1:], *(QUESTIONS, "run-jsonl")[len(sys.argv) - 1 :]]
summary = evaluate(f"jsonl:{file}", "reader", resolutions=[448, "native"], out=run)
print_summary(summary, Console())
print(f"{run}/report.html has the plots and what was answered wrong.")
