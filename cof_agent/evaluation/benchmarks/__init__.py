"""Benchmarks: sets of questions with their truths, read as their authors publish them. One file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.hrbench import HrBench
from cof_agent.evaluation.benchmarks.jsonl import JsonLines
from cof_agent.evaluation.benchmarks.mme_realworld import MmeRealWorldLite
from cof_agent.evaluation.benchmarks.scenes import Scenes
from cof_agent.evaluation.benchmarks.vstar import VStar
from cof_agent.evaluation.question import Benchmark

__all__ = ["FORMS", "HrBench", "JsonLines", "MmeRealWorldLite", "Scenes", "VStar", "default_limit", "open_benchmark"]

FORMS = "scenes[:SPLIT[:KIND]], vstar:DIR_OR_HUB_ID, hrbench:PATH, mme-realworld-lite:PATH, jsonl:[train:]FILE"
"""The forms of a spec."""

_OPENERS: Mapping[str, Callable[[str], Benchmark]] = {
    "vstar": VStar.open,
    "hrbench": HrBench.open,
    "mme-realworld-lite": MmeRealWorldLite.open,
    "jsonl": JsonLines.open,
}


def open_benchmark(spec: str) -> Benchmark:
    """The benchmark that `spec` names, ready to be read.

    Raises ConfigError for an unknown form and for files that are missing or in another layout, and MissingExtraError,
    with the command to run, where a format needs another package.
    """
    kind, colon, rest = spec.partition(":")
    if kind == "scenes":
        return Scenes.open(rest)
    if kind not in _OPENERS:
        raise ConfigError(f"no benchmark is named {spec!r}: choose one of {FORMS}")
    if not colon or not rest.strip():
        raise ConfigError(f"{spec!r} names no files: write it like {_form(kind)}")
    return _OPENERS[kind](rest)


def default_limit(benchmark: Benchmark) -> int | None:
    """How many questions of `benchmark` to ask where nobody says so; None: all. A benchmark of one's own may say."""
    limit = getattr(benchmark, "default_limit", None)
    return limit if isinstance(limit, int) else None


def _form(kind: str) -> str:
    return next(form for form in FORMS.split(", ") if form.startswith(f"{kind}:"))
