"""A command that comes so far and no further, and is killed there.

Before anything is renamed to a place, the end of a path, it stops for ever; or before it appends to a file of that name
which has so many lines.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cof_agent.evaluation.judge import Judge
from cof_agent.files import LineWriter


def stop_at_rename(place: str, sign: Path) -> None:
    """`sign` is a file that appears where it has stopped."""

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event == "os.rename" and os.fsdecode(given[1]).endswith(f"/{place}"):
            sign.touch()
            threading.Event().wait()

    sys.addaudithook(watch)


def stop_at_lines(place: str, most: int) -> None:
    def held(append: Callable[[Any, Any], None], path_of: Callable[[Any], Path]) -> Callable[[Any, Any], None]:
        def appended(self: Any, value: Any) -> None:
            path = path_of(self)
            if path.name == place and path.exists() and path.read_bytes().count(b"\n") >= most:
                threading.Event().wait()
            append(self, value)

        return appended

    LineWriter.append = held(LineWriter.append, lambda lines: lines.path)  # type: ignore[method-assign]
    Judge._keep = held(Judge._keep, lambda judge: judge.cache)  # type: ignore[method-assign]


def run(command: Sequence[str]) -> None:
    """`command` is the console script `cof-agent`, or Python with `-c`, `-m` or a file."""
    program, *words = command
    if words[:1] == ["-u"]:
        words = words[1:]
    if Path(program).name == "cof-agent":
        from cof_agent.cli import main

        sys.argv = [program, *words]
        main()
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(words[1], {"__name__": "__main__"})
    elif words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0:0] = words, [str(Path(words[0]).parent)]
        runpy.run_path(words[0], run_name="__main__")
