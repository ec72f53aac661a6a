"""The command `scenes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cof_agent.cli.options import failures
from cof_agent.cli.output import say
from cof_agent.errors import MissingExtraError
from cof_agent.scenes.split import Split


def scenes(
    directory: Annotated[Path, typer.Argument(help="Where to write: new or empty, or what an interrupted run left.")],
    count: Annotated[int, typer.Option(help="Questions, each with an image of its own: 1 to 100,000.")],
    resolution: Annotated[
        int, typer.Option(help="Longer side of the images in pixels: 1 to 3840. The default is about that of V* Bench.")
    ] = 2240,
    split: Annotated[Split, typer.Option(help="Scenes of which split; nothing is trained on test.")] = Split.TEST,
    photo: Annotated[Path | None, typer.Option(help="An image that lies behind the objects of every scene.")] = None,
    seed_start: Annotated[
        int, typer.Option(metavar="K", help="Scene of the split to begin with; about every second one is asked.")
    ] = 0,
) -> None:
    """Write visual-search questions about drawn scenes, with their images, in the layout of V* Bench.

    `eval vstar:DIRECTORY` asks them. The same command, run again, goes on where it was interrupted.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from cof_agent.cli.console import CleanConsole

    console = CleanConsole(stderr=True)
    columns = ("drawing", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        failures("run the same command again to go on"),
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        try:
            from cof_agent.scenes.vstar_layout import write_vstar
        except ImportError as error:
            raise MissingExtraError.for_extra("eval", "drawing scenes") from error
        task = progress.add_task("drawing", total=count)
        written = write_vstar(
            directory, count, resolution, split, photo, seed_start=seed_start, on_row=lambda: progress.advance(task)
        )
    say(f"{count} questions in {written}")
