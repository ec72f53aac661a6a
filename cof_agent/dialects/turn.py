"""What a policy said in one turn, whatever its dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage

from cof_agent.dialects.profile import Profile
from cof_agent.images.geometry import Corners


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call, with the names and arguments of our tools whatever the policy wrote."""

    name: str
    args: dict[str, Any]
    text: str = ""
    """The words it was read from."""
    error: str | None = None
    """Why it could not be read; `args` is then empty."""
    id: str | None = None
    """The provider's own identifier, where there is one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A thought, and then either calls or an answer; or neither, which `fault` explains."""

    thought: str = ""
    calls: tuple[Call, ...] = ()
    answer: str | None = None
    pointed: tuple[Corners, ...] = field(default=())
    """Boxes the answer points to, in the profile's coordinates of the view that it names, or of an overview."""
    fault: str | None = None
    """Why nothing in the turn counts, in words for the policy; None where it is in order, or simply says nothing."""
    closed: bool | None = field(default=None, compare=False)
    """Whether the answer's own mark closes it; None for an answer without marks, which the end of the turn closes."""
    said: str | None = field(default=None, compare=False)
    """Plain text beside thoughts, calls and marks. In a closing turn without an answer it is the answer."""
    pointed_in: tuple[int | None, ...] = field(default=())
    """For each of the boxes in `pointed` the number of the view, or None where it names none; empty where none does.

    A number that no view has, such as -1, says that the box is nowhere: a name stands beside it that means no view."""


class Dialect(Protocol):
    """Reads and writes one way of talking."""

    binds_tools: bool
    """Whether the tools are bound to the chat model, rather than told in the system turn."""
    call_end: str | None
    """The text that ends a call as the policy writes it; None where calls are not text."""

    def parse(self, message: AIMessage) -> Turn:
        """What the policy said. Never raises.

        What cannot be read is a call with an `error`, or a turn with a `fault`.
        """
        ...

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        """The conversation in graph state as this policy is to see it; `tools` says whether tools are offered."""
        ...

    def names_images(self, profile: Profile) -> bool:
        """Whether every call says which of several images it looks at. Otherwise several are refused."""
        ...
