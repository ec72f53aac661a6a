"""Qwen3.5 on this machine: the conversation is what the published chat templates make of it, and it runs.

The templates are those that TRL ships unchanged (`trl/chat_templates`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trl
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from cof_agent import ChainOfFocus, FocusConfig, load_policy
from cof_agent.dialects import default_profile, get_dialect
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.xml_calls import xml_call
from cof_agent.images.geometry import Box
from cof_agent.images.reference import ImageRef
from cof_agent.images.views import View
from cof_agent.loop.state import Status
from cof_agent.policies.qwen.calls import read_calls
from cof_agent.policies.qwen.checkpoint import find_checkpoint
from cof_agent.policies.qwen.prompt import PromptWriter
from tests.support.conversations import photo
from tests.support.qwen_models import block, make_checkpoint, picture, text

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
NAMES = ("qwen3_5_think", "qwen3_6", "qwen3_8")
ARGUMENTS = {"bbox_2d": [100, 200, 500, 600], "label": "sign"}


@pytest.fixture(scope="module")
def folder(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint("qwen3_5", seed_checkpoint, tmp_path_factory.mktemp("kind") / "checkpoint-7")


def region(index: int, image: dict[str, Any]) -> ToolMessage:
    view = View(index, "zoom", Box(0, 0, 64, 64), (64, 64), 4, ImageRef("0" * 64, "image/png", 64, 64))
    return ToolMessage([image], tool_call_id="1", name=ZOOM, artifact=view.to_json())


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_is_what_the_template_makes_of_standard_messages(folder: Path, name: str) -> None:
    """With the thought apart, the call as a tool call, and the region in a turn of the tool."""
    found = find_checkpoint(folder)
    found.processor.chat_template = (TEMPLATES / f"{name}.jinja").read_text()
    writer, image = PromptWriter(found), block(picture(64, 64))
    question = HumanMessage([image, text("What is it?")])
    said = AIMessage(f"Too small.\n</think>\n\nLooking.\n\n{xml_call(ZOOM, ARGUMENTS)}")
    profile = default_profile("qwen3.5")
    ours = get_dialect("qwen3.5").render([question, said, region(1, image)], profile, tools=True)
    standard = [
        {"role": "system", "content": ours[0].text},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
        {
            "role": "assistant",
            "content": "Looking.",
            "reasoning_content": "Too small.",
            "tool_calls": [{"type": "function", "function": {"name": ZOOM, "arguments": ARGUMENTS}}],
        },
        {"role": "tool", "content": [{"type": "image"}]},
    ]
    expected = found.processor.tokenizer.apply_chat_template(
        standard, chat_template=found.processor.chat_template, tokenize=False, add_generation_prompt=True
    )
    prompt = writer.write(ours)
    single = [id for at, id in enumerate(prompt.ids) if id != found.image_token or prompt.ids[at - 1] != id]
    assert found.processor.tokenizer.decode(single) == expected
    assert expected.count("Too small.") == 1
    assert expected.endswith("<|im_start|>assistant\n<think>\n")
    longer = writer.write([*ours, AIMessage("I see.\n</think>\n\n42"), HumanMessage("Sure?")])
    goes_on = longer.ids[: len(prompt.ids)] == prompt.ids
    assert goes_on == (name == "qwen3_8"), "the others leave out thoughts before the last question"


def test_calls_bound_as_tools_are_read_in_its_form() -> None:
    calls, invalid = read_calls(f"Closer.\n</think>\n\n{xml_call(ZOOM, ARGUMENTS)}\n<tool_call>\n<function=x>\n")
    assert [(call["name"], call["args"]) for call in calls] == [(ZOOM, ARGUMENTS)]
    assert [call["error"] for call in invalid] == ["the call is not closed"]


def test_a_checkpoint_whose_name_says_nothing_is_asked_in_its_form(folder: Path) -> None:
    (folder / "focus.json").unlink()
    (folder / "chat_template.jinja").write_text((TEMPLATES / "qwen3_5_think.jinja").read_text())
    policy = load_policy(f"hf:{folder}", max_new_tokens=4)
    assert policy.profile == default_profile("qwen3.5")
    result = ChainOfFocus(policy, config=FocusConfig(max_refused=1)).ask(photo(), "What is it?")
    assert result.status is Status.BUDGET, "a random model's turn is cut"
    assert result.usage.policy_calls > 0
    assert result.views[0].shown == policy.profile.overview.fit(photo().size)
