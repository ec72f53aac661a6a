"""How the command reads its words: what is wrong with them is told in words that steer no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from cof_agent.cli.options import EXIT_CODES, SYSTEM, of_the_system, stop
from cof_agent.cli.output import printable, say

_NUL = "\0"


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        with _clean_errors():
            if any(_NUL in word for word in args):
                raise typer.BadParameter("a word holds the character NUL, which no name and no question has")
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _clean_errors():
            return super().invoke(ctx)


@contextlib.contextmanager
def _clean_errors() -> Iterator[None]:
    """What is wrong with a word repeats that word; what the system raises is told in one line."""
    try:
        yield
    except BrokenPipeError:  # whoever read the output has left: typer ends the command quietly
        raise
    except SYSTEM as error:
        raise stop(of_the_system(error), EXIT_CODES["failed"]) from error
    except Exception as error:
        message = getattr(error, "message", None)
        if hasattr(error, "exit_code") and isinstance(message, str):
            error.message = printable(message)  # type: ignore[attr-defined]
        raise


def print_version(wanted: bool) -> None:
    """Print the version and leave, where that is wanted."""
    if wanted:
        from importlib.metadata import version

        say(f"cof-agent {version('cof-agent')}")
        raise typer.Exit
