"""The dialect of the first Chain-of-Focus: a box in running text, then the token that asks to see it enlarged.

`<|box_start|>[x1, y1, x2, y2]<|box_end|> … <|image_zoomin|>`, in pixels of the first image as shown, and `<answer>`.
Form: xtong-zhang/Chain-of-Focus@b0668ceaf0199a475cad0652b9c6fe488911a403,
`verl/recipe/zoomin/data_progress/customized_dataset_nips.py` and the format reward in `verl/recipe/zoomin/`.

There the image follows the token within the policy's turn; here it comes in the next user turn, which any chat model
takes. Servers that hide special tokens must be told to keep them (`skip_special_tokens=false`); where only the token
survived, the last four numbers in brackets before it are the box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.dialects.markup import MAX_CALLS, TOO_MANY, Markup, opened
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import Block, blocks_of, image_in, user_turns, words
from cof_agent.images.geometry import Corners

ZOOM_IN = "<|image_zoomin|>"

_MARKUP = Markup("tool_call")
_BOX = re.compile(r"<\|box_start\|>(.{0,200}?)<\|box_end\|>", re.S)
_BARE_BOX = re.compile(r"\[[-+\d.,\s]{7,200}\]")
_NUMBER = re.compile(r"[-+]?\d{1,20}(?:\.\d{0,20})?")
_TOKEN = re.compile(r"<\|\w{1,40}\|>")


class CofV1Dialect(ReadingDialect):
    """See the module."""

    call_end = ZOOM_IN

    def read(self, text: str) -> Turn:
        text = opened(text)
        turn = _MARKUP.read(text, lambda inside: ())
        thought, calls = _TOKEN.sub("", turn.thought).strip(), tuple(islice(_calls(text), MAX_CALLS + 1))
        if len(calls) > MAX_CALLS:
            return Turn(thought, fault=TOO_MANY)
        boxes = tuple(_boxes(turn.answer or ""))
        return Turn(thought, calls, turn.answer, boxes, None if calls else turn.fault, turn.closed)

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        task = _task(profile, tools)

        def asked(blocks: list[Block]) -> list[Block]:
            images = [block for block in blocks if block["type"] == "image"]
            question = "\n".join(block["text"] for block in blocks if block["type"] == "text")
            return [*images, *([words(f"{task}\n")] if images else []), words(f"Question: {question}")]

        def observed(message: ToolMessage, last: bool) -> list[Block]:
            region = image_in(message)
            blocks = [region[0]] if region else blocks_of(message)
            return [*blocks, words(f"\n{profile.prompts.reminder}")] if last and profile.prompts.reminder else blocks

        return user_turns(messages, None, asked=asked, observed=observed)


def _task(profile: Profile, tools: bool) -> str:
    task = profile.prompts.task if tools else profile.prompts.direct
    if not tools or ZOOM_IN in task:
        return task
    return (
        f"{task} To look closer, name the region as <|box_start|>[x1, y1, x2, y2]<|box_end|>, in pixels of the first "
        f"image from its top-left corner, then write {ZOOM_IN} and stop: the region comes back enlarged."
    )


def _calls(text: str) -> Iterator[Call]:
    *segments, _ = text.split(ZOOM_IN)
    for segment in segments:
        boxes = _BOX.findall(segment) or _BARE_BOX.findall(segment)
        written = (boxes[-1] if boxes else segment[-200:]).strip()
        numbers = [float(number) for number in _NUMBER.findall(boxes[-1])] if boxes else []
        if not boxes:
            yield Call(ZOOM, {}, written, f"no box between <|box_start|> and <|box_end|> stands before {ZOOM_IN}")
        elif len(numbers) != 4:
            yield Call(ZOOM, {}, written, "the box is not four numbers [x1, y1, x2, y2]")
        else:
            yield Call(ZOOM, {"bbox_2d": numbers}, written)


def _boxes(answer: str) -> Iterator[Corners]:
    for written in _BOX.findall(answer):
        numbers = [float(number) for number in _NUMBER.findall(written)]
        if len(numbers) == 4:
            yield numbers[0], numbers[1], numbers[2], numbers[3]


DIALECT = CofV1Dialect()
PROFILE = Profile(dialect="cof-v1", stop_after_call=True)
