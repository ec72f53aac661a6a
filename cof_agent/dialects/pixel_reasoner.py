r"""The dialect of Pixel Reasoner: prose, calls of `crop_image_normalized`, and the answer in `\boxed{}`.

Form and rules: TIGER-AI-Lab/Pixel-Reasoner@3f5cf786bf3e078e4512d514b57225a5547e976e,
`curiosity_driven_rl/openrlhf/trainer/ppo_utils/experience_maker.py` (tool, turns, sizes of its evaluation), and
`curiosity_driven_rl/openrlhf/datasets/prompts_dataset.py`@47dbea966753024d57ee5520c57c3b69114d2c92 (the guidelines
that follow the question; several images stand before it, without names). Images are counted from 1, those of the
question first. Its tool takes boxes that are not all below 1 for pixels, a border of 1.0 too; here a box is in pixels
where a number in it is over 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.json_calls import BOX, function, read_calls, with_tools
from cof_agent.dialects.lenient_json import json_at
from cof_agent.dialects.markup import Markup, plain, pointed
from cof_agent.dialects.profile import DECLINE, Profile, Prompts
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.terms import Terms
from cof_agent.dialects.tools import CROP
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import Block, count_images, image_in, user_turns, words
from cof_agent.images.geometry import CoordinateSpace, RegionRule, SizeRule

TOOL = "crop_image_normalized"

_MARKUP = Markup("tool_call")
_TARGET = "target_image"
_TERMS = Terms(TOOL, _TARGET, lambda number: f"{_TARGET} {number + 1}")
_BRACE = re.compile(r"[{}]")
_BOXED = re.compile(r"\\boxed\s{0,5}\{")
_WRAPPER = re.compile(r"\\(?:(?:text|math)(?:bf|it|rm|sf|tt|normal|md|up|sl|sc)?|mbox|operatorname)\s{0,5}\{")
"""Marks that set a font; their texts are part of the answer."""
_WRAPPER_OR_BRACE = re.compile(rf"{_WRAPPER.pattern}|[{{}}]")


def _tool(images: int) -> dict[str, Any]:
    second = "2 the second, …, then the parts shown" if images > 1 else "2 the first part shown, …"
    part = "the part: left, top, right, bottom, in fractions of the image, 0.0 to 1.0"
    return function(
        TOOL,
        "Look closer at a part of an image, where something is too small to be sure of.",
        {
            "bbox_2d": {**BOX, "description": part},
            _TARGET: {"type": "number", "description": f"which image: 1 is the first, {second}"},
        },
        ["bbox_2d", _TARGET],
    )


class PixelReasonerDialect(ReadingDialect):
    """See the module."""

    call_end = "</tool_call>"
    image_names = (_TARGET,)
    first_image = 1

    def names_images(self, profile: Profile) -> bool:
        """By `target_image`."""
        return True

    def read(self, text: str) -> Turn:
        turn = _MARKUP.read(text, lambda inside: map(self.translated, read_calls(inside)))
        said = plain(text)
        inside, closed = boxed(said)
        answer = inside or (None if turn.answer and _all_empty(turn.answer) else turn.answer)
        return Turn(
            turn.thought or said,
            turn.calls,
            answer,
            tuple(pointed(answer or "")),
            None if inside else turn.fault,
            closed if inside else turn.closed,
        )

    def read_text(self, text: str) -> Turn:
        turn = super().read_text(text)
        return replace(turn, said=None) if turn.answer is None and turn.said and _BOXED.search(turn.said) else turn

    def translated(self, call: Call) -> Call:
        if call.error or call.name != TOOL:
            return call
        args = {"bbox_2d": call.args["bbox_2d"]} if "bbox_2d" in call.args else {}
        if _TARGET not in call.args:
            return Call(CROP, args, call.text)
        target = call.args[_TARGET]
        number = _whole(target)
        if number is None:
            error = f"{_TARGET} must be a whole number, 1 for the first image, not {str(target)[:40]!r}"
            return Call(CROP, {}, call.text, error)
        return Call(CROP, {**args, "view": number - 1}, call.text)

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        reminder = profile.prompts.reminder if tools else ""

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            if region := image_in(message):
                image, view = region
                width, height = view.shown
                return [words(f"\nImage {view.index + 1}, the part you asked for ({width}x{height}):"), image]
            text = _TERMS.say(message.text)
            return [words(f"\nExecution error:\n{text}\n" if message.status == "error" else text)]

        system = with_tools(profile.prompts.task, [_tool(count_images(messages))]) if tools else profile.prompts.direct
        return user_turns(
            messages,
            system,
            asked=lambda blocks: [*blocks, words(f"\n\n{reminder}")] if reminder else blocks,
            observed=observed,
        )


def boxed(text: str) -> tuple[str | None, bool]:
    r"""What the last `\boxed{…}` that holds anything holds, and whether it is closed; None where none does.

    Braces are counted, but not those in the texts of JSON. Wrappers such as `\text{…}` are taken off.
    """
    end = len(text)
    for box in reversed(list(_BOXED.finditer(text))):
        inside, closed = _held(text[box.end() : end])
        end = box.start()
        if inside:
            return inside, closed
    return None, False


def _all_empty(text: str) -> bool:
    """Whether `text` has boxes and none of them holds anything."""
    return bool(_BOXED.search(text)) and boxed(text)[0] is None


def _held(rest: str) -> tuple[str, bool]:
    """What a box holds, by the text from its brace up to the next box, and whether it is closed."""
    if (value := json_at(rest)) and rest[value[1] :].lstrip().startswith("}"):
        return rest[: value[1]].strip(), True
    depth, end = 1, len(rest)
    for brace in _BRACE.finditer(rest):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            end = brace.start()
            break
    return _unwrapped(rest[:end]).strip(), depth == 0


def _unwrapped(inside: str) -> str:
    """`inside` without LaTeX's marks of fonts: their texts stay."""
    if not _WRAPPER.search(inside):
        return inside
    pieces: list[str] = []
    kept: list[bool] = []
    at = 0
    for mark in _WRAPPER_OR_BRACE.finditer(inside):
        pieces.append(inside[at : mark.start()])
        at = mark.end()
        if mark[0] == "}":
            keep = kept.pop() if kept else True
        else:
            keep = mark[0] == "{"
            kept.append(keep)
        if keep:
            pieces.append(mark[0])
    return "".join([*pieces, inside[at:]]).replace("\\ ", " ")


