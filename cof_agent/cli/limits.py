"""The limits of a question, and of an image, as options: commands that ask questions share them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

import typer

from cof_agent.errors import ConfigError

if TYPE_CHECKING:
    from cof_agent.loop.config import FocusConfig

Limits: TypeAlias = Mapping[str, Any]
"""Those that were given, by the names of `FocusConfig`."""

_PANEL = "Limits of a question"
_IMAGE_PANEL = "Limits of an image"

_IMAGE_REMEDY = re.compile(
    r",? or (?:raise|set) (?:max_(?:large_)?pixels|max_bytes|http_seconds|max_redirects|allow_private_hosts) "
    r"in ImageLimits(?: where every URL can be trusted)?"
)


def _option(words: str, least: float, most: float | None = None) -> Any:
    return typer.Option(help=words, min=least, max=most, rich_help_panel=_PANEL, show_default=False)


def _image_option(words: str, least: float) -> Any:
    return typer.Option(help=words, min=least, rich_help_panel=_IMAGE_PANEL, show_default=False)


OPTIONS: dict[str, Any] = {
    "max_zooms": Annotated[int | None, _option("Regions it may look at; 0: first look only. Default: 6.", 0)],
    "min_zooms": Annotated[int | None, _option("Regions it must look at before it may answer. Default: 0.", 0)],
    "max_turns": Annotated[int | None, _option("Turns before it is asked for its last answer. Default: 12.", 1)],
    "max_visual_tokens": Annotated[
        int | None,
        _option(
            "Visual tokens of all views; a region that does not fit is not shown. Default: 16384. "
            "eval and collect: more where all zooms need it.",
            1,
        ),
    ],
    "max_conversation_tokens": Annotated[
        int | None,
        _option("Visual tokens kept in a conversation; the oldest regions go first. Default: 32768.", 1),
    ],
    "max_refused": Annotated[int | None, _option("Refused calls in a row. Default: 3.", 1)],
    "max_retries": Annotated[
        int | None, _option("Times a call is repeated when a server fails in a way that may pass. Default: 4.", 0)
    ],
    "max_seconds": Annotated[float | None, _option("Time limit. Default: 300.", 0.001)],
    "closing_share": Annotated[
        float | None, _option("Share of the time kept back for the last answer. Default: 0.2.", 0, 0.99)
    ],
}
"""By the names of `FocusConfig`."""


IMAGE_OPTIONS: dict[str, Any] = {
    "max_pixels": Annotated[
        int | None, _image_option("Largest width times height of an image. Default: 178000000.", 1)
    ],
    "max_large_pixels": Annotated[
        int | None,
        _image_option("The same where only what is shown is read (extras large, slides). Default: 100000000000.", 1),
    ],
    "max_bytes": Annotated[int | None, _image_option("Largest encoded image, in bytes. Default: 268435456.", 1)],
    "http_seconds": Annotated[float | None, _image_option("Time limit for fetching a URL. Default: 20.", 0.001)],
    "max_redirects": Annotated[int | None, _image_option("Redirects followed for one URL. Default: 3.", 0)],
    "allow_private_hosts": Annotated[
        bool,
        typer.Option("--allow-private-hosts", help="Let URLs lead to private addresses.", rich_help_panel=_IMAGE_PANEL),
    ],
}
"""By the names of `ImageLimits`."""


def takes_limits(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for all limits of a question; its parameter `limits` gets those that were typed."""
    return _taking(command, "limits", OPTIONS)


def takes_image_limits(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for what an image may cost; `image_limits` gets those that were typed."""
    return _taking(command, "image_limits", IMAGE_OPTIONS)


def _taking(command: Callable[..., None], under: str, options: Mapping[str, Any]) -> Callable[..., None]:
    """`command` with `options` in the place of its parameter `under`, as typer reads it."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    own = [parameter for parameter in parameters if parameter.name != under]
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if bool in get_args(kind) else None, annotation=kind
        )
        for name, kind in options.items()
    ]

    @functools.wraps(command)
    def taking(**given: Any) -> None:
        typed = {name: given.pop(name) for name in options}
        command(
            **given,
            **{under: {name: value for name, value in typed.items() if value is not None and value is not False}},
        )

    taking.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    taking.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *more)} | {"return": None}
    return taking


def config_of(limits: Limits, **more: Any) -> FocusConfig:
    """Limits from those that were typed. Raises ConfigError that names the options."""
    from cof_agent.loop.config import FocusConfig

    try:
        return FocusConfig.parse({**more, **limits})
    except ConfigError as error:
        first = str(error).partition(" (given: {")[0]
        raise ConfigError(re.sub(rf"\b({'|'.join(OPTIONS)})\b", lambda found: option_of(found[0]), first)) from error


def option_of(name: str) -> str:
    """The option that sets what Python calls `name`."""
    return f"--{name.replace('_', '-')}"


def in_options(text: str, *, image_options: bool = False) -> str:
    """`text` of an error with its remedies as they are typed here, where names of Python's stand in it.

    Without `image_options`, for commands that have none, a remedy that is only an option of those is left out.
    """
    if not image_options:
        text = _IMAGE_REMEDY.sub("", text)
    for python, typed in _TYPED:
        text = python.sub(typed, text)
    return text


def _dashed(found: re.Match[str]) -> str:
    return found[1] + option_of(found[2])


_TYPED: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"(\()({'|'.join(OPTIONS)})(?=\))"), _dashed),
    (re.compile(rf"(\bbut )({'|'.join(OPTIONS)})(?= is )"), _dashed),
    (re.compile(r"()\b(?:FocusConfig\.)(max_retries)\b"), _dashed),
    (re.compile(r"\bname it among the roots in ImageLimits\b"), "name it with --root"),
    (re.compile(r"()\b([a-z_]+) in ImageLimits\b"), _dashed),
    (re.compile(r"()(?<![\w.])(out|judge|profile|images)=(?=[\s,.:;)]|$)"), _dashed),
    (re.compile(r"()\b(retry_failed|allow_test)=True\b"), _dashed),
    (re.compile(r"\bform=parquet\b"), "--format parquet"),
    (re.compile(r"(?<![\w#.])page=(?=\d)"), "--page "),
    (re.compile(r"\bregions= "), "--region "),
    (re.compile(r"`save`"), "--save"),
    (re.compile(r"\bgive api_key\b"), "give --option api_key=KEY"),
    (re.compile(r"(?<![-\w.])base_url\b(?!=)"), "--base-url"),
    (re.compile(r"\bneeds streaming=False\b"), "needs --option streaming=false"),
    (re.compile(r"\braise max_bytes,? or use a DirectoryStore(?:, which outlives the process)?"), "use --keep FILE"),
)
"""Words of errors, and how what they name is typed."""
