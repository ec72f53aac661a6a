"""What a run asks: every question of its benchmark under every setting, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace

from cof_agent.errors import ConfigError
from cof_agent.evaluation.question import Benchmark, BenchmarkQuestion, MalformedRow
from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.settings import RunSettings, told


@dataclass(frozen=True, slots=True)
class Task:
    """One question under one setting."""

    number: int
    """Position of the question in its benchmark, from 0."""
    question: BenchmarkQuestion
    """What is asked; of a counterfactual cell the changed scene."""
    cell: Cell

    @property
    def key(self) -> str:
        """Unique within a run."""
        changed = " changed" if self.cell.counterfactual else ""
        tampered = f" {self.cell.region}" if self.cell.region else ""
        return f"{self.question.id} @{told(self.cell.resolution)}/{told(self.cell.budget)}{changed}{tampered}"


class Plan:
    """The tasks of a run, read from the benchmark as they are asked for. Iterating again gives the same ones."""

    def __init__(self, benchmark: Benchmark, settings: RunSettings, *, scenes_only: bool = False) -> None:
        """`scenes_only`: the policy answers questions about scenes only. Counterfactual cells ask for the same."""
        self.benchmark, self.settings = benchmark, settings
        self._scenes_only = scenes_only

    @property
    def total(self) -> int | None:
        """How many tasks there are at most; None where nobody can tell without reading everything."""
        questions = len(self.benchmark) if isinstance(self.benchmark, Sized) else self.settings.limit
        if questions is None:
            return None
        return min(questions, self.settings.limit or questions) * len(self.settings.cells)

    def count(self) -> int:
        """How many tasks there are: reads the benchmark to its end."""
        return sum(isinstance(item, Task) for item in self)

    def first(self) -> Task:
        """The first task. Raises ConfigError when there is none, or it cannot be asked in this way."""
        refused: MalformedRow | None = None
        for item in self:
            if isinstance(item, Task):
                return item
            refused = refused or item
        why = f": {refused.where}: {refused.why}" if refused else ""
        raise ConfigError(f"{self.benchmark.name} has no question that can be asked{why}")

    def __iter__(self) -> Iterator[Task | MalformedRow]:
        seen: set[str] = set()
        for item in self.benchmark:
            if isinstance(item, MalformedRow):
                yield item
            elif not isinstance(item, BenchmarkQuestion):
                kind = type(item).__name__
                raise ConfigError(f"{self.benchmark.name} yields {kind}: a benchmark yields BenchmarkQuestion")
            elif item.id in seen:
                yield MalformedRow(f"question {item.id}", "an earlier question has the same id")
            else:
                yield from self._asked(len(seen), item)
                seen.add(item.id)
                if len(seen) == self.settings.limit:
                    return

    def _asked(self, number: int, question: BenchmarkQuestion) -> Iterator[Task]:
        if question.scene is None:
            for wanted, words in (
                (self._scenes_only, "the observer"),
                (self.settings.counterfactual, "counterfactual"),
            ):
                if wanted:
                    raise ConfigError(f"{words} needs scenes, and {self.benchmark.name} has other images: use `scenes`")
        if None in self.settings.resolutions and hasattr(question.image, "render"):
            raise ConfigError(
                f"pictures of {self.benchmark.name} have no size of their own: name resolutions in pixels"
            )
        changed = _changed(question) if self.settings.counterfactual else question
        for cell in self.settings.cells:
            yield Task(number, changed if cell.counterfactual else question, cell)


def _changed(question: BenchmarkQuestion) -> BenchmarkQuestion:
    """The same words about the scene in which another answer is right."""
    from cof_agent.evaluation.benchmarks.scenes import as_benchmark_question

    assert question.scene is not None, "checked before"
    return replace(as_benchmark_question(question.scene.counterfactual()), id=question.id)
