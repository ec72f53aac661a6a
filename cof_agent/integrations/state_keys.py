"""Where the state of a parent graph has what a node reads, and what the node writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cof_agent.errors import ConfigError, QuestionError
from cof_agent.integrations.chat_images import value_of

Key: TypeAlias = str | Callable[[Any], Any]
"""Where the parent's state has something: its key, or a function of the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Where the parent's state has what a node reads, and under which keys the node writes: None for none.

    Raises ConfigError for a call whose observation has no place.
    """

    image: Key
    question: Key
    call: Key | None
    """Of the id of the tool call that is answered."""
    answer: str | None
    status: str | None
    evidence: str | None
    reason: str | None
    messages: str | None
    findings: str | None

    def __post_init__(self) -> None:
        if self.call is not None and self.messages is None:
            raise ConfigError(
                f"call_key is {name_of(self.call)}, but its observation has no place: give messages_key too"
            )

    def call_id(self, state: Any) -> str | None:
        return read(state, self.call) if self.call is not None else None

    def lacking(self, state: Any, told: str) -> QuestionError:
        """Why nothing can be asked: `told` to whoever made the call, in other words to whoever wrote the state."""
        if self.call_id(state) is not None:
            return QuestionError(told)
        return QuestionError(
            f"{told.partition(':')[0]}: the state needs an image under {name_of(self.image)} and a question under "
            f"{name_of(self.question)}; it has {_names(state)}"
        )


def read(state: Any, key: Key) -> Any:
    return value_of(state, key) if isinstance(key, str) else key(state)


def name_of(key: Key) -> str:
    return repr(key) if isinstance(key, str) else f"{getattr(key, '__name__', key)}()"


def _names(state: Any) -> str:
    names = state.keys() if isinstance(state, Mapping) else (name for name in dir(state) if name[0] != "_")
    return ", ".join(map(repr, names)) or "nothing"
