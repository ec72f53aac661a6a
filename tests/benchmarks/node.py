"""Many questions at once through one perception node: `python -m tests.benchmarks.node`.

Ends with 1 if a target is missed.

Two hundred questions about 12-megapixel photos, to a scripted policy that zooms once: fanned out by one asyncio graph,
or from as many threads, and about 200 different files, or 12 (which `--quick` leaves out). Each case runs in a process
of its own, which tells the peak of its memory above what it held idle, after a few questions, and above the encoded
images that its store was given to hold in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph

from cof_agent import DirectoryStore, MemoryStore, perception_node
from cof_agent.integrations.langgraph import ask_each
from tests.benchmarks.machine import machine, report
from tests.benchmarks.zooming import jpeg, photo, remarked
from tests.support.conversations import answer, scripted, zoom

QUESTIONS = 200
SIZE = 4000, 3000
DECODED = SIZE[0] * SIZE[1] * 3 / 2**20
"""Megabytes of one of the photos, decoded."""
PHOTOS = 9
"""Of them may be held at once, or as much memory for other things."""


class Album(TypedDict, total=False):
    questions: list[dict[str, Any]]
    findings: Annotated[list[dict[str, Any]], add]


def memory(name: str) -> float:
    """A figure of this process from the kernel, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def held(store: MemoryStore | DirectoryStore) -> float:
    """The encoded images that a store has in memory, in MB."""
    return store._held / 2**20 if isinstance(store, MemoryStore) else 0.0


def ask(way: str, store: str, folder: Path) -> dict[str, Any]:
    files = sorted(folder.glob("*.jpg"))
    kept = DirectoryStore(folder / "images") if store == "directory" else MemoryStore()
    node = perception_node(scripted(zoom(100, 100, 300, 300), answer("42")), findings_key="findings", store=kept)
    builder = StateGraph(Album)
    builder.add_node("look", node)
    builder.add_conditional_edges(START, ask_each("look"), ["look", "__end__"])
    graph = builder.compile()
    asked = [{"image": str(files[n % len(files)]), "question": f"number {n}?"} for n in range(QUESTIONS)]

    def run(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if way == "asyncio":
            return asyncio.run(graph.ainvoke({"questions": questions}))["findings"]
        with ThreadPoolExecutor(len(questions)) as threads:
            ends = list(threads.map(lambda question: graph.invoke({"questions": [question]}), questions))
        return [finding for end in ends for finding in end["findings"]]

    run(asked[:4])
    idle, stored, began = memory("VmRSS"), held(kept), time.perf_counter()
    threads, opened = threading.active_count(), len(os.listdir("/proc/self/fd"))
    forget_peak()
    findings = run(asked)
    stored = held(kept) - stored
    return {
        "right": [(item["question"], item["answer"]) for item in findings]
        == [(item["question"], "42") for item in asked],
        "megabytes": memory("VmHWM") - idle - stored,
        "stored": stored,
        "seconds": time.perf_counter() - began,
        "threads": threading.active_count() - threads,
        "files": len(os.listdir("/proc/self/fd")) - opened,
    }


def main(quick: bool) -> bool:
    reached = []
    with tempfile.TemporaryDirectory() as directory:
        data = jpeg(photo(*SIZE))
        print(machine())
        print(f"{QUESTIONS} questions at once, photos of 4000x3000 pixels ({len(data) / 1e6:.1f} MB)", flush=True)
        for different in (QUESTIONS,) if quick else (QUESTIONS, 12):
            folder = Path(directory, str(different))
            folder.mkdir()
            for number in range(different):
                (folder / f"{number:03}.jpg").write_bytes(remarked(data, number))
            for store in ("directory", "memory"):
                for way in ("asyncio", "threads"):
                    command = [sys.executable, "-m", "tests.benchmarks.node", way, store, str(folder)]
                    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
                    found = json.loads(done.stdout)
                    above = f"idle and {found['stored']:.0f} MB stored" if found["stored"] else "idle"
                    case = f"{different:3} files, {way}, store in {store}, {found['seconds']:.0f} s"
                    small = report(
                        f"  {case}, peak above {above}",
                        found["megabytes"] / DECODED,
                        "decoded photos",
                        found["megabytes"] <= PHOTOS * DECODED,
                        f"at most {PHOTOS}",
                    )
                    reached += [small, found["right"], found["threads"] <= 0, found["files"] <= 0]
                    if not all(reached[-3:]):
                        print(f"    {found}")
                    sys.stdout.flush()
    return all(reached)


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--quick"]):
        sys.exit(not main(quick=bool(sys.argv[1:])))
    print(json.dumps(ask(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
