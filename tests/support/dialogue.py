"""Whole runs on a photo of an awkward size, and what the policy got to see in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver

from cof_agent import ChainOfFocus
from cof_agent.agent.result import FocusResult
from cof_agent.dialects import default_profile
from cof_agent.dialects.profile import Profile
from cof_agent.loop.config import FocusConfig
from cof_agent.policies import Policy
from tests.support.conversations import WatchedModel, photo

PHOTO = photo(1000, 667)
"""Shown at 1008x672 where sizes are multiples of 28, at 992x672 where of 32."""

QUESTION = "What is it?"
IMAGE = "(image)"


@dataclass(frozen=True)
class Dialogue:
    result: FocusResult
    prompts: list[list[BaseMessage]]
    """What the policy saw, turn by turn."""
    messages: list[AnyMessage]
    """The messages in graph state at the end."""

    @property
    def boxes(self) -> list[list[int]]:
        """What the regions show, in original pixels."""
        return [view.box.as_list() for view in self.result.views[1:]]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [view.shown for view in self.result.views[1:]]


def converse(
    name: str, *turns: str | AIMessage, profile: Profile | None = None, config: FocusConfig | None = None
) -> Dialogue:
    """Ask `QUESTION` about `PHOTO` of a policy of that dialect that says `turns`."""
    model = WatchedModel(turns=list(turns), prompts=[])
    policy = Policy(model, profile or default_profile(name), name)
    agent = ChainOfFocus(policy, config=config, checkpointer=InMemorySaver())
    result = agent.ask(PHOTO, QUESTION)
    state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
    return Dialogue(result, model.prompts, state["messages"])


def shape(message: BaseMessage) -> list[str]:
    """A message's texts, with `IMAGE` where an image stands."""
    if isinstance(message.content, str):
        return [message.content]
    return [IMAGE if block["type"] == "image" else block["text"] for block in message.content]  # type: ignore[index]


def plain(prompt: Sequence[BaseMessage]) -> list[tuple[str, list[str]]]:
    return [(message.type, shape(message)) for message in prompt]


def apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How far the edges of two boxes are apart at most."""
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
