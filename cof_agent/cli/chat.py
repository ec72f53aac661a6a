"""A conversation about an image, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from cof_agent.agent.chain_of_focus import ChainOfFocus, Event
from cof_agent.agent.result import FocusResult
from cof_agent.agent.trajectory_file import save_trajectory
from cof_agent.cli.conversations import conversation_lock, kept_conversation, new_thread
from cof_agent.cli.drawing import ASKED, SHOWN, Sketches
from cof_agent.cli.image_words import words_of
from cof_agent.cli.limits import in_options
from cof_agent.cli.output import say
from cof_agent.cli.standard_input import tell_of_pages
from cof_agent.cli.terminal import Thoughts
from cof_agent.dialects.registry import check_names_images
from cof_agent.errors import CofError, ConfigError, ImageError, WaitingError
from cof_agent.images.display_name import show_source
from cof_agent.images.opening import open_image
from cof_agent.loop.overview import images_of, naming
from cof_agent.loop.review import Decision, Request

HELP = "Ask a question, or: /views, /save [DIR] (default: cof-chat), /image PATH..., /help, /quit"

_DECIDE = "y: yes; n REASON: no; x1 y1 x2 y2: look there instead (pixels of the original); /quit"
_DECIDE_END = "y: yes; n REASON: try again, told this; /quit"


class Chat:
    """Reads lines, asks questions, and obeys commands that start with a slash."""

    def __init__(
        self,
        agent: ChainOfFocus,
        watch: Callable[[Iterator[Event], Sequence[str]], FocusResult | Request],
        show: Callable[[FocusResult], None],
        keep: Path | None = None,
        *,
        thoughts: Thoughts | None = None,
        sketches: Sketches | None = None,
    ) -> None:
        """`watch` is given events, and the names of the images. `keep` is the file that the agent's conversations are
        in, if they outlive the process. `thoughts` are those that `watch` has told, and `sketches` show a person what a
        zoom is about.
        """
        self.agent, self.watch, self.show, self.keep = agent, watch, show, keep
        self.thoughts, self.sketches = thoughts or Thoughts(), sketches
        self.saved_to: list[Path] = []
        """Where `/save` has saved something."""
        self.last: FocusResult | None = None
        self.decisions: Iterator[str] = iter(())
        self.code, self.left = 0, False
        self.images: list[str] | None = None
        self.names: tuple[str, ...] = ()
        self.thread_id = ""
        self.cut_short: str | None = None
        self._lock = ExitStack()

    def __enter__(self) -> Chat:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def begin(self, images: list[str] | None, thread: str | None = None) -> None:
        """Begin a conversation about `images`, or go on with that of `thread`, which may be about no others.

        Raises ImageError for an image that cannot be opened, ConfigError where there is none or the policy takes only
        one, and LockedError for a conversation in which another command is asking. It is this one's until the end of
        the block.
        """
        if thread:
            self._hold(thread)
        there = kept_conversation(self.agent, thread) if thread else None
        if there is None:
            if not images:
                missing = f"{self.keep} has no conversation {thread!r} yet: " if thread else "there is no image: "
                raise ConfigError(f"{missing}begin one with an image")
            self._check(images)  # fail now rather than at the first question
            self.images, self.thread_id = images, thread or new_thread(self.agent)
            self.names = tuple(map(show_source, images))
            if not thread:
                self._hold(self.thread_id)
            self.last = self.cut_short = None
            if self.keep and not thread:
                say(f"kept in {self.keep} as --thread {self.thread_id}", err=True)
            return
        assert thread is not None
        if images:
            there.check_images(self.agent, images, thread)
        self.images, self.thread_id = images, thread  # which are shown again only where their views were lost
        self.names = there.sources
        self.last = FocusResult(there.ended, self.agent.store, thread_id=thread) if there.ended else None
        self.cut_short = None if there.ended else there.question
        say(f"the conversation {thread!r} about {there.about} goes on", err=True)

    def _check(self, images: list[str]) -> None:
        policy = self.agent.policy
        check_names_images(policy.profile, len(images_of(images)), policy.name)
        for at, image in enumerate(images):
            opened = naming(at, len(images), partial(open_image, image, limits=self.agent.limits))
            tell_of_pages(image, opened.ref.page, opened.pages)

    def _hold(self, thread: str) -> None:
        """That conversation in place of the one before."""
        with ExitStack() as lock:
            lock.enter_context(conversation_lock(self.keep, thread))
            self._lock.close()
            self._lock = lock.pop_all()

    def run(self, lines: Iterable[str], decisions: Iterator[str]) -> int:
        """The exit code: 0, or that of the last question that was not answered.

        A person's decisions are the next of `decisions`, which may be `lines` themselves.
        """
        self.decisions = decisions
        if self.cut_short is not None:
            say(f"cut short before, goes on: {self.cut_short}", err=True)
            self._follow(self.agent.stream_resumed(self.thread_id))
            if self.left:
                return self.code
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

    def _ask(self, question: str) -> None:
        self._follow(self.agent.stream(self.images or None, question, thread_id=self.thread_id))

    def _follow(self, events: Iterator[Event]) -> None:
        try:
            end = self.watch(events, self.names)
            while isinstance(end, Request):
                going_on = self.agent.stream_resumed(self.thread_id, self._decision(end))
                end = self.watch(going_on, self.names)
        except CofError as error:  # the next question may do better
            say(in_options(str(error), image_options=True), err=True)
            self.code = 1
            return
        self.images, self.last = None, end
        self.show(end)
        if end.answer is None:
            self.code = 1 if end.status.value == "failed" else 3

    def _decision(self, request: Request) -> Decision:
        """What the person says to a request, on the next line; asked again until it can be read."""
        if thought := self.thoughts.unsaid(request.thought):
            say(thought, err=True, lines=True)
        if request.problem:
            say(request.problem, err=True)
        choice = _DECIDE if request.box else _DECIDE_END
        if request.box and request.region:
            say(f"it would be shown {request.region.as_list()}{self._sketched(request)}", err=True)
        say(f"{request.describe()} {choice}", err=True)
        for line in self.decisions:
            text = line.strip()
            if text == "/quit":
                self.left = True
                break
            try:
                return _read_decision(text)
            except ConfigError:
                say(f"{text!r:.80} is none of these: {choice}", err=True)
        raise WaitingError("nobody decided, so the question was left without an answer")

    def _sketched(self, request: Request) -> str:
        """Where both boxes are drawn on the picture."""
        if not self.sketches:
            return ""
        try:
            return f"; both are drawn in {self.sketches.of(request)} (asked for: {ASKED}, shown: {SHOWN})"
        except (ImageError, OSError) as error:  # the person can decide by the numbers
            return f" (not drawn: {error})"

    def _obey(self, command: str, argument: str = "") -> None:
        match command:
            case "/views":
                self._views()
            case "/save":
                self._save(argument)
            case "/image" if argument:
                try:
                    self.begin(words_of(argument))
                    say(f"now looking at {' and '.join(self.names)}", err=True)
                except (ConfigError, ImageError) as error:
                    say(in_options(str(error), image_options=True), err=True)
            case "/image":
                say("/image needs a path or a URL", err=True)
            case "/help":
                say(HELP, err=True)
            case _:
                say(f"there is no command {command}. {HELP}", err=True)

    def _views(self) -> None:
        if self.last is None:
            say("nothing was asked yet, so nothing was looked at", err=True)
            return
        for view in self.last.views:
            say(view.describe(self.names[view.image_index] if len(self.names) > 1 else None))

    def _save(self, directory: str) -> None:
        if self.last is None:
            say("nothing was asked yet, so there is nothing to save", err=True)
            return
        if self.last.saved and not directory:
            say(f"already saved to {self.last.saved}", err=True)
            return
        try:
            path = save_trajectory(self.last.trajectory, directory or "cof-chat", self.agent.store)
            say(f"saved to {path}", err=True)
            if path not in self.saved_to:
                self.saved_to.append(path)
        except CofError as error:
            say(in_options(str(error), image_options=True), err=True)


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
