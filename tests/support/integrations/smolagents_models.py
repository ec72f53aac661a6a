"""Models that replay messages to smolagents' agents, and the tool that they call."""

from __future__ import annotations

from typing import Any

from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole, Model

from cof_agent.integrations.smolagents import ChainOfFocusTool
from tests.support.integrations.hosts import agent


class Script(Model):
    """Replays messages."""

    def __init__(self, *messages: ChatMessage) -> None:
        super().__init__(model_id="script")
        self.messages = list(messages)
        self.seen: list[Any] = []

    def generate(self, messages: list[ChatMessage], *args: Any, **kwargs: Any) -> ChatMessage:
        self.seen.append(messages)
        return self.messages.pop(0)


def calls(name: str, **arguments: Any) -> ChatMessage:
    function = ChatMessageToolCallFunction(name=name, arguments=arguments)
    call = ChatMessageToolCall(id=f"call_{name}", type="function", function=function)
    return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])


def writes(code: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, content=f"Thought: I look.\n<code>\n{code}\n</code>")


def tool(*turns: str, regions: bool = False) -> ChainOfFocusTool:
    return ChainOfFocusTool(agent(*turns), regions=regions)
