"""Rich consoles for text that others wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cof_agent.cli.output import printable


class CleanConsole(Console):
    """Draws what it is given as text: no markup, no emoji codes, and nothing that steers the terminal.

    The colours and the moves of the cursor are those of the renderables alone.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what its encoding lacks ends no command
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, lines=True), segment.style)


def tables_console() -> CleanConsole:
    """For tables on standard output, 100 columns wide where that is no terminal."""
    console = CleanConsole()
    if not console.is_terminal:
        console.width = 100
    return console
