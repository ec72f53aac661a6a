"""Data collection as a graph: questions of a benchmark are asked side by side, and the good runs are kept.

Kept is a run whose answer is right and whose format is right: as a trajectory in the directory `COF_COLLECTED`
(default: collected), as `read_trajectories` and `cof-agent export` read them. `COF_POLICY`, `COF_IMAGES` and
`COF_ROOTS`, which holds for the file of questions and for their photos, are those of `chain_of_focus`. For an even mix
of many questions, in one process that survives anything, see `cof-agent collect`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from itertools import islice
from operator import add
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from cof_agent import DirectoryStore, ImageLimits, Trajectory, build_graph, load_policy, open_image, save_trajectory
from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks import JsonLines, open_benchmark
from cof_agent.evaluation.picture import pictures
from cof_agent.evaluation.question import Benchmark, BenchmarkQuestion, Role
from cof_agent.images.codecs.metadata import stripped
from cof_agent.images.limits import named_roots
from cof_agent.images.views import keep_original
from cof_agent.integrations.langgraph import ask_each
from cof_agent.learning.rewards import accuracy, rollout_of
from cof_agent.loop.state import Status


class Wanted(BaseModel):
    """What is collected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str = "scenes:train:character"
    """A training set, as `cof-agent collect` names it."""
    resolution: int | None = Field(default=672, ge=28)
    """Long side of the pictures in pixels; null: as they are."""
    count: int = Field(default=6, ge=1)
    """Runs to keep; what is asked side by side may bring a few more."""
    limit: int = Field(default=24, ge=1)
    """Questions to ask at most."""
    at_once: int = Field(default=6, ge=1)
    """Questions asked side by side."""


class State(TypedDict, total=False):
    asked: int
    """Questions that were asked so far."""
    questions: list[dict[str, Any]]
    """Those that are asked next, side by side."""
    runs: Annotated[list[dict[str, Any]], add]
    """How each question ended: its number, its answer, and whether it is kept."""


store = DirectoryStore(os.environ.get("COF_IMAGES", ".langgraph_api/cof_images"))
out = os.environ.get("COF_COLLECTED", "collected")
limits = ImageLimits(roots=named_roots(os.environ.get("COF_ROOTS")))
loop = build_graph(load_policy(os.environ.get("COF_POLICY", "reader")), store=store, limits=limits)


def training_set(spec: str) -> Benchmark:
    """The questions of that name. Raises ConfigError for a test set, ImageError for a file that may not be opened."""
    kind, _, rest = spec.partition(":")
    benchmark: Benchmark | None = None
    if kind == "jsonl":
        file = rest.removeprefix("train:")
        # A link that is there only now was put there after the file was found below a root.
        benchmark = JsonLines.open(rest.removesuffix(file) + limits.allowed_file(file), links=limits.roots is None)
    elif kind == "scenes":
        benchmark = open_benchmark(spec)
    if benchmark is None or benchmark.role is Role.TEST:
        raise ConfigError(f"{spec} counts as a test set: collect from scenes:train or another training set")
    return benchmark


def choose(state: State, runtime: Runtime[Wanted]) -> dict[str, Any]:
    """The next questions, with their pictures; none when there are enough runs, or no more questions."""
    wanted, asked = runtime.context or Wanted(), state.get("asked", 0)
    benchmark = training_set(wanted.benchmark)
    enough = sum(run["kept"] for run in state.get("runs", [])) >= wanted.count
    questions: list[dict[str, Any]] = []
    for item in [] if enough else islice(benchmark, asked, wanted.limit):
        if len(questions) == wanted.at_once:
            break
        if isinstance(item, BenchmarkQuestion) and (made := pictures(item.images, wanted.resolution, limits=limits)):
            opened = [stripped(open_image(image.source, limits=limits), limits) for image in made]
            images = [keep_original(source, store) for source in opened]
            truth = {"answer": item.answer, "options": list(item.options)}
            questions.append({"number": asked, "image": images, "question": item.text, **truth})
        asked += 1
    return {"questions": questions, "asked": asked}


async def search(asked: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
    """One question: the loop, and what came of it written down where it is good."""
    state = await loop.ainvoke({"image": asked["image"], "question": asked["question"]}, config)
    run = Trajectory.from_state(state)
    truth = BenchmarkQuestion(
        str(asked["number"]), asked["image"][0]["source"], asked["question"], asked["answer"], tuple(asked["options"])
    )
    right = accuracy(truth, run.answer, declined=run.status is Status.DECLINED)
    if good := right and rollout_of(run, right).well_formed:
        await asyncio.to_thread(save_trajectory, run, out, store)
    return {"runs": [{"number": asked["number"], "answer": run.answer, "right": right, "kept": good}]}


builder = StateGraph(State, context_schema=Wanted)
builder.add_node("choose", choose)
builder.add_node("search", search)
builder.add_edge(START, "choose")
builder.add_conditional_edges("choose", ask_each("search"), ["search", END])
builder.add_edge("search", "choose")
graph = builder.compile(name="search_agent")
