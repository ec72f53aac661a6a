"""The first questions of a benchmark, so many as are needed so far."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from cof_agent.evaluation.question import Benchmark, BenchmarkItem, BenchmarkQuestion, Role


class FirstQuestions:
    """A benchmark's first `limit` questions under its own name: a run over them can go on with more of them."""

    def __init__(self, benchmark: Benchmark, limit: int) -> None:
        self.benchmark, self.limit = benchmark, limit
        self.ids: set[str] = set()
        """Of the questions that were read so far."""
        self.ended = False
        """Whether the benchmark was found to have no more."""

    @property
    def name(self) -> str:
        return self.benchmark.name

    @property
    def role(self) -> Role:
        return self.benchmark.role

    def __len__(self) -> int:
        """At most so many questions."""
        return min(self.limit, len(self.benchmark)) if isinstance(self.benchmark, Sized) else self.limit

    def __iter__(self) -> Iterator[BenchmarkItem]:
        seen: set[str] = set()
        for item in self.benchmark:
            yield item
            if isinstance(item, BenchmarkQuestion):
                seen.add(item.id)
                self.ids.add(item.id)
                if len(seen) == self.limit:
                    return
        self.ended = True
