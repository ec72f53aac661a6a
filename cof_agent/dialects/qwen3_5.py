"""The dialect of Qwen3.5, Qwen3.6 and Qwen3.8: calls in XML, thoughts that the chat template opens, thousandths.

Form: the chat templates of these checkpoints, as TRL 1.16.0 ships them unchanged (`trl/chat_templates/`
`qwen3_5_think.jinja`, `qwen3_5_nothink.jinja`, `qwen3_6.jinja`, `qwen3_8.jinja`). Calls end as vLLM 0.25's
`vllm/parser/qwen3.py` reads them: also where the thought before them is not closed. Coordinates:
QwenLM/Qwen3.8-Flash-Next issue 4, "relative coordinates normalized to [0, 1000]", as in Qwen3.5. Tool and rules are
those of `qwen3`, but for `img_idx`, which Qwen3.5 often leaves out (QwenLM/Qwen-Agent issue 879): then it is the first
image. Of several images each call must name one. No tool for zooming was published for these models themselves.

A turn is sent with its thought apart (`reasoning_content`) by the classes here that can: the template of Qwen3.8 reads
it from there alone. The templates of Qwen3.5 and Qwen3.6 leave out the thoughts before the last question.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage

from cof_agent.dialects.json_calls import UNREADABLE
from cof_agent.dialects.profile import DECLINE, Profile, Prompts
from cof_agent.dialects.qwen3 import PROFILE as QWEN3
from cof_agent.dialects.qwen3 import Qwen3Dialect, tool
from cof_agent.dialects.thoughts import KEY, parted
from cof_agent.dialects.turn import Call
from cof_agent.dialects.xml_calls import xml_call

_UNREADABLE = "the call is not written as <function=NAME>, <parameter=KEY>, a value, </parameter>, and </function>"


class Qwen35Dialect(Qwen3Dialect):
    """See the module."""

    def written(self, name: str, arguments: dict[str, Any]) -> str:
        return f"\n{xml_call(name, arguments)}"

    def translated(self, call: Call) -> Call:
        if call.error == UNREADABLE:
            return replace(call, error=_UNREADABLE)
        call = super().translated(call)
        label = call.args.get("label")
        if label is None or isinstance(label, str):
            return call
        return replace(call, args={**call.args, "label": json.dumps(label, ensure_ascii=False)})  # such as 42

    def system(self, profile: Profile, *, tools: bool, images: int = 1) -> str:
        if not tools:
            return profile.prompts.direct
        task = profile.prompts.task
        return task if "<tools>" in task else f"{_tools(profile.counted, images)}\n\n{task}"

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        return [_apart(message) for message in super().render(messages, profile, tools=tools)]


def _apart(message: BaseMessage) -> BaseMessage:
    """A turn of the policy with a note of its thought beside its text, which stays whole."""
    thought, _ = parted(message.text) if isinstance(message, AIMessage) else ("", "")
    return AIMessage(message.text, additional_kwargs={KEY: thought}) if thought else message


@lru_cache(maxsize=16)
def _tools(counted: str, images: int) -> str:
    """What the system turn says of tools; it comes before the task, as in the templates."""
    told = tool(counted, images)
    told["function"]["parameters"]["required"] = ["bbox_2d", "img_idx"] if images > 1 else ["bbox_2d"]
    schema = json.dumps(told)
    example = xml_call("the_function", {"the_parameter": "its value", "another": [1, 2]})
    return (
        f"# Tools\n\nThese functions may be called:\n\n<tools>\n{schema}\n</tools>\n\nTo call one, write nothing after "
        f"a call of this form, its values on lines of their own and lists as JSON:\n\n{example}"
    )


DIALECT = Qwen35Dialect()
PROFILE = QWEN3.model_copy(
    update={
        "dialect": "qwen3.5",
        "prompts": Prompts(
            task=(
                "You answer questions about an image. "
                "When something that matters is too small or unclear to be sure of, look closer with a tool before you "
                "answer; when the first look is enough, answer at once. "
                "Every turn ends either with tool calls or with the final answer inside <answer></answer>, never with "
                f"both. If the image cannot tell, write <answer>{DECLINE}: the reason</answer>."
            ),
            direct=(
                "You answer questions about an image. Give the final answer inside <answer></answer>. "
                f"If the image cannot tell, write <answer>{DECLINE}: the reason</answer>."
            ),
            reminder="",
            format_error=(
                "That turn had neither a tool call nor an answer. Write the final answer inside <answer></answer>, or "
                "a tool call if there are tools."
            ),
        ),
    }
)
