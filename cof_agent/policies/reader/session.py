"""What a conversation in the `cof` dialect has shown and asked so far."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from cof_agent.dialects.profile import Prompts
from cof_agent.errors import PolicyError
from cof_agent.images.geometry import Corners, Size, enlarge
from cof_agent.policies.reader.page.ocr import Line, TextReader, decode_base64
from cof_agent.policies.reader.page.own_text import own_lines

_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.S)
_DROPPED = re.compile(r"^\[view \d+ is no longer shown\]$")


@dataclass(frozen=True, slots=True)
class ReadView:
    """One view of the conversation."""

    index: int
    """Its number among all views: those of the overviews come first."""
    data: bytes | None
    """Encoded as it was sent; None when it is no longer shown."""
    size: Size
    """Shown size in pixels."""
    region: Corners
    """What it shows, in pixels of its image's overview."""
    image: int = 0
    """The number of its image."""
    own: tuple[Line, ...] = ()
    """Lines of the page's own text that it shows, where that is taken."""

    @property
    def scale(self) -> float:
        """View pixels per overview pixel."""
        x1, y1, x2, y2 = self.region
        return max(self.size[0] / (x2 - x1), self.size[1] / (y2 - y1))


@dataclass(slots=True)
class Session:
    """A conversation up to the policy's next turn: about all its images, or, by `of`, about one of them."""

    offered: bool = False
    """Whether zooms are offered."""
    closing: bool = False
    """Whether the last answer is asked for now."""
    question: str = ""
    """The newest question."""
    looks: list[ReadView] = field(default_factory=list)
    boxes: list[tuple[int, Corners]] = field(default_factory=list)
    """Zooms asked for since the newest question: the image, and the box in pixels of its overview."""
    image: int | None = None
    """The number of the image that it is about, where the conversation has several."""
    urged: bool = False
    """Whether its last answer was refused because nothing had been looked at."""
    refused: int = 0
    """Refusals since the newest question."""

    @property
    def overview(self) -> ReadView:
        if not self.looks:
            raise PolicyError("the policy `reader` was called without an image: the first user turn must hold one")
        return self.looks[0]

    @property
    def images(self) -> int:
        """How many images it has."""
        return 1 + max((look.image for look in self.looks), default=0)

    @property
    def asked(self) -> list[Corners]:
        """Boxes of zooms asked for in its image, or in all of them."""
        return [box for image, box in self.boxes if self.image in (None, image)]

    def of(self, image: int) -> Session:
        """The same conversation as far as it is about one of several images. How much was asked for counts for all."""
        return replace(self, looks=[look for look in self.looks if look.image == image], image=image)


def read_session(
    messages: Sequence[BaseMessage], reader: TextReader, margin: float, *, page_text: bool = False
) -> Session:
    """Take the messages of a conversation apart.

    `margin` is how far the loop enlarges a box that is zoomed on. With `page_text`, the words beside a view are taken.
    Raises PolicyError without an image or a question.
    """
    prompts, session = Prompts(), Session()
    pending: list[tuple[int, Corners]] = []
    settled = True  # whether the newest text of a user turn may be a new question
    for message in messages:
        if isinstance(message, SystemMessage):
            session.offered = "<tools>" in message.text
            continue
        if isinstance(message, AIMessage):
            pending = list(_boxes(message.text))
            session.boxes += pending
            session.closing, session.urged, settled = False, False, not pending
            continue
        beside = False  # whether an overview stands just before
        for block in _blocks(message.content):
            text = str(block.get("text", "")).strip()
            if block.get("type") == "image":
                words = _words(block) if page_text else []
                beside = _look(session, block, words, pending, reader, margin, beside)
                settled = beside and settled
                continue
            beside = False
            if _DROPPED.match(text):
                _forget(session, pending, margin)
            elif text == prompts.closing:
                session.closing = True
            elif text == prompts.reminder:
                pending, settled = [], True
            elif text == prompts.look_first:
                session.urged = True
            elif text == prompts.format_error or not text:
                continue
            elif settled:
                session.question, session.boxes, session.refused, session.closing = text, [], 0, False
            else:
                session.refused += 1
                pending = pending[1:]
    if not session.question:
        raise PolicyError("the policy `reader` was called without a question")
    return session


def _blocks(content: str | list[Any]) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block if isinstance(block, dict) else {"type": "text", "text": str(block)} for block in content]


def _boxes(text: str) -> Iterator[tuple[int, Corners]]:
    """The boxes that earlier turns of this policy asked for."""
    for inside in _CALL.findall(text):
        try:
            arguments = json.loads(inside)["arguments"]
            x1, y1, x2, y2 = map(float, arguments["bbox_2d"])
            image = int(arguments.get("image", 0))
        except (ValueError, KeyError, TypeError):
            continue
        yield image, (x1, y1, x2, y2)


def _words(block: dict[str, Any]) -> list[tuple[str, Corners]]:
    """The words of a page's own text that came beside a view, in view pixels."""
    return [(text, (x1, y1, x2, y2)) for text, (x1, y1, x2, y2) in block.get("extras", {}).get("words", [])]


def _look(
    session: Session,
    block: dict[str, Any],
    words: list[tuple[str, Corners]],
    pending: list[tuple[int, Corners]],
    reader: TextReader,
    margin: float,
    beside: bool,
) -> bool:
    """Add a view; whether it is an overview. One that stands `beside` another is of the same conversation."""
    if "base64" not in block:
        raise PolicyError("the policy `reader` needs images as base64: resolve references before calling it")
    data = decode_base64(block["base64"])
    picture = reader.picture(data)
    size, own = picture.size, own_lines(words, picture)
    if session.looks and pending:
        image, box = pending.pop(0)
        x1, y1, x2, y2 = map(float, enlarge(box, session.looks[image].size, margin))
        session.looks.append(ReadView(len(session.looks), data, size, (x1, y1, x2, y2), image, own))
        return False
    known = session.looks if beside else []
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    session.looks = [*known, ReadView(len(known), data, size, whole, len(known), own)]
    return True


def _forget(session: Session, pending: list[tuple[int, Corners]], margin: float) -> None:
    """Count a view that is no longer shown."""
    if session.looks and pending:
        image, box = pending.pop(0)
        x1, y1, x2, y2 = enlarge(box, session.looks[image].size, margin)
        session.looks.append(ReadView(len(session.looks), None, (x2 - x1, y2 - y1), (x1, y1, x2, y2), image))
