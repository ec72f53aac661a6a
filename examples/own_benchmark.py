"""Measure a policy on your own benchmark: `python examples/own_benchmark.py` (needs the extras `eval` and `reader`)."""

from collections.abc import Iterator
from pathlib import Path

from cof_agent.evaluation import BenchmarkQuestion, MalformedRow, Role, evaluate

PHOTO = Path(__file__).parent / "images" / "motorcycle.jpg"
TABLE = """
Does the motorcycle say Yamaha?; yes; 0.483 0.664 0.513 0.68
What phone number is on the motorcycle?
"""


class Lettering:
    """Questions from a table. A benchmark is a name, a role, and its questions, always in the same order."""

    name = "lettering"
    role = Role.TEST

    def __iter__(self) -> Iterator[BenchmarkQuestion | MalformedRow]:
        for number, line in enumerate(TABLE.strip().splitlines(), start=1):
            try:
                text, answer, place = line.split("; ")
            except ValueError:
                yield MalformedRow(f"line {number}", "it has no answer or no place")
            else:
                box = tuple(map(float, place.split()))  # left, top, right, bottom as fractions of the photo's sides
                yield BenchmarkQuestion(str(number), PHOTO, text, answer, boxes=(box,))


for mode in ("direct", "adaptive"):
    summary = evaluate(Lettering(), "reader", mode=mode, resolutions=["native"], out=f"run-lettering-{mode}")
    (cell,) = summary.cells
    zooms, malformed = cell.costs.zooms, summary.malformed
    print(f"{mode}: {cell.accuracy.count} of {cell.n} right, {zooms:.1f} zooms, {malformed} malformed")
