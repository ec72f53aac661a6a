"""Single turns of the policy `reader`: messages in, a turn in the `cof` dialect out."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image, ImageDraw, ImageFont

from cof_agent.dialects.profile import Prompts
from cof_agent.errors import PolicyError
from cof_agent.images.geometry import Box, RegionRule, SizeRule, to_original
from cof_agent.policies.reader import reader_model

TOOLS = SystemMessage("<tools></tools>")
NO_TOOLS = SystemMessage("No tools.")


def page(*texts: tuple[str, int, int, int], size: tuple[int, int] = (1120, 840)) -> Image.Image:
    """A white page with lines of text: words, x, y, size."""
    picture = Image.new("RGB", size, "white")
    for line, x, y, height in texts:
        ImageDraw.Draw(picture).text((x, y), line, fill="black", font=ImageFont.load_default(size=height))
    return picture


def image(picture: Image.Image) -> dict[str, str]:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return {"type": "image", "base64": base64.b64encode(data.getvalue()).decode(), "mime_type": "image/png"}


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def first(picture: Image.Image, question: str) -> HumanMessage:
    return HumanMessage([image(picture), words(question)])


def turn(*messages: BaseMessage) -> AIMessage:
    reply = reader_model().invoke(list(messages))
    assert isinstance(reply, AIMessage)
    assert reply.text.startswith("<think>")
    return reply


def answer(reply: AIMessage) -> str:
    return re.findall(r"<answer>(.*?)</answer>", reply.text, re.S)[0]


def box(reply: AIMessage) -> list[int]:
    called = json.loads(re.findall(r"<tool_call>(.*?)</tool_call>", reply.text, re.S)[0])
    assert called["name"] == "image_zoom_in_tool"
    return list(called["arguments"]["bbox_2d"])


ORIGINAL = page(("Opening daily at noon", 2800, 2400, 44), ("HARBOUR OFFICE", 400, 320, 240), size=(4480, 3360))
TINY = ORIGINAL.resize((1120, 840), Image.Resampling.LANCZOS)
QUESTION = "What does it say about opening?"


def region(reply: AIMessage) -> tuple[Box, tuple[int, int]]:
    """What the loop shows of ORIGINAL after a turn that asked for a region, and at which size."""
    return RegionRule().region(box(reply), TINY.size, Box.whole(ORIGINAL.size), SizeRule())


def zoomed(reply: AIMessage) -> HumanMessage:
    cut, shown = region(reply)
    view = ORIGINAL.crop((cut.x1, cut.y1, cut.x2, cut.y2)).resize(shown, Image.Resampling.LANCZOS)
    return HumanMessage([image(view), words(Prompts().reminder)])


def test_small_text_is_zoomed_on_and_its_box_given_in_the_zoom() -> None:
    asked = turn(TOOLS, first(TINY, QUESTION))
    assert Box(*box(asked)).contains(Box(700, 601, 805, 612))
    reply = turn(TOOLS, first(TINY, QUESTION), asked, zoomed(asked))
    assert answer(reply) == "Opening daily at noon"
    (item,) = reply.additional_kwargs["cof_evidence"]
    assert (item["view"], item["source"]) == (1, "reader")
    cut, shown = region(asked)
    assert to_original(item["bbox_2d"], shown, cut).iou(Box(2800, 2405, 3230, 2455)) > 0.4


def test_large_text_needs_no_zoom() -> None:
    assert answer(turn(TOOLS, first(TINY, "What does the large text say?"))) == "HARBOUR OFFICE"


def test_without_tools_it_answers_or_declines() -> None:
    assert answer(turn(NO_TOOLS, first(TINY, QUESTION)))
    assert answer(turn(NO_TOOLS, first(TINY, "What does the large text say?"))) == "HARBOUR OFFICE"


def test_the_closing_request_ends_the_search() -> None:
    question = first(TINY, "What is the phone number?")
    asked = turn(TOOLS, question)
    assert "<tool_call>" in asked.text
    closing = HumanMessage([image(page()), words(Prompts().reminder), words(Prompts().closing)])
    assert answer(turn(TOOLS, question, asked, closing)).startswith("cannot answer: ")


def test_refusals_lead_to_another_box_or_an_end() -> None:
    messages: list[BaseMessage] = [TOOLS, first(TINY, "What is the phone number?")]
    boxes = []
    while "<tool_call>" in (reply := turn(*messages)).text:
        boxes.append(tuple(box(reply)))
        messages += [reply, HumanMessage("Error: that box cannot be shown.")]
        assert len(boxes) < 4
    assert answer(reply).startswith("cannot answer: ")
    assert len(set(boxes)) == len(boxes)


def test_a_follow_up_uses_the_views_so_far_and_counts_dropped_ones() -> None:
    asked = turn(TOOLS, first(TINY, QUESTION))
    told = AIMessage("<think>.</think><answer>Opening daily at noon</answer>")
    again = HumanMessage([words("What is written above the bell?"), words(QUESTION)])
    seen = turn(TOOLS, first(TINY, QUESTION), asked, zoomed(asked), told, again)
    assert answer(seen) == "Opening daily at noon"
    assert [item["view"] for item in seen.additional_kwargs["cof_evidence"]] == [1]
    gone = HumanMessage([words("[view 1 is no longer shown]"), words(Prompts().reminder)])
    reply = turn(TOOLS, first(TINY, QUESTION), asked, gone, told, HumanMessage("What does the large text say?"))
    assert [item["view"] for item in reply.additional_kwargs["cof_evidence"]] == [0]


def test_declining_names_the_nearest_text_and_the_remedy() -> None:
    reply = turn(TOOLS, first(TINY, "What colour is the door?"))
    assert answer(reply).startswith("cannot answer: ")
    assert "HARBOUR OFFICE" in answer(reply)
    assert "vision-language policy" in answer(reply)


SIGNS = page(
    ("Alpha", 100, 100, 44), ("Bravo 14", 420, 100, 44), ("Charlie", 100, 170, 44), ("Name: Tomas Berg", 100, 400, 36),
    ("Please ring the bell", 100, 520, 36), ("Oak Road", 700, 700, 40), ("NO PARKING", 600, 300, 60),
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ("What is written next to Alpha?", "Bravo 14"),
        ('What is written below "Alpha"?', "Charlie"),
        ("What is the name?", "Tomas Berg"),
        ("What does the sign say about the bell?", "Please ring the bell"),
        ("What is the name of the street?", "Oak Road"),
        ("Does the sign say no parking?", "yes"),
        ("What number is next to Alpha? (A) 12 (B) 14 (C) 41", "(B) 14"),
        ("How many windows are there?", None),
        ("What is the expiry date?", None),
        ("Is the bell to the right of the door?", None),
    ],
)
def test_ways_to_match(question: str, truth: str | None) -> None:
    found = answer(turn(NO_TOOLS, first(SIGNS, question)))
    assert found == truth if truth else found.startswith("cannot answer")


def test_no_needs_all_text_to_be_read() -> None:
    clear = page(("ENTRANCE", 200, 200, 90))
    assert answer(turn(NO_TOOLS, first(clear, 'Does the sign say "exit"?'))) == "no"


def test_colours_and_sides_choose_between_signs() -> None:
    picture = Image.new("RGB", (1120, 560), (200, 200, 200))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=60)
    for x, colour, text in ((60, (190, 25, 25), "40% OFF"), (640, (25, 55, 180), "15% OFF")):
        pen.rectangle((x, 100, x + 420, 460), fill=colour)
        pen.text((x + 80, 240), text, fill="white", font=font)
    assert answer(turn(NO_TOOLS, first(picture, "What percentage is on the red poster?"))) == "40%"
    assert answer(turn(NO_TOOLS, first(picture, "What percentage is on the right poster?"))) == "15%"
    assert answer(turn(NO_TOOLS, first(picture, "What percentage is shown?"))).startswith("cannot answer")


def test_it_needs_an_image_and_a_question() -> None:
    with pytest.raises(PolicyError, match="image"):
        turn(TOOLS, HumanMessage([words("What does the sign say?")]))
    with pytest.raises(PolicyError, match="question"):
        turn(TOOLS, HumanMessage([image(TINY)]))
    with pytest.raises(PolicyError, match="base64"):
        turn(TOOLS, HumanMessage([{"type": "image", "base64": "?", "mime_type": "image/png"}, words("Hello?")]))
