"""The command line. Heavy imports live inside the command that needs them."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cof_agent.cli.collect import collect_command
from cof_agent.cli.conversations import ask_kept, check_thread, conversation_file
from cof_agent.cli.deploy import deploy_command
from cof_agent.cli.evaluate import compare, evaluate_command
from cof_agent.cli.export import export_command
from cof_agent.cli.history import history_command
from cof_agent.cli.mcp import mcp_command
from cof_agent.cli.options import (
    EXIT_CODES,
    INTERRUPTED,
    ChatImageArgument,
    DialectOption,
    ImageArgument,
    KeepOption,
    OptionOption,
    PolicyOption,
    PrivateOption,
    ProfileOption,
    SaveOption,
    SecondsOption,
    ShowOption,
    ThreadOption,
    UrlOption,
    ZoomsOption,
    failures,
    named_policy,
    stop,
)
from cof_agent.cli.scenes import scenes
from cof_agent.cli.terminal import print_result, typed_lines, watch
from cof_agent.errors import ConfigError, ImageError, TrajectoryError, WaitingError

if TYPE_CHECKING:
    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.cli.chat import Chat
    from cof_agent.cli.conversations import ConversationFile
    from cof_agent.policies.policy import Policy

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask questions about an image: it looks, zooms where it must, and answers with the regions that prove it.",
)


def main() -> None:
    """Entry point of the command."""

    logging.getLogger("cof_agent").setLevel(logging.ERROR)  # what a policy failed with is in the result
    try:
        app()
    except SystemExit as leaving:
        abandoned = any(thread.name.startswith("cof-policy-") for thread in threading.enumerate())
        if leaving.code == INTERRUPTED or abandoned:  # an ordinary exit would wait for what still runs, or crash in it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(leaving.code if isinstance(leaving.code, int) else 1)
        raise


@app.command()
def ask(
    image: ImageArgument,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    policy: PolicyOption = "reader",
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    save: SaveOption = None,
    keep: KeepOption = None,
    thread: ThreadOption = None,
    max_zooms: ZoomsOption = None,
    max_seconds: SecondsOption = None,
    allow_private_hosts: PrivateOption = False,
    show: ShowOption = False,
) -> None:
    """Answer one question about an image. Exit code 0 answered, 3 declined or out of budget, 1 failed, 2 usage."""
    with (
        failures("the same command, with its --thread, goes on with it" if keep else "nothing was answered"),
        conversation_file(keep) as kept,
    ):
        from cof_agent.agent.result import FocusResult

        check_thread(keep, thread)
        driver = named_policy(policy, profile, dialect, base_url, option)
        agent = _agent(driver, save, max_zooms, max_seconds, allow_private_hosts, kept=kept)
        try:
            result = watch(agent, ask_kept(agent, image, question, keep, thread), show)
        except ImageError as error:
            if as_json:
                from cof_agent.agent.result import FailedQuestion

                failed = FailedQuestion(image, question, error, policy)
                typer.echo(json.dumps(failed.to_json(), ensure_ascii=False))
            raise
        if not isinstance(result, FocusResult):
            raise WaitingError(f"it waits for a person: cof-agent chat --keep {keep} --thread {thread} asks you")
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_result(result)
    if result.save_error:
        raise stop(result.save_error, EXIT_CODES["failed"])
    raise typer.Exit(EXIT_CODES[result.status.value])


@app.command()
def chat(
    image: ChatImageArgument = None,
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Ask this and leave; may be repeated.")
    ] = None,
    policy: PolicyOption = "reader",
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    save: SaveOption = None,
    keep: KeepOption = None,
    thread: ThreadOption = None,
    max_zooms: ZoomsOption = None,
    max_seconds: SecondsOption = None,
    allow_private_hosts: PrivateOption = False,
    show: ShowOption = False,
    review: Annotated[
        bool, typer.Option("--review", help="Be asked before each zoom, and before it ends without an answer.")
    ] = False,
) -> None:
    """Ask several questions about an image; what was seen for one is kept for the next.

    Reads questions, and with --review decisions, from standard input. Commands: /views, /save [DIR], /image PATH,
    /help, /quit.
    """
    chatting: Chat | None = None

    def when_interrupted() -> str:
        if keep and chatting:
            return f"--keep {keep} --thread {chatting.thread_id} goes on with it"
        return f"what was answered is in {save}" if save else "nothing was saved (--save DIR, or /save)"

    with failures(when_interrupted), conversation_file(keep) as kept:
        from cof_agent.cli.chat import Chat

        check_thread(keep, thread)
        driver = named_policy(policy, profile, dialect, base_url, option)
        agent = _agent(
            driver, save, max_zooms, max_seconds, allow_private_hosts, kept=kept, threads=True, review=review
        )
        typed = typed_lines()
        with Chat(agent, lambda events: watch(agent, events, show), print_result, keep) as chatting:
            chatting.begin(image, thread)
            code = chatting.run(question or typed, typed)
    raise typer.Exit(code)


@app.command()
def doctor(
    policy: Annotated[str | None, typer.Argument(help="Check what this policy needs, for example hf:ID.")] = None,
    base_url: UrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List which extras are installed, which policies can run here, and how to enable the others.

    With a POLICY: whether all that it needs is here (packages, weights, memory, key, server), and what to do where
    it is not; exit code 1 then.
    """
    from cof_agent.policies.checks.installation import diagnose, print_diagnosis

    if policy is None:
        diagnosis = diagnose()
        if as_json:
            typer.echo(json.dumps(diagnosis))
        else:
            print_diagnosis(diagnosis)
        return
    from cof_agent.policies.checks.requirements import check_policy
    from cof_agent.policies.environment import EndpointEnvironment

    with failures("nothing was changed"):
        checks = check_policy(policy, base_url, EndpointEnvironment.read())
    if as_json:
        typer.echo(json.dumps({"policy": policy, "checks": [check.to_json() for check in checks]}))
    else:
        for check in checks:
            typer.echo(check.line)
    raise typer.Exit(EXIT_CODES["failed"] if any(check.state == "missing" for check in checks) else 0)


