"""Conversations that outlive the command: in a SQLite file, their images in a directory beside it."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cof_agent.cli.output import say
from cof_agent.errors import CofError, ConfigError, MissingExtraError, TrajectoryError
from cof_agent.files import locked, owner_only, private_directory

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from cof_agent.agent.ask import Images
    from cof_agent.agent.chain_of_focus import ChainOfFocus, Event
    from cof_agent.agent.trajectory import Trajectory
    from cof_agent.images.opening import ImageSource
    from cof_agent.images.store import ImageStore

IMAGES = "images"
"""The directory of the images, beside the file: where `history` looks for them."""


@dataclass(frozen=True, slots=True)
class ConversationFile:
    """Where the conversations of a command are kept."""

    saver: BaseCheckpointSaver[Any]
    store: ImageStore


@contextlib.contextmanager
def conversation_file(file: Path | None) -> Iterator[ConversationFile | None]:
    """The conversations of `file`, which is made where it is not there; None without a file.

    Raises ConfigError for a file that cannot be written or is something else, TrajectoryError where it cannot be
    written later on, and MissingExtraError.
    """
    if file is None:
        yield None
        return
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError as error:
        raise MissingExtraError.for_extra("sqlite", "--keep") from error
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    from cof_agent.images.store import DirectoryStore

    try:
        private_directory(file.parent)
        if file.exists() and not file.is_file():
            raise OSError("it is no file")
        open(file, "ab", opener=owner_only).close()  # its journal then is for its owner alone as well
        connection = sqlite3.connect(file, check_same_thread=False)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "checkpoints" not in tables:
            raise sqlite3.DatabaseError("it holds something else")
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        saver.setup()
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"--keep: {file} cannot hold conversations ({error}): name a file that a command with --keep or a "
            "SqliteSaver wrote, or one that is not there yet"
        ) from error
    try:
        yield ConversationFile(saver, DirectoryStore(file.parent / IMAGES))
    except sqlite3.Error as error:
        connection.close()
        raise TrajectoryError(f"{file} cannot be written ({error}): what was kept before is there") from error
    except Exception:
        connection.close()
        raise
    connection.close()  # not after Ctrl-C, when a run that nobody waits for may still write


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """A conversation that is there already."""

    sources: tuple[str, ...]
    """Its images, for people."""
    urls: tuple[str | None, ...]
    """Name them by hash and page; None for one that was not opened yet."""
    question: str
    """What was asked last."""
    ended: Trajectory | None
    """How that ended; None where it was cut short or waits for a person."""
    lost: bool
    """Whether the store has lost something that it would go on with."""

    @property
    def about(self) -> str:
        """Its images, in a sentence."""
        return " and ".join(self.sources)

    def check_images(self, agent: ChainOfFocus, image: Images, thread_id: str) -> None:
        """Raise ConfigError where `image` names others, ImageError where one cannot be opened."""
        from cof_agent.loop.overview import images_of, naming

        given = images_of(image)
        same = len(given) == len(self.urls) and all(
            naming(at, len(given), partial(_is, agent, one, known))
            for at, (one, known) in enumerate(zip(given, self.urls, strict=True))
        )
        if not same:
            other = "another image" if len(self.sources) == len(given) == 1 else "other images"
            raise ConfigError(
                f"the conversation {thread_id!r} is about {other}, {self.about}: name another --thread for this"
            )


def _is(agent: ChainOfFocus, image: ImageSource, known: str | None) -> bool:
    """Whether `known` names an image, with or without its metadata. Of one that was not opened yet, nobody knows."""
    from cof_agent.images.codecs.metadata import stripped
    from cof_agent.images.opening import open_image

    given = open_image(image, limits=agent.limits)
    return known is None or known in (given.ref.url, stripped(given, agent.limits).ref.url)


def kept_conversation(agent: ChainOfFocus, thread_id: str) -> KeptConversation | None:
    """What `agent` has kept under `thread_id`, if anything.

    Raises ConfigError for a thread of another graph, and for one that is damaged.
    """
    try:
        return _kept(agent, thread_id)
    except (CofError, sqlite3.Error, OSError):
        raise
    except Exception as error:  # what stands in a damaged file may be anything, and so may what reading it raises
        raise ConfigError(
            f"the conversation {thread_id!r} is damaged ({type(error).__name__}: {error}): begin another --thread"
        ) from error


def _kept(agent: ChainOfFocus, thread_id: str) -> KeptConversation | None:
    from cof_agent.agent.trajectory import Trajectory
    from cof_agent.images.display_name import show_source, with_page
    from cof_agent.images.reference import ImageRef
    from cof_agent.loop.overview import images_of
    from cof_agent.loop.pregel import began_with
    from cof_agent.loop.state import originals_of
    from cof_agent.loop.transcript import question_of, views_of

    settings: RunnableConfig = {"configurable": {"thread_id": thread_id}}
    saver = agent.graph.checkpointer
    kept = saver.get_tuple(settings) if saver and not isinstance(saver, bool) else None
    if kept is None:
        return None
    state = kept.checkpoint["channel_values"]
    state |= began_with(state)  # of a question that was cut short before anything else
    pending = {task.name for task in agent.graph.get_state(settings).tasks}
    asked = bool(pending) and state.get("question")
    given: list[Any] = images_of((asked and state.get("image")) or None) or originals_of(state)
    # of a path or URL that no step has opened yet, nothing more is known
    images: list[dict[str, Any]] = [{"source": one} if isinstance(one, str) else one for one in given]
    if not images or not all(isinstance(image, dict) for image in images) or not (asked or "messages" in state):
        raise ConfigError(f"the thread {thread_id!r} is no conversation of `ask` or `chat`: name another one")
    refs = [view.image for view in views_of(state.get("messages", []))]
    refs += [ImageRef.from_json(image) for image in images if "sha256" in image]
    return KeptConversation(
        sources=tuple(
            with_page(show_source(str(image.get("source"))), image.get("page"), image.get("pages")) for image in images
        ),
        urls=tuple(ImageRef.from_json(image).url if "sha256" in image else None for image in images),
        question=str(asked or question_of(state["messages"][state["first_message"]])),
        ended=None if pending else Trajectory.from_state(state),
        lost=any(ref.is_kept and ref not in agent.store for ref in refs),
    )


def new_thread(agent: ChainOfFocus) -> str:
    """A name that no conversation has, short enough to be typed."""
    while True:
        name = uuid.uuid4().hex[:8]
        if kept_conversation(agent, name) is None:
            return name


def ask_kept(
    agent: ChainOfFocus, image: Images, question: str, keep: Path | None, thread: str | None
) -> Iterator[Event]:
    """The events of one question; where the same was cut short in that thread, those that are left of it.

    It begins anew where its images were lost.

    Raises as `ChainOfFocus.ask`, ConfigError for a thread that is about other images, and LockedError for one in which
    another command is asking.
    """
    if keep is None:
        yield from agent.stream(image, question)
        return
    if thread is None:
        thread = new_thread(agent)
        say(f"kept in {keep} as --thread {thread}", err=True)
    with conversation_lock(keep, thread):
        if there := kept_conversation(agent, thread):
            there.check_images(agent, image, thread)
            if there.ended is None and there.question == question.strip() and not there.lost:
                yield from agent.stream_resumed(thread)
                return
        yield from agent.stream(image, question, thread_id=thread)


def conversation_lock(keep: Path | None, thread: str) -> contextlib.AbstractContextManager[None]:
    """No other command goes on with that conversation meanwhile. Raises LockedError, naming who does."""
    if keep is None:
        return contextlib.nullcontext()
    file, digest = keep.resolve(), hashlib.sha256(thread.encode(errors="backslashreplace")).hexdigest()
    return locked(
        file.parent,
        "asking in it",
        name=f".{file.name}.{digest[:16]}.lock",
        what=f"the conversation {thread!r} in {keep}",
        instead="choose another --thread",
    )


def check_thread(keep: Path | None, thread: str | None) -> None:
    """Raise ConfigError for a name that no conversation can have."""
    if thread is not None and keep is None:
        raise ConfigError(f"--thread {thread} is a conversation of a file: name that, with --keep FILE")
    if thread is not None and not thread.strip():
        raise ConfigError("--thread needs a name")
