"""The dialect of Chain-of-Focus: `<think>`, `<tool_call>` with JSON, `<answer>`; regions come back in user turns.

Reads sloppy text too: unclosed tags, code fences, single quotes, trailing commas, text around the JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from cof_agent.dialects.json_calls import read_calls, with_tools
from cof_agent.dialects.lenient_json import MAX_CHARACTERS
from cof_agent.dialects.markup import Markup
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.tools import CROP, IMAGE, VIEW, ZOOM, image_tools
from cof_agent.dialects.turn import Turn
from cof_agent.dialects.user_turns import Block, blocks_of, count_images, user_turns, words

MAX_CALL_CHARACTERS = MAX_CHARACTERS
"""Longer text between call tags is not read as a call."""

MARKUP = Markup("tool_call")


class CofDialect(ReadingDialect):
    """See the module."""

    call_end = "</tool_call>"
    image_names = (IMAGE, VIEW)

    def names_images(self, profile: Profile) -> bool:
        """Where the profile says so, or where every tool takes the number of any view."""
        return profile.several_images or profile.any_view or (bool(profile.tools) and ZOOM not in profile.tools)

    def read(self, text: str) -> Turn:
        return MARKUP.read(text, read_calls)

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        def observed(message: ToolMessage, last: bool) -> list[Block]:
            blocks = blocks_of(message)
            images = [block for block in blocks if block["type"] == "image"]
            if images and CROP not in profile.tools and not profile.any_view:
                blocks = images  # the numbers of views matter only to a tool that takes one
            if not (last and profile.prompts.reminder):
                return blocks
            return [*blocks, words("\n" * (blocks[-1]["type"] == "text") + profile.prompts.reminder)]

        return user_turns(messages, _system(profile, tools, count_images(messages)), observed=observed)


@lru_cache(maxsize=64)  # making the schemas takes longer than all else here
def _system(profile: Profile, tools: bool, images: int) -> str:
    if not tools:
        return profile.prompts.direct
    return with_tools(profile.prompts.task, [convert_to_openai_tool(tool) for tool in image_tools(profile, images)])


DIALECT = CofDialect()
PROFILE = Profile()
