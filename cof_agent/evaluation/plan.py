"""What a run asks: every question of its benchmark under every setting, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.checked import checked
from cof_agent.evaluation.benchmarks.scenes import as_benchmark_question
from cof_agent.evaluation.question import Benchmark, BenchmarkQuestion, MalformedRow
from cof_agent.evaluation.row import Cell
from cof_agent.evaluation.settings import RunSettings
from cof_agent.evaluation.sizes import told
from cof_agent.scenes.scene import MAX_SIDE


@dataclass(frozen=True, slots=True)
class PlannedQuestion:
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
        if isinstance(self.benchmark, Sized):
            questions = max(0, questions - self.settings.start)
        return min(questions, self.settings.limit or questions) * len(self.settings.cells)

    def count(self) -> int:
        """How many tasks there are: reads the benchmark to its end."""
        return sum(isinstance(item, PlannedQuestion) for item in self)

    def first(self) -> PlannedQuestion:
        """The first task.

        Raises ConfigError when there is none, it cannot be asked in this way, or a second look gives another one.
        """
        refused: list[MalformedRow] = []
        first, again = (next(self._tasks(refused), None) for _ in range(2))
        if first is None:
            why = f": {refused[0].where}: {refused[0].why}" if refused else ""
            after = f" after the first {self.settings.start}" if self.settings.start else ""
            raise ConfigError(f"{self.benchmark.name} has no question that can be asked{after}{why}")
        if again is None or again.key != first.key:
            raise ConfigError(
                f"{self.benchmark.name} gives its questions only once, so the first would be lost: its __iter__ must "
                "begin at the first question whenever it is called"
            )
        return first

    def _tasks(self, refused: list[MalformedRow]) -> Iterator[PlannedQuestion]:
        """What can be asked; what cannot is put to `refused`."""
        for item in self:
            if isinstance(item, PlannedQuestion):
                yield item
            else:
                refused.append(item)

    def __iter__(self) -> Iterator[PlannedQuestion | MalformedRow]:
        number, settings = 0, self.settings
        last = None if settings.limit is None else settings.start + settings.limit
        for item in checked(self.benchmark):
            if isinstance(item, MalformedRow):
                yield item
                continue
            if number >= self.settings.start:
                yield from self._asked(number, item)
            number += 1
            if number == last:
                return

    def _asked(self, number: int, question: BenchmarkQuestion) -> Iterator[PlannedQuestion]:
        if question.scene is None:
            for wanted, words in (
                (self._scenes_only, "the observer"),
                (self.settings.counterfactual, "counterfactual"),
            ):
                if wanted:
                    raise ConfigError(f"{words} needs scenes, and {self.benchmark.name} has other images: use `scenes`")
        if question.unanswerable and self.settings.counterfactual:
            raise ConfigError(
                f"counterfactual changes what is right, and {question.id} of {self.benchmark.name} cannot be answered "
                "whatever is changed: leave it out"
            )
        largest = max(filter(None, self.settings.resolutions), default=0)
        if question.scene is not None and largest > MAX_SIDE:
            raise ConfigError(f"resolutions of scenes are at most {MAX_SIDE} pixels, not {largest}: name smaller ones")
        if None in self.settings.resolutions and any(hasattr(image, "render") for image in question.images):
            raise ConfigError(
                f"pictures of {self.benchmark.name} have no size of their own: name resolutions in pixels"
            )
        changed = _changed(question) if self.settings.counterfactual else question
        for cell in self.settings.cells:
            yield PlannedQuestion(number, changed if cell.counterfactual else question, cell)


def _changed(question: BenchmarkQuestion) -> BenchmarkQuestion:
    """The same words about the scene in which another answer is right."""
    assert question.scene is not None, "checked before"
    return replace(as_benchmark_question(question.scene.counterfactual()), id=question.id)
