"""A conversation about an image, line by line."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable

import typer

from cof_agent.agent import ChainOfFocus, FocusResult
from cof_agent.errors import CofError, ImageError
from cof_agent.images import open_image
from cof_agent.trajectory_file import save_trajectory

HELP = "Ask a question, or: /views, /save [DIR] (default: cof-chat), /image PATH, /help, /quit"


class Chat:
    """Reads lines, asks questions, and obeys commands that start with a slash."""

    def __init__(
        self,
        agent: ChainOfFocus,
        image: str,
        watch: Callable[[str | None, str, str], FocusResult],
        show: Callable[[FocusResult], None],
    ) -> None:
        self.agent, self.watch, self.show = agent, watch, show
        self.last: FocusResult | None = None
        self.code = 0
        self._begin(image)

    def run(self, lines: Iterable[str]) -> int:
        """The exit code: 0, or that of the last question that was not answered."""
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
        return self.code

    def _begin(self, image: str) -> None:
        open_image(image, limits=self.agent.limits)  # fail now rather than at the first question
        self.image: str | None = image
        self.thread_id = uuid.uuid4().hex
        self.last = None

    def _ask(self, question: str) -> None:
        try:
            self.last = self.watch(self.image, question, self.thread_id)
        except CofError as error:  # the next question may do better
            typer.echo(str(error), err=True)
            self.code = 1
            return
        self.image = None
        self.show(self.last)
        if self.last.answer is None:
            self.code = 1 if self.last.status.value == "failed" else 3

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
