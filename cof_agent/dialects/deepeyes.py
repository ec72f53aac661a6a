"""The dialect of DeepEyes: calls as in Chain-of-Focus; a region comes back inside `<tool_response>`.

Form and rules: Visual-Agent/DeepEyes@2acd417f21fe814a059a6adbca1d7e18952d067b,
`verl/workers/agent/envs/mm_process_engine/visual_toolbox_v2.py` (the tool) and `prompt.py` beside it;
`eval/eval_vstar.py`@cc3ff4d6bb880c2e8aaa42374b61a68f95160cfa (sizes). The reminder follows the question too; a refused
call comes back as plain text. The tool refuses sides of 30 pixels or less before it would make sides under 28 grow,
so none ever grows. Of a turn with several calls the evaluation runs the first, as here, and training the last. The
evaluation checks no box, and cuts the original at the numbers as they are: above 12.8 megapixels, where the model saw
a smaller image, that is another place than it meant. Here boxes are always mapped from the view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.json_calls import BOX, function, read_calls, with_tools
from cof_agent.dialects.markup import Markup
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import Block, image_in, user_turns, words
from cof_agent.images.geometry import RegionRule, SizeRule

_MARKUP = Markup("tool_call")
_TOOL = function(
    ZOOM,
    "Cut a region out of the image and look at it on its own.",
    {
        "bbox_2d": {**BOX, "description": "the region in pixels of the image as shown: left, top, right, bottom"},
        "label": {"type": "string", "description": "what you expect to see there"},
    },
    ["bbox_2d"],
)


class DeepEyesDialect(ReadingDialect):
    """See the module."""

    call_end = "</tool_call>"

    def read(self, text: str) -> Turn:
        return _MARKUP.read(text, lambda inside: map(self.translated, read_calls(inside)))

    def translated(self, call: Call) -> Call:
        if "bbox" in call.args and "bbox_2d" not in call.args:  # the published schema has both names
            return replace(call, args={"bbox_2d" if key == "bbox" else key: call.args[key] for key in call.args})
        return call

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        reminder = f"\n{profile.prompts.reminder}" if tools and profile.prompts.reminder else ""

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            if region := image_in(message):
                return [words("<tool_response>"), region[0], words("</tool_response>" + reminder * last)]
            return [words(f"Error: {message.text}" if message.status == "error" else message.text)]

        system = with_tools(profile.prompts.task, [_TOOL]) if tools else profile.prompts.direct
        return user_turns(
            messages,
            system,
            asked=lambda blocks: [*blocks, words(reminder)] if reminder else blocks,
            observed=observed,
        )


_SIZES = SizeRule(28, 4 * 28**2, 8192 * 28**2)
"""The release's, but for the upper limit: 16,384 tokens there, which leaves no room for regions in a default run."""

DIALECT = DeepEyesDialect()
PROFILE = Profile(
    dialect="deepeyes",
    overview=_SIZES,
    regions=_SIZES,
    zoom=RegionRule(margin=1.0, scale=1.0, clip=True, refused_side=30, max_aspect=100),
    stop_after_call=True,
)
