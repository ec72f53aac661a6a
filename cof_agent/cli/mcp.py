"""The command `mcp`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cof_agent.cli.limits import Limits, config_of, in_options, takes_image_limits, takes_limits
from cof_agent.cli.options import (
    DialectOption,
    OptionOption,
    PolicyOption,
    ProfileOption,
    SaveOption,
    StripOption,
    UrlOption,
    failures,
    named_policy,
    tell_what_is_saved,
)
from cof_agent.cli.output import say
from cof_agent.errors import CofError, ConfigError, TrajectoryError

if TYPE_CHECKING:
    from cof_agent.agent.result import FocusResult
    from cof_agent.policies.policy import Policy


@takes_limits
@takes_image_limits
def mcp_command(
    root: Annotated[
        list[Path] | None,
        typer.Option(help="A directory whose images may be opened; repeatable. Without one, no file may."),
    ] = None,
    policy: PolicyOption = "reader",
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP in place of standard input and output.")
    ] = False,
    host: Annotated[str, typer.Option(help="Where to listen; other than loopback only with a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8348,
    token: Annotated[
        str | None,
        typer.Option(envvar="COF_MCP_TOKEN", help="What clients must send as bearer token. Better in the variable."),
    ] = None,
    max_request_mb: Annotated[int, typer.Option(min=1, help="Largest HTTP request, in MiB.")] = 32,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls that run at a time; others wait.")] = 4,
    answer_within: Annotated[
        float,
        typer.Option(
            min=0,
            help='Seconds until a call is answered "not finished"; the same call later gets its result. 0: never.',
        ),
    ] = 50,
    max_result_kb: Annotated[
        int, typer.Option(min=16, help="Largest result, in KiB; larger views are reduced, or linked to.")
    ] = 900,
    keep_runs: Annotated[int, typer.Option(min=0, help="Newest runs whose views are resources.")] = 32,
    save: SaveOption = None,
    strip_metadata: StripOption = False,
    *,
    limits: Limits,
    image_limits: Limits,
) -> None:
    """Serve the tools look_closely and zoom over the Model Context Protocol, and the views of past runs as resources.

    Speaks on standard input and output unless --http is given.
    """
    with failures("the server has ended", image_options=True):
        import asyncio
        import threading
        from concurrent.futures import ThreadPoolExecutor

        from cof_agent.agent.chain_of_focus import ChainOfFocus
        from cof_agent.images.limits import ImageLimits
        from cof_agent.integrations.mcp import CallLimits, mcp_server, serve_stdio
        from cof_agent.integrations.mcp_http import HttpSettings, serve_http

        if save:
            tell_what_is_saved(strip_metadata)
        listen = HttpSettings(host, port, token, max_request_mb * 2**20) if http else None
        agent = ChainOfFocus(
            named_policy(policy, profile, dialect, base_url, option),
            config=config_of(limits),
            limits=ImageLimits(roots=tuple(map(_directory, root or ())), **image_limits),
            save=save,
            strip_metadata=strip_metadata,
        )
        server = mcp_server(
            agent,
            limits=CallLimits(concurrency, answer_within=answer_within, max_result_bytes=max_result_kb * 1024),
            keep_runs=keep_runs,
            earlier=_saved(save) if save else (),
            words=lambda text: in_options(text, image_options=True),
        )
        # Not waited for: what a client asks first is not delayed.
        threading.Thread(target=_warm_up, args=[agent.policy], name="cof-policy-warm-up", daemon=True).start()
        if listen is None:  # on a thread of its own: Ctrl-C then ends the wait for input at once
            ThreadPoolExecutor(1).submit(asyncio.run, serve_stdio(server)).result()
        else:
            asyncio.run(serve_http(server, listen, lambda url: say(f"cof-agent: MCP at {url}", err=True)))


def _warm_up(policy: Policy) -> None:
    with contextlib.suppress(CofError):  # the first call says it
        policy.warm_up()


def _directory(path: Path) -> Path:
    if not path.is_dir():
        raise ConfigError(f"--root {path} is no directory: name one that exists")
    return path


def _saved(directory: Path) -> Iterator[FocusResult]:
    """The results of earlier runs in `directory`, which is made where there is none. Raises ConfigError."""
    from cof_agent.agent.result import FocusResult
    from cof_agent.agent.trajectory_file import IMAGES, prepare_directory, read_trajectories
    from cof_agent.images.store import DirectoryStore

    try:
        prepare_directory(directory)
        for run in read_trajectories(directory):
            yield FocusResult(run, DirectoryStore(directory / IMAGES))
    except TrajectoryError as error:
        raise ConfigError(f"--save: {error}") from error
