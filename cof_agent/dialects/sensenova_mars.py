"""The dialect of SenseNova-MARS, which are fine-tuned Qwen3-VL models: calls in JSON, always about the original.

Form and rules: OpenSenseNova/SenseNova-MARS@ce052d7efe599bf3af0e2db2dcfdbda7d0183704, `inference/eval.py` (tool, turns,
sizes) and `inference/tools_eval.yaml` (its arguments). Boxes are in thousandths; `img_idx` is asked for and ignored;
of a turn with several calls the first is run; text without tags is the answer too.

The models were trained with tools for searching the web too (`text_search_tool`, `image_search_tool`). They are not
offered here: a call of one is refused in words. What was published for questions that need a search is not reached.
The release makes regions under 28 pixels larger without keeping their shape; here their sides grow about the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.dialects.qwen3 import Qwen3Dialect
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Call
from cof_agent.dialects.user_turns import Block, image_in, user_turns, words
from cof_agent.images.geometry import CoordinateSpace, RegionRule, SizeRule


class SenseNovaMarsDialect(Qwen3Dialect):
    """See the module."""

    image_names = ()

    def names_images(self, profile: Profile) -> bool:
        """Never: whatever `img_idx` says, the original is cut."""
        return False

    def translated(self, call: Call) -> Call:
        call = super().translated(call)
        if call.name != ZOOM:
            return call
        return replace(call, args={name: value for name, value in call.args.items() if name != "view"})

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        reminder = f"\n{profile.prompts.reminder}" if profile.prompts.reminder else ""

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            end = "\n</tool_response>" + reminder * last
            if region := image_in(message):
                return [words("<tool_response>\nHere is the zoomed image:"), region[0], words(end)]
            said = f"Error: {message.text}" if message.status == "error" else message.text
            return [words(f"<tool_response>\n{said}{end}")]

        return user_turns(messages, self.system(profile, tools=tools), observed=observed)


_SIZES = SizeRule(32, 65_536, 8_294_400)

DIALECT = SenseNovaMarsDialect()
PROFILE = Profile(
    dialect="sensenova-mars",
    coordinates=CoordinateSpace.THOUSANDTHS,
    overview=_SIZES,
    regions=_SIZES,
    zoom=RegionRule(margin=1.0, scale=1.0, clip=True, min_side=28),
    stop_after_call=True,
    prompts=Prompts(reminder=""),
)