def _whole(value: Any) -> int | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if abs(number) < 1e9 and number.is_integer() else None


_LOOK = (
    "You answer questions about an image. Reason step by step. When something that matters is too small to be sure "
    "of, look closer with the tool before you go on; when the first look is enough, answer at once."
)
_END = (
    "Write the final answer inside \\boxed{}. "
    f"If the image cannot tell, write \\boxed{{{DECLINE}: the reason}}."
)  # fmt: skip

DIALECT = PixelReasonerDialect()
PROFILE = Profile(
    dialect="pixel-reasoner",
    tools=("image_crop_tool",),
    coordinates=CoordinateSpace.UNIT_OR_PIXELS,
    overview=SizeRule(28, 256 * 28**2, 8000 * 28**2),
    regions=SizeRule(28, 256 * 28**2, 5120 * 28**2),
    crop=RegionRule(margin=1.0, scale=1.0, clip=True, padding=0.1),
    stop_after_call=True,
    prompts=Prompts(
        task=f"{_LOOK} {_END}",
        direct=f"You answer questions about an image. Reason step by step. {_END}",
        reminder="Reason step by step, look closer with the tool where that helps, and end with \\boxed{}.",
        format_error=(
            "That turn had neither a tool call nor an answer. Write the final answer inside \\boxed{}, or a tool call "
            "if there are tools."
        ),
        misfit="That answer does not fit the JSON schema. Give it once more, inside \\boxed{}. What is wrong:",
        closing="No more parts can be shown. Give your best final answer now, inside \\boxed{}, without a tool call.",
    ),
)
