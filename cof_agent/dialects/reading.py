"""How every dialect reads a turn: what it means by itself, and then whether it may count.

Nothing is an answer that the policy did not give as one. A turn that was cut or withheld, an answer that is left open,
and a call in another form than the dialect's end otherwise, with words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage

from cof_agent.dialects.call_forms import calls_written
from cof_agent.dialects.declining import declining
from cof_agent.dialects.finish import Finish, finish_of, is_for_calls
from cof_agent.dialects.json_calls import json_call
from cof_agent.dialects.markup import (
    MAX_CALLS,
    OPEN,
    TOO_MANY,
    answers_in_thought,
    named_beside,
    opened,
    plain,
    unthought,
)
from cof_agent.dialects.model_tokens import without_tokens
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.thoughts import in_think_tags, with_thought
from cof_agent.dialects.turn import Call, Dialect, Turn

MAX_TURN_CHARACTERS = 2_000_000
"""Longer text is not read. The longest output that a vendor publishes, 128,000 tokens, has about a quarter of it."""

TOO_LONG = f"the turn has more than {MAX_TURN_CHARACTERS:,} characters"
CUT = "the turn was cut off at the limit of its length, before its call or answer was whole: write less"
FILTERED = "the turn was withheld by the server's content filter"
BROKEN = "the turn broke off on the server's side"
NO_CALL = "the turn ended for a tool call, and has none"
REPEATS = "the turn repeats itself to its end"
CALL_LIKE = "the turn names a tool in a form that cannot be read as a call"

_REMEMBERED = 64
"""Texts whose reading is kept: a turn is looked at again at each of its calls."""


class ReadingDialect(ABC):
    """Reads turns for a dialect that says in `read` what its own marks mean."""

    binds_tools: bool = False
    call_end: str | None = None
    image_names: tuple[str, ...] = ()
    """The keys that name an image, in calls and beside a box in an answer."""
    first_image: int = 0
    """The number of the first image, as the policy counts."""

    def __init__(self) -> None:
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._judged)

    @abstractmethod
    def read(self, text: str) -> Turn:
        """What a text says by the dialect's own marks."""

    def translated(self, call: Call) -> Call:
        """A call that was written in another form than the dialect's own, in our names and arguments."""
        return call

    def written(self, name: str, arguments: dict[str, Any]) -> str:
        """A call that the server took out of the text, in its own form again."""
        return json_call(name, arguments)

    @abstractmethod
    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        """See `Dialect`."""

    def names_images(self, profile: Profile) -> bool:
        """See `Dialect`."""
        return False

    def parse(self, message: AIMessage) -> Turn:
        """See `Dialect`."""
        return by_ending(self.read_text(message.text), message)

    def read_text(self, text: str) -> Turn:
        """What a text says, whole as it stands; remembered for the texts read last."""
        return self._remembered(text) if len(text) <= MAX_TURN_CHARACTERS else Turn(fault=TOO_LONG)

    def _judged(self, text: str) -> Turn:
        text = in_think_tags(text)
        turn = self.read(text)
        if turn.calls or turn.fault:
            return turn
        if repeats(text) or repeats(turn.answer or ""):
            return Turn(turn.thought, fault=REPEATS)
        text = opened(text)
        written = calls_written(unthought(text))
        if len(written.calls) > MAX_CALLS:
            return Turn(turn.thought, fault=TOO_MANY)
        if written.calls:
            return Turn(turn.thought, tuple(map(self.translated, written.calls)))
        tagged = turn.answer is not None and turn.closed is not None
        if written.attempted and (not tagged or calls_written(turn.answer or "").attempted):
            return Turn(turn.thought, fault=CALL_LIKE)
        named: tuple[int | None, ...] = ()
        if turn.pointed and self.image_names:
            named = named_beside(turn.answer or "", self.image_names, self.first_image)
        answer = without_tokens(turn.answer or "") or None
        return replace(turn, answer=answer, said=plain(text) or None, pointed_in=named)


def by_ending(turn: Turn, message: AIMessage) -> Turn:
    """The turn as it counts, by how its reply ended.

    A call or an answer that is whole before the cut stands. An answer whose mark is left open stands where the server
    says that the turn ended by itself: a stop string such as `</answer>` is no part of what it sends.
    """
    if refusal := _refusal(message):
        return Turn(turn.thought, answer=declining(refusal), closed=True)
    finish = finish_of(message)
    if finish is Finish.FILTERED:
        return Turn(turn.thought, fault=FILTERED)
    if finish is Finish.CUT:
        if whole := tuple(call for call in turn.calls if not call.error):
            return replace(turn, calls=whole)
        stands = turn.answer and turn.closed and not answers_in_thought(in_think_tags(str(message.text)))
        return replace(turn, calls=(), said=None) if stands else Turn(turn.thought, fault=CUT)
    if finish is Finish.BROKEN:
        return Turn(turn.thought, fault=BROKEN)
    if is_for_calls(message) and not (turn.calls or turn.fault):
        return Turn(turn.thought, fault=NO_CALL)
    if finish is Finish.UNKNOWN and turn.closed is False and not turn.calls:
        return Turn(turn.thought, fault=OPEN)
    return turn


def read_turn(dialect: Dialect, message: AIMessage) -> Turn:
    """A turn as any dialect reads it; what may count does not depend on who wrote the dialect."""
    turn = dialect.parse(message)
    if isinstance(dialect, ReadingDialect):
        return turn
    answer = without_tokens(turn.answer or "") or None
    if turn.calls or turn.fault:
        return by_ending(turn, message)
    if calls_written(answer or "").attempted:
        return by_ending(Turn(turn.thought, fault=CALL_LIKE), message)
    if repeats(message.text) or repeats(answer or ""):
        return by_ending(Turn(turn.thought, fault=REPEATS), message)
    said = turn.said or plain(opened(in_think_tags(message.text))) or None
    if calls_written(said or "").attempted:
        said = None
    return by_ending(replace(turn, answer=answer, said=said), message)


def as_written(dialect: Dialect, message: AIMessage) -> AIMessage:
    """A turn of a dialect in text from which the server took thoughts and calls, with both in its text again.

    Servers with a parser for tool calls or reasoning do so without being asked.
    """
    text = with_thought(message)
    if "<tool_call>" not in text:
        write = dialect.written if isinstance(dialect, ReadingDialect) else json_call
        text += "".join(write(call["name"], call["args"]) for call in message.tool_calls)
        text += "".join(f"<tool_call>{call['args'] or ''}</tool_call>" for call in message.invalid_tool_calls)
    return message if text == message.text else message.model_copy(update={"content": text})


def repeats(text: str) -> bool:
    """Whether `text` ends with one short piece over and over, as a model's does that loops."""
    text = text[-2 * _LOOP :].rstrip()
    for period in range(1, _PERIOD + 1):
        tail = text[-max(_LOOP // 3, 50 * period) :]
        if len(tail) < max(_LOOP // 3, 50 * period):
            return False
        if tail[period:] == tail[:-period]:
            return True
    return False


_PERIOD = 60
"""Characters of the longest piece that counts as repeated: 50 times, and over 1,000 characters in all."""
_LOOP = 3_003


def _refusal(message: AIMessage) -> str:
    """The words in which a server says that its model refuses; empty where it does not."""
    beside = message.additional_kwargs.get("refusal")
    blocks = message.content if isinstance(message.content, list) else []
    inside = [block.get("refusal") for block in blocks if isinstance(block, dict) and block.get("type") == "refusal"]
    return " ".join(said.strip() for said in (beside, *inside) if isinstance(said, str) and said.strip())
