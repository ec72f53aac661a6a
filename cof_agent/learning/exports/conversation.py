"""A conversation as training files hold it: three roles, texts and pictures in the order in which they were sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cof_agent.errors import ImageError
from cof_agent.images.receiving.regular_file import read_regular

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image: a file that is read when it is wanted, or its bytes."""

    origin: Path | bytes
    suffix: str
    """Of its file name, such as `.png`."""

    def read(self) -> bytes:
        """The encoded bytes. Raises ImageError when the file cannot be read."""
        if isinstance(self.origin, bytes):
            return self.origin
        try:
            return read_regular(self.origin)
        except OSError as error:
            raise ImageError(f"{self.origin} cannot be read ({error.strerror or error}): check the path") from error


Part: TypeAlias = str | Picture


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; what was one block of text when it was sent is one text here."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """Its texts, one after the other."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[Picture, ...]:
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a conversation. None where nobody wrote it down."""

    id: str
    """Unique within an export."""
    question: str | None = None
    answer: str | None = None
    """The policy's own."""
    truth: str | None = None
    """The right one: a letter where there are options."""
    category: str | None = None
    kind: str | None = None
    """`direct`, `one` or `several`: the regions that were looked at for the question."""
    dialect: str | None = None
    policy: str | None = None
    """Who said the assistant's turns."""
    benchmark: str | None = None
    role: str | None = None
    """Of the benchmark: `train` or `test`. Training on what is of a test set makes its figures worthless."""

    @classmethod
    def of(cls, row: Mapping[str, Any], id_: str) -> Facts:
        """Those that stand in a row of a training file, each as a text under its name."""
        names = (field.name for field in fields(cls) if field.name != "id")
        return cls(id_, **{name: row[name] for name in names if isinstance(row.get(name), str)})


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages and what is known about them."""

    messages: tuple[Message, ...]
    facts: Facts

    @property
    def images(self) -> tuple[Picture, ...]:
        """In the order in which they are shown."""
        return tuple(picture for message in self.messages for picture in message.images)

    @property
    def turns(self) -> tuple[str, ...]:
        """What the assistant said: all that is learnt from it."""
        return tuple(message.text for message in self.messages if message.role == "assistant")


@dataclass(frozen=True, slots=True)
class Malformed:
    """Something that is left out."""

    where: str
    """Such as `data.jsonl line 17`."""
    why: str


def disorder(messages: Sequence[Message]) -> str | None:
    """Why these messages are no conversation to learn from; None when they are one.

    It has at most one system turn, which comes first; then user and assistant take turns, and the assistant is last.
    Pictures stand in user turns only, since every token of an assistant's turn is learnt.
    """
    spoken = messages[1:] if messages and messages[0].role == "system" else messages
    if len(spoken) < 2:
        return "a conversation needs a user turn and an assistant turn"
    for position, message in enumerate(spoken):
        due = "assistant" if position % 2 else "user"
        if message.role != due:
            return f"turn {position + 1} is of {message.role}, where one of {due} is due"
    if spoken[-1].role != "assistant":
        return "the last turn is not the assistant's"
    for message in messages:
        if message.images and message.role != "user":
            return f"an image stands in a turn of {message.role}: images belong in user turns"
    return None
