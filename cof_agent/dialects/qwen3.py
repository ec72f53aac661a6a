"""The dialect of Qwen3-VL with its published zoom tool: coordinates in thousandths, images counted from 0.

Tool and rules: QwenLM/Qwen-Agent@d04611b01cb113148462fdc7c3a0d048558b9c50,
`qwen_agent/tools/image_zoom_in_qwen3vl.py`; form of calls and responses:
`qwen_agent/llm/fncall_prompts/nous_fncall_prompt.py`@06a190465090cc15f73d539529e314a9cc1d99da; use:
QwenLM/Qwen3-VL@c253c773743e8fc9301e6896f06bb5d97363fd5e, `cookbooks/think_with_images.ipynb`; sizes: `README.md`@
0f2afbe48b55892f30a1f1bff20139fe5a3cc598 there. Text without tags is the answer too; templates of Thinking checkpoints
open `<think>` themselves.

Several images stand before the text of a question, without names. The tool counts all images of the conversation from
0, so those of the question come first; it requires `img_idx`. The chat template writes "Picture N: " before an image
only where a caller asks for it (`add_vision_id`); what the published uses send has no such names.

Two sources differ on `img_idx`. The tool counts all images. A maintainer says that the models count the user's alone,
and go deeper by coordinates of the original (QwenLM/Qwen3-VL issue 1667). The tool's reading is the default; the
profile's `counted="images"` is the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.json_calls import BOX, function, read_calls, with_tools
from cof_agent.dialects.markup import Markup, opened, plain, pointed
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.terms import Terms
from cof_agent.dialects.tools import VIEW, ZOOM
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import Block, count_images, image_in, user_turns, words
from cof_agent.images.geometry import CoordinateSpace, RegionRule, SizeRule

_MARKUP = Markup("tool_call")
_INDEX = "img_idx"
_TERMS = Terms(ZOOM, _INDEX, lambda number: f"img_idx {number}")
_ARGUMENTS = {"bbox_2d": "bbox_2d", "label": "label", "img_idx": "view", "view": "view"}


def tool(counted: str = "views", images: int = 1) -> dict[str, Any]:
    """The schema of the tool, with what `img_idx` counts where the question has that many `images`."""
    others = "1 the second, …, then the regions shown" if images > 1 else "1 the first region shown, …"
    if counted == "images":
        others = "1 the second of the question's, …"
    return function(
        ZOOM,
        "Cut a region out of an image and look at it on its own.",
        {
            "bbox_2d": {
                **BOX,
                "description": "the region: left, top, right, bottom, in thousandths of the image's width and height",
            },
            "label": {"type": "string", "description": "what you expect to see there"},
            _INDEX: {"type": "number", "description": f"which image: 0 is the first, {others}"},
        },
        ["bbox_2d", "label", _INDEX],
    )


class Qwen3Dialect(ReadingDialect):
    """See the module."""

    call_end = "</tool_call>"
    image_names: tuple[str, ...] = (_INDEX, VIEW)  # as in calls

    def names_images(self, profile: Profile) -> bool:
        """By `img_idx`: as images come first, it is the number of the view."""
        return profile.any_view

    def read(self, text: str) -> Turn:
        text = opened(text)
        turn = _MARKUP.read(text, lambda inside: map(self.translated, read_calls(inside)))
        if turn.calls or turn.answer or turn.fault:
            return turn
        answer = plain(text)
        return replace(turn, answer=answer or None, pointed=tuple(pointed(answer)))

    def translated(self, call: Call) -> Call:
        if call.name != ZOOM:
            return call
        return replace(call, args={_ARGUMENTS[key]: call.args[key] for key in call.args if key in _ARGUMENTS})

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        reminder = f"\n{profile.prompts.reminder}" if profile.prompts.reminder else ""

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            end = "\n</tool_response>" + reminder * last
            if region := image_in(message):
                return [words("<tool_response>\n"), region[0], words(end)]
            return [words(f"<tool_response>\n{_TERMS.say(message.text)}{end}")]

        system = self.system(profile, tools=tools, images=count_images(messages))
        return user_turns(messages, system, observed=observed)

    def system(self, profile: Profile, *, tools: bool, images: int = 1) -> str:
        """The system turn of a conversation about that many `images`."""
        return with_tools(profile.prompts.task, [tool(profile.counted, images)]) if tools else profile.prompts.direct


_LEAST = 256 * 32**2
"""Pixels: of the tool's regions, and of the README's images."""

DIALECT = Qwen3Dialect()
PROFILE = Profile(
    dialect="qwen3",
    coordinates=CoordinateSpace.THOUSANDTHS,
    overview=SizeRule(32, _LEAST, 1280 * 32**2),
    regions=SizeRule(32, _LEAST, 12_845_056),  # the tool's
    zoom=RegionRule(margin=1.0, scale=1.0, clip=True, min_side=32),
    any_view=True,
    prompts=Prompts(reminder=""),
)
