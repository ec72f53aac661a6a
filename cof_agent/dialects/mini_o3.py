"""The dialect of Mini-o3: `<grounding>` with a box in fractions and the image it is in; regions are observations.

Form and rules, read from forks that keep the release's files: youthHan/Mini-o3, `verl/trainer/constants.py`@
3999f14d4775ed960222af3a505320ca929aef6b (prompts) and `README.md`@03d8f25a9681b24578749e31c53a9123aabd05db (sizes,
turns: 12 images at most, the first included); camphortree17/mini-o3-rotate@d67934615d05572c8d864bd23c7a184e76db4f1f,
`verl/workers/rollout/vllm_rollout/function_tools.py` (the tool).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.lenient_json import json_values
from cof_agent.dialects.markup import MAX_CALLS, TOO_MANY, Markup, unthought
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.terms import Terms
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import Block, image_in, user_turns, words
from cof_agent.images.geometry import CoordinateSpace, RegionRule, SizeRule

_MARKUP = Markup("grounding")
_SOURCE = re.compile(r"\s*(?:original_image|observation_(\d{1,9}))\s*")
_TERMS = Terms("grounding", "source", lambda number: f"observation_{number}" if number else "original_image")


class MiniO3Dialect(ReadingDialect):
    """See the module."""

    call_end = "</grounding>"

    def read(self, text: str) -> Turn:
        turn = _MARKUP.read(text, _calls)
        if turn.calls or turn.answer or turn.fault or '"source"' not in (spoken := unthought(text)):
            return turn
        calls = tuple(islice(_bare_groundings(spoken), MAX_CALLS + 1))  # without tags
        return Turn(turn.thought, fault=TOO_MANY) if len(calls) > MAX_CALLS else replace(turn, calls=calls)

    def translated(self, call: Call) -> Call:
        return _in_our_terms(call.args, call.text) if call.name == "grounding" else call

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        reminder = profile.prompts.reminder

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            after = f"\n{reminder}" * (last and bool(reminder))
            if region := image_in(message):
                image, view = region
                before = words(f"Observation {view.index}, the region you asked for:\n")
                return [before, image, words(after or "\n")]
            return [words(_TERMS.say(message.text) + after)]

        return user_turns(messages, _system(profile, tools), observed=observed)


def _system(profile: Profile, tools: bool) -> str:
    task = profile.prompts.task if tools else profile.prompts.direct
    if not tools or "<grounding>" in task:
        return task
    return (
        f'{task}\n\nTo look closer, write <grounding>{{"bbox_2d": [x0, y0, x1, y1], "source": "original_image"}}'
        "</grounding> and stop. The box is the region's top-left and bottom-right corner, in fractions of the width "
        'and height of the image named by "source": "original_image", or "observation_1", "observation_2", … for a '
        "region that was shown before."
    )


def _calls(inside: str) -> Iterator[Call]:
    groundings = json_values(inside, lambda value: isinstance(value, dict) and "bbox_2d" in value)
    if not groundings:
        yield Call(ZOOM, {}, inside, 'the grounding is not a JSON object with "bbox_2d" and "source"')
    yield from (_in_our_terms(written, inside) for written in groundings)


def _bare_groundings(text: str) -> Iterator[Call]:
    found = json_values(text, lambda value: isinstance(value, dict) and {"bbox_2d", "source"} <= value.keys())
    return (_in_our_terms(written, text) for written in found)


def _in_our_terms(written: Mapping[str, Any], inside: str) -> Call:
    args = {key: written[key] for key in ("bbox_2d", "label") if written.get(key) is not None}
    source = written.get("source")
    if isinstance(source, str) and (match := _SOURCE.fullmatch(source)):
        return Call(ZOOM, {**args, "view": int(match[1] or 0)}, inside)
    if source is None:
        return Call(ZOOM, args, inside)
    if isinstance(source, int) and not isinstance(source, bool):
        return Call(ZOOM, {**args, "view": source}, inside)
    return Call(ZOOM, {}, inside, f'"source" must be "original_image" or "observation_i", not {str(source)[:40]!r}')


_SIZES = SizeRule(28, 40_000, 2_000_000)

DIALECT = MiniO3Dialect()
PROFILE = Profile(
    dialect="mini-o3",
    coordinates=CoordinateSpace.UNIT,
    overview=_SIZES,
    regions=_SIZES,
    zoom=RegionRule(margin=1.0, scale=1.0, clip=True),
    any_view=True,
    stop_after_call=True,
)
