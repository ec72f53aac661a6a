"""The smolagents tool in both kinds of agent, with an image as variable, path and bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from smolagents import CodeAgent, ToolCallingAgent
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole, Model

from cof_agent import ChainOfFocus, Policy, Profile
from cof_agent.integrations.smolagents import ChainOfFocusTool
from cof_agent.policies.script import ScriptedModel

ZOOM = (
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)


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


@pytest.fixture
def photo() -> Image.Image:
    return Image.linear_gradient("L").resize((280, 196)).convert("RGB")


def tool(*turns: str) -> ChainOfFocusTool:
    return ChainOfFocusTool(ChainOfFocus(Policy(ScriptedModel(turns=list(turns)), Profile(), "script")))


def test_a_tool_calling_agent(photo: Image.Image) -> None:
    model = Script(
        calls("look_closely", image="photo", question="Until when is it open?"),
        calls("final_answer", answer="It is open until nine."),
    )
    agent = ToolCallingAgent(tools=[tool(ZOOM, "<answer>nine</answer>")], model=model, verbosity_level=0)
    assert agent.run("Until when is it open?", additional_args={"photo": photo}) == "It is open until nine."
    assert "nine" in str(model.seen[-1][-1].content), "the tool's answer is what the agent saw next"


def test_a_code_agent(photo: Image.Image) -> None:
    code = 'found = look_closely(image=photo, question="Until when is it open?")\nfinal_answer(found)'
    said = ChatMessage(role=MessageRole.ASSISTANT, content=f"Thought: I look.\n<code>\n{code}\n</code>")
    agent = CodeAgent(tools=[tool(ZOOM, "<answer>nine</answer>")], model=Script(said), verbosity_level=0)
    assert agent.run("Until when is it open?", additional_args={"photo": photo}) == "nine"


def test_paths_and_refusals(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    assert tool("<answer>nine</answer>")(image=str(tmp_path / "photo.png"), question="Until when?") == "nine"
    refusal = tool("<answer>cannot answer: too dark</answer>")(image=photo, question="Until when?")
    assert refusal == "No answer (declined): too dark"
