"""The command line. Heavy imports live inside the command that needs them."""

from __future__ import annotations

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
from cof_agent.cli.doctor import doctor, profile
from cof_agent.cli.evaluate import compare, evaluate_command
from cof_agent.cli.export import export_command
from cof_agent.cli.group import CommandGroup, print_version
from cof_agent.cli.history import history_command
from cof_agent.cli.image_words import check_words, one_or_all
from cof_agent.cli.limits import Limits, config_of, takes_image_limits, takes_limits
from cof_agent.cli.mcp import mcp_command
from cof_agent.cli.options import (
    EXIT_CODES,
    INTERRUPTED,
    ChatImageArgument,
    DialectOption,
    ImageArgument,
    KeepOption,
    OptionOption,
    PageOption,
    PolicyOption,
    ProfileOption,
    QuestionArgument,
    SaveOption,
    ShowOption,
    StripOption,
    ThreadOption,
    UrlOption,
    failures,
    named_policy,
    stop,
    tell_what_is_saved,
)
from cof_agent.cli.output import clean_what_libraries_write, say_json
from cof_agent.cli.scenes import scenes
from cof_agent.cli.standard_input import check_no_standard_input, image_named, on_page, tell_of_pages
from cof_agent.cli.terminal import Thoughts, print_result, typed_lines, watch
from cof_agent.errors import ConfigError, ImageError, TrajectoryError, WaitingError
from cof_agent.images.display_name import show_source

if TYPE_CHECKING:
    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.cli.chat import Chat
    from cof_agent.cli.conversations import ConversationFile
    from cof_agent.loop.config import FocusConfig
    from cof_agent.policies.policy import Policy

app = typer.Typer(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask questions about an image: it looks, zooms where it must, and answers with the regions that prove it.",
)


def main() -> None:
    """Entry point of the command."""

    clean_what_libraries_write()
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


@app.callback()
def cof_agent(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and leave.")
    ] = False,
) -> None:
    """Ask questions about an image: it looks, zooms where it must, and answers with the regions that prove it."""


@app.command()
@takes_limits
@takes_image_limits
def ask(
    image: ImageArgument = None,
    question: QuestionArgument = "",
    page: PageOption = None,
    policy: PolicyOption = "reader",
    profile: ProfileOption = None,
    dialect: DialectOption = None,
    base_url: UrlOption = None,
    option: OptionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    save: SaveOption = None,
    keep: KeepOption = None,
    thread: ThreadOption = None,
    strip_metadata: StripOption = False,
    show: ShowOption = False,
    *,
    limits: Limits,
    image_limits: Limits,
) -> None:
    """Answer one question about an image, or about several.

    Exit code 0 answered, 3 declined or out of budget, 1 failed, 2 usage.
    """
    with (
        failures(
            "the same command, with its --thread, goes on with it" if keep else "nothing was answered",
            image_options=True,
        ),
        conversation_file(keep) as kept,
    ):
        from cof_agent.agent.result import FocusResult

        images = image or []
        check_words(images, question)
        check_thread(keep, thread)
        driver = named_policy(policy, profile, dialect, base_url, option)
        given = on_page([image_named(word, image_limits) for word in images], page, image_limits)
        agent = _agent(driver, save, config_of(limits), image_limits, kept=kept, strip_metadata=strip_metadata)
        try:
            events = ask_kept(agent, given, question, keep, thread)
            result = watch(agent, events, show, names=[*map(show_source, images)])
        except ImageError as error:
            if as_json:
                from cof_agent.agent.result import FailedQuestion

                failed = FailedQuestion(one_or_all(images), question, error, policy)
                say_json(failed.to_json())
            raise
        if not isinstance(result, FocusResult):
            raise WaitingError(f"it waits for a person: cof-agent chat --keep {keep} --thread {thread} asks you")
        if page is None:
            for one, record in zip(given, result.trajectory.images, strict=True):
                tell_of_pages(one, record.page, record.pages)
        if as_json:
            say_json(result.to_json())
        else:
            print_result(result)
    if result.save_error:
        raise stop(result.save_error, EXIT_CODES["failed"])
    raise typer.Exit(EXIT_CODES[result.status.value])


@app.command()
@takes_limits
@takes_image_limits
def chat(
    image: ChatImageArgument = None,
    page: PageOption = None,
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
    strip_metadata: StripOption = False,
    show: ShowOption = False,
    review: Annotated[
        bool, typer.Option("--review", help="Be asked before each zoom, and before it ends without an answer.")
    ] = False,
    *,
    limits: Limits,
    image_limits: Limits,
) -> None:
    """Ask several questions about an image, or about several; what was seen for one is kept for the next.

    Reads questions, and with --review decisions, from standard input. Commands: /views, /save [DIR], /image PATH...,
    /help, /quit.
    """
    chatting: Chat | None = None

    def when_interrupted() -> str:
        if keep and chatting:
            return f"--keep {keep} --thread {chatting.thread_id} goes on with it"
        if save:
            return f"what was answered is in {save}"
        if chatting and chatting.saved_to:
            return f"what you saved is in {', '.join(map(str, chatting.saved_to))}"
        return "nothing was saved (--save DIR, or /save)"

    with failures(when_interrupted, image_options=True), conversation_file(keep) as kept:
        from cof_agent.cli.chat import Chat
        from cof_agent.cli.drawing import sketches

        check_no_standard_input(image)
        named = [str(one) for one in on_page(image, page, image_limits)] if image else None
        check_thread(keep, thread)
        driver = named_policy(policy, profile, dialect, base_url, option)
        config = config_of(limits, ask_before_zoom=review, ask_at_end=review)
        agent = _agent(driver, save, config, image_limits, kept=kept, strip_metadata=strip_metadata, threads=True)
        typed, thoughts = typed_lines(), Thoughts()
        with (
            sketches(agent, show) as drawn,
            Chat(
                agent,
                lambda events, names: watch(agent, events, show, thoughts, names),
                print_result,
                keep,
                thoughts=thoughts,
                sketches=drawn,
            ) as chatting,
        ):
            chatting.begin(named, thread)
            code = chatting.run(question or typed, typed)
    raise typer.Exit(code)


app.command()(doctor)
app.command()(profile)
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
    config: FocusConfig,
    image_limits: Limits,
    *,
    kept: ConversationFile | None = None,
    strip_metadata: bool = False,
    threads: bool = False,
) -> ChainOfFocus:
    from langgraph.checkpoint.memory import InMemorySaver

    from cof_agent.agent.chain_of_focus import ChainOfFocus
    from cof_agent.agent.trajectory_file import prepare_directory
    from cof_agent.images.limits import ImageLimits

    if save:
        try:
            prepare_directory(save)
        except TrajectoryError as error:
            raise ConfigError(f"--save: {error}") from error
    if save:
        tell_what_is_saved(strip_metadata)
    return ChainOfFocus(
        policy,
        config=config,
        limits=ImageLimits(**image_limits),
        store=kept.store if kept else None,
        checkpointer=kept.saver if kept else InMemorySaver() if threads else None,
        save=save,
        strip_metadata=strip_metadata,
    )
