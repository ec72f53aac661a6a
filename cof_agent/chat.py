"""A conversation about an image, line by line."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator

import typer

from cof_agent.agent import ChainOfFocus, Event, FocusResult, Request
from cof_agent.errors import CofError, ConfigError, ImageError, WaitingError
from cof_agent.images import open_image
from cof_agent.review import Decision
from cof_agent.trajectory_file import save_trajectory

HELP = "Ask a question, or: /views, /save [DIR] (default: cof-chat), /image PATH, /help, /quit"

_DECIDE = "y: yes; n REASON: no; x1 y1 x2 y2: look there instead (pixels of the original); /quit"
_DECIDE_END = "y: yes; n REASON: try again, told this; /quit"


class Chat:
    """Reads lines, asks questions, and obeys commands that start with a slash."""

    def __init__(
        self,
        agent: ChainOfFocus,
        image: str,
        watch: Callable[[Iterator[Event]], FocusResult | Request],
        show: Callable[[FocusResult], None],
    ) -> None:
        self.agent, self.watch, self.show = agent, watch, show
        self.last: FocusResult | None = None
        self.decisions: Iterator[str] = iter(())
        self.code, self.left = 0, False
        self._begin(image)

    def run(self, lines: Iterable[str], decisions: Iterator[str]) -> int:
        """The exit code: 0, or that of the last question that was not answered.

        A person's decisions are the next of `decisions`, which may be `lines` themselves.
        """
        self.decisions = decisions
        for line in lines:
            text = line.strip()
            if not text:
                continue
            if text == "/quit":
                break
            if text.startswith("/"):
                self._obey(*text.split(maxsplit=1))
            else:
                self._ask(text)
            if self.left:
                break
        return self.code

    def _begin(self, image: str) -> None:
        open_image(image, limits=self.agent.limits)  # fail now rather than at the first question
        self.image: str | None = image
        self.thread_id = uuid.uuid4().hex
        self.last = None

    def _ask(self, question: str) -> None:
        try:
            end = self.watch(self.agent.stream(self.image, question, thread_id=self.thread_id))
            while isinstance(end, Request):
                end = self.watch(self.agent.stream_resumed(self.thread_id, self._decision(end)))
        except CofError as error:  # the next question may do better
            typer.echo(str(error), err=True)
            self.code = 1
            return
        self.image, self.last = None, end
        self.show(end)
        if end.answer is None:
            self.code = 1 if end.status.value == "failed" else 3

    def _decision(self, request: Request) -> Decision:
        """What the person says to a request, on the next line; asked again until it can be read."""
        for said in filter(None, (request.thought, request.problem)):
            typer.echo(said, err=True)
        choice = _DECIDE if request.box else _DECIDE_END
        typer.echo(f"{request.describe()} {choice}", err=True)
        for line in self.decisions:
            text = line.strip()
            if text == "/quit":
                self.left = True
                break
            try:
                return _read_decision(text)
            except ConfigError:
                typer.echo(f"{text!r:.80} is none of these: {choice}", err=True)
        raise WaitingError("nobody decided, so the question was left without an answer")

    def _obey(self, command: str, argument: str = "") -> None:
        match command:
            case "/views":
                self._views()
            case "/save":
                self._save(argument)
            case "/image" if argument:
                try:
                    self._begin(os.path.expanduser(argument))
                    typer.echo(f"now looking at {argument}", err=True)
                except ImageError as error:
                    typer.echo(str(error), err=True)
            case "/image":
                typer.echo("/image needs a path or a URL", err=True)
            case "/help":
                typer.echo(HELP, err=True)
            case _:
                typer.echo(f"there is no command {command}. {HELP}", err=True)

    def _views(self) -> None:
        if self.last is None:
            typer.echo("nothing was asked yet, so nothing was looked at", err=True)
            return
        for view in self.last.views:
            typer.echo(view.describe())

    def _save(self, directory: str) -> None:
        if self.last is None:
            typer.echo("nothing was asked yet, so there is nothing to save", err=True)
            return
        if self.last.saved and not directory:
            typer.echo(f"already saved to {self.last.saved}", err=True)
            return
        try:
            path = save_trajectory(self.last.trajectory, directory or "cof-chat", self.agent.store)
            typer.echo(f"saved to {path}", err=True)
        except CofError as error:
            typer.echo(str(error), err=True)


def _read_decision(line: str) -> Decision:
    """A decision as it is typed. Raises ConfigError for anything else."""
    word, _, rest = line.partition(" ")
    match word.lower():
        case "y" | "yes":
            return Decision(decision="approve")
        case "n" | "no":
            return Decision.parse({"decision": "reject", "reason": rest.strip()})
        case _:
            return Decision.parse({"decision": "edit", "box": line.replace(",", " ").split()})
