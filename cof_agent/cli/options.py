"""Options that several commands take, and how commands fail."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cof_agent.cli.limits import in_options
from cof_agent.cli.output import say
from cof_agent.errors import CofError, ConfigError
from cof_agent.files import parse_json
from cof_agent.images.display_name import show_text
from cof_agent.policies.kinds import listed

if TYPE_CHECKING:
    from cof_agent.policies.policy import Policy

EXIT_CODES = {"answered": 0, "declined": 3, "budget": 3, "failed": 1}
USAGE = 2
INTERRUPTED = 130

PageOption = Annotated[
    int | None,
    typer.Option(min=1, help="Which page of the document, as #page= behind its name. Default: a PDF's first."),
]
ImageArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE",
        help="A path, an http(s):, file: or data: URL, or - for standard input. Several: the question is about all.",
        show_default=False,
    ),
]
QuestionArgument = Annotated[
    str, typer.Argument(metavar="QUESTION", help="What you want to know: the last word, in quotes.", show_default=False)
]
ChatImageArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE",
        help="Paths, or http(s):, file: or data: URLs. A --thread that is there has images already.",
        show_default=False,
    ),
]
PolicyOption = Annotated[
    str,
    typer.Option(
        "--policy",
        "-p",
        envvar="COF_POLICY",
        help=f"{listed()}.",
        show_default=True,
    ),
]
ProfileOption = Annotated[Path | None, typer.Option(help="A profile (JSON) in place of the policy's own.")]
DialectOption = Annotated[
    str | None, typer.Option(help="How the policy writes, in place of what its name says; `doctor` lists them.")
]
UrlOption = Annotated[
    str | None, typer.Option(help="Where the policy's server is, for example http://127.0.0.1:8000/v1.")
]
OptionOption = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="Of the policy: device, temperature, …. Repeatable."),
]
SaveOption = Annotated[Path | None, typer.Option(help="Append the trajectory and its images to this directory.")]
KeepOption = Annotated[
    Path | None,
    typer.Option(help="Keep the conversation in this SQLite file, its images in `images` beside it (extra `sqlite`)."),
]
ThreadOption = Annotated[
    str | None, typer.Option(help="Which conversation of --keep: one that is there goes on. Default: a new one.")
]
StripOption = Annotated[
    bool,
    typer.Option("--strip-metadata", help="Save and keep the image without its place, time and camera."),
]
ShowOption = Annotated[bool, typer.Option("--show", help="Draw each view, where standard error is a colour terminal.")]


@contextlib.contextmanager
def failures(when_interrupted: str | Callable[[], str], *, image_options: bool = False) -> Iterator[None]:
    """Turn what goes wrong inside into one line on standard error and an exit code.

    `image_options`: the command has options for the limits of images.
    """
    try:
        yield
    except ConfigError as error:
        raise stop(in_options(str(error), image_options=image_options), USAGE) from error
    except CofError as error:
        raise stop(in_options(str(error), image_options=image_options), EXIT_CODES["failed"]) from error
    except KeyboardInterrupt as interrupt:
        words = when_interrupted if isinstance(when_interrupted, str) else when_interrupted()
        raise stop(f"interrupted: {words}", INTERRUPTED) from interrupt


def named_policy(
    spec: str, profile: Path | None, dialect: str | None, base_url: str | None, options: list[str] | None
) -> Policy:
    """The policy that the shared options name. Raises ConfigError."""
    from cof_agent.dialects.registry import load_profile
    from cof_agent.policies.loading import load_policy

    given = dict(map(_name_and_value, options or []))
    for name in ("spec", "profile", "dialect"):
        if name in given:
            raise ConfigError(f"{name} is no option of a policy: use --policy, --profile or --dialect")
    if base_url is not None:
        given["base_url"] = base_url
    return load_policy(spec, profile=load_profile(profile) if profile else None, dialect=dialect, **given)


def tell_what_is_saved(stripped: bool) -> None:
    """Say on standard error what --save keeps of an image."""
    how = "without its metadata" if stripped else "as it came; --strip-metadata leaves out its place, time and camera"
    say(f"--save keeps the image {how}", err=True)


def _name_and_value(option: str) -> tuple[str, Any]:
    """The two sides of NAME=VALUE; the value as JSON where it is JSON, else as text."""
    name, equals, value = option.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ConfigError(f"--option takes NAME=VALUE, such as temperature=0.7, not {option!r}")
    try:
        return name.strip(), parse_json(value)
    except ValueError:
        return name.strip(), value


def stop(why: object, code: int) -> typer.Exit:
    """Say on standard error what went wrong, and make what ends the command."""
    say(f"cof-agent: {why}", err=True)
    return typer.Exit(code)


SYSTEM = (OSError, sqlite3.Error, RecursionError, MemoryError, UnicodeError)
"""What files, disks and memory raise, wherever a command meets it."""

_MEND = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EFBIG: "the system allows no larger file",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file",
    errno.EMFILE: "allow more open files (ulimit -n)",
}
"""What to do about errors of the system."""


def of_the_system(error: BaseException) -> str:
    """What a command says of an error that no part of it has met: a full disk, a file that is something else."""
    if isinstance(error, OSError):
        where = show_text(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else "a file"
        remedy = _MEND.get(error.errno or 0, "check the file and its permissions")
        return f"{where}: {error.strerror or error}: {remedy}"
    if isinstance(error, RecursionError):
        return "something that was read is nested too deep: leave it out"
    if isinstance(error, MemoryError):
        return "there is not enough memory: use smaller files, or fewer at a time"
    return f"something that was read is damaged ({type(error).__name__}: {show_text(str(error))}): leave it out"
