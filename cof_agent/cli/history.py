"""The command `history`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cof_agent.cli.options import EXIT_CODES, SaveOption, StripOption, failures, tell_what_is_saved
from cof_agent.cli.output import say, say_json
from cof_agent.errors import TrajectoryError
from cof_agent.files import locked

if TYPE_CHECKING:
    from cof_agent.agent.trajectory import Trajectory
    from cof_agent.images.store import ImageStore


def history_command(
    runs: Annotated[Path, typer.Argument(help="The file that a SqliteSaver wrote.")],
    thread: Annotated[str | None, typer.Option(help="Of this thread alone.")] = None,
    save: SaveOption = None,
    strip_metadata: StripOption = False,
    images: Annotated[
        Path | None, typer.Option(help="The directory of their images. Default: `images` beside the file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the questions that a checkpointer has kept, also those asked inside of other graphs.

    With --save, those that have ended are appended there as trajectories, with their images,
    unless they are there already.
    """
    with failures("what was saved is complete"), ExitStack() as held:
        from cof_agent.agent.history import kept_runs, sqlite_runs
        from cof_agent.agent.trajectory_file import (
            located_trajectories,
            prepare_directory,
            save_trajectory,
            without_metadata,
        )
        from cof_agent.images.store import DirectoryStore

        with sqlite_runs(runs) as saver:
            found = kept_runs(saver, thread)
        if thread is not None and not found:
            raise TrajectoryError(f"{runs} has no question of a thread {thread!r}: without --thread all are listed")
        there: set[str] = set()
        if save:
            prepare_directory(save)
            held.enter_context(locked(save, "saving kept runs"))  # another would save the same ones
            tell_what_is_saved(strip_metadata)
            there = {located.id for located in located_trajectories(save)}
        store, saved, kept, lost = DirectoryStore(images or runs.parent / "images"), 0, 0, 0
        for run in found:
            if as_json:
                say_json(run.to_json())
            else:
                place = f"{run.thread_id} {run.node}".strip()
                end = run.trajectory and (run.trajectory.answer or run.trajectory.message)
                say(f"{place}: {run.question} {run.standing}{f': {end}' if end else ''}")
            if not save or not run.trajectory:
                continue
            trajectory: Trajectory = run.trajectory
            source: ImageStore = store
            try:
                if strip_metadata:
                    trajectory, source = without_metadata(trajectory, store)
                if trajectory.id in there:
                    kept += 1
                    continue
                save_trajectory(trajectory, save, source)
                saved += 1
            except TrajectoryError as error:  # the others may have their images
                say(f"cof-agent: {error}", err=True)
                lost += 1
        if save:
            already = f", {kept} were there already" if kept else ""
            say(f"{saved} of {len(found)} saved to {save}{already}", err=True)
    if lost:
        raise typer.Exit(EXIT_CODES["failed"])