@app.command()
def profile(dialect: Annotated[str, typer.Argument(help="A dialect; `doctor` lists them.")]) -> None:
    """Print the default profile of a dialect as JSON: change it and pass it as --profile."""
    with failures("nothing was changed"):
        from cof_agent.dialects.registry import default_profile

        typer.echo(default_profile(dialect).model_dump_json(indent=2))


app.command("eval")(evaluate_command)
app.command()(compare)
app.command()(scenes)
app.command("collect")(collect_command)
app.command("export")(export_command)
app.command("mcp")(mcp_command)
app.command("deploy")(deploy_command)
app.command("history")(history_command)


def _agent(
    policy: Policy,
    save: Path | None,
    max_zooms: int | None,
    max_seconds: float | None,
    allow_private_hosts: bool,
    *,
    kept: ConversationFile | None = None,
    threads: bool = False,
    review: bool = False,
) -> ChainOfFocus:
    from langgraph.checkpoint.memory import InMemorySaver

    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.agent.trajectory_file import prepare_directory
    from cof_agent.images.limits import ImageLimits
    from cof_agent.loop.config import FocusConfig

    if save:
        try:
            prepare_directory(save)
        except TrajectoryError as error:
            raise ConfigError(f"--save: {error}") from error
    limits = {"max_zooms": max_zooms, "max_seconds": max_seconds}
    asks = {"ask_before_zoom": review, "ask_at_end": review}
    return ChainOfFocus(
        policy,
        config=FocusConfig.parse(asks | {name: value for name, value in limits.items() if value is not None}),
        limits=ImageLimits(allow_private_hosts=allow_private_hosts),
        store=kept.store if kept else None,
        checkpointer=kept.saver if kept else InMemorySaver() if threads else None,
        save=save,
    )
