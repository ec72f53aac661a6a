"""Calls in disguise are never answers, and honest texts that look a little like calls are."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage

from cof_agent.dialects import DIALECTS, get_dialect
from cof_agent.dialects.call_forms import calls_written

CALLS = [
    "IMAGE_ZOOM_IN_TOOL(bbox_2d=[1,2,3,4])",
    "ImageZoomInTool(bbox_2d=[1, 2, 3, 4])",
    "image-zoom-in-tool(bbox_2d=[1, 2, 3, 4])",
    "image\\_zoom\\_in\\_tool(bbox\\_2d=[1, 2, 3, 4])",
    '{\n "tool_to_use": "image_zoom_in_tool",\n "bbox_2d": [1, 2, 3, 4]}',
    '{\n "thought": "small",\n "image_zoom_in_tool": {\n "bbox_2d": [1, 2, 3, 4]}}',
    '{"step": {"use": "image_crop_tool", "where": {"left": 1, "top": 2, "right": 3, "bottom": 4}}}',
    "image_zoom_in_tool\n<arg_key>bbox_2d</arg_key>\n<arg_value>[1, 2, 3, 4]</arg_value>",
    "<name>image_zoom_in_tool</name>\n<arguments>[1, 2, 3, 4]</arguments>",
    '<tool name="image_zoom_in_tool">[1, 2, 3, 4]</tool>',
    "<tool_use><tool_name>image_zoom_in_tool</tool_name><bbox>1, 2, 3, 4</bbox></tool_use>",
    '- tool: "image_zoom_in_tool"\n  box: [1, 2, 3, 4]',
    "**Action:** `image_zoom_in_tool`\n**Input:** [1, 2, 3, 4]",
    '&lt;tool_call&gt;{"name": "image_zoom_in_tool"}&lt;/tool_call&gt;',
    "＜tool_call＞crop 1 2 3 4＜/tool_call＞",
    "< tool_call >crop 1 2 3 4< /tool_call >",
    "The number is in [100,100,200,200]<|image_zoomin|>",
    "Let me look.\nzoom(100,100,200,200)",
    "zoom(100,100,200,200)",
    "zoom_in([100, 100, 200, 200])",
    "crop(bbox=[1, 2, 3, 4])",
    '<zoom bbox="1,2,3,4"/>',
    "<crop>[1, 2, 3, 4]</crop>",
    '{"action":"zoom","rect":[1, 2, 3, 4]}',
    '{"tool_name":"zoom-in","bbox":[1, 2, 3, 4]}',
    '{"name":"magnify","arguments":{"bbox_2d":[1, 2, 3, 4]}}',
    '{"name":"look","arguments":{"bbox_2d":[1, 2, 3, 4]}}',
    '[TOOL_CALLS] [{"name": "f"}]',
    "image_zoom_in_tool 1,2,3,4",
    "**zoom_in**(bbox=[1,2,3,4])",
    "**zoom_in**(bbox_2d=[1,2,3,4])",
    "I will zoom in: zoom(bbox_2d=[1,2,3,4])",
    "- action: zoom\n  bbox_2d: [1,2,3,4]",
    'Action: zoom_in\nAction Input: {"bbox_2d": [1,2,3,4]}',
    '<TOOL_CALL>{"name": "f"}</TOOL_CALL>',
    '{"zoom": {"bbox_2d": [1,2,3,4]}}',
    "[TOOL_CALLS]image_zoom_in_tool",
    "<function=foo>\n<parameter=a>1</parameter>",
]
ENDINGS = [
    '{"name":"image_zoom_in',
    '<answer>{"name":"image_zoom_in</answer>',
    "I look closer. <tool_c",
    "<|image_zoom",
    '{"bbox_2d": [0.1, 0.2, 0.3, 0.4], "source": "original_image"}',
    '<grounding>{"bbox_2d": [0.1, 0.2, 0.3, 0.4], "source": "original_image"}</grounding>',
    "`image_zoom_in_tool`",
    "Let me call image_zoom_in_tool to look at the sign.",
    "I'll use crop_image_normalized",
]
HONEST = [
    "the zoom lens costs $5",
    '{"name": "zoom", "price": 5}',
    '{"name":"crop","area":"12 ha"}',
    '{"name": "Zoom", "region": {"country": "US"}}',
    '{"action":"zoom","region":{"name":"Bavaria"}}',
    '{"tool":"crop","box":{"w":3,"h":4}}',
    '{"name": "crop", "coordinates": [48.1, 11.5]}',
    '{"name": "Zoom", "prices": [1, 2, 3, 4]}',
    '{"bbox_2d": [1, 2, 3, 4], "label": "crop"}',
    '{"type": "crop", "bbox_2d": [1, 2, 3, 4]}',
    '{"crop": {"bbox_2d": [1, 2, 3, 4]}}',
    "img = crop(img, box=[1,2,3,4])",
    "crop(image, region=(0,0,10,10))",
    "The text is [TOOL_CALLS]",
    "The text is <function=foo>",
    "<image_crop_tool>",
    "call: image_crop_tool",
    "The image_zoom_in_tool region [1,2,3,4] shows 417",
    "x = zoom(1,2,3,4)",
    "<crop>wheat</crop>",
    "zoom: 4x",
    "The heading is Image Zoom In Tool (beta)",
    "3 &lt; 4",
]
PROSE = [
    *HONEST[:13],
    "I used image_zoom_in_tool (twice), and the number is 417.",
    "The image_zoom_in_tool output shows 417.",
]


def ended(text: str) -> AIMessage:
    return AIMessage(text, response_metadata={"finish_reason": "stop"})


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("text", CALLS)
def test_a_call_in_disguise_is_never_an_answer(name: str, text: str) -> None:
    for said in (text, f"<answer>{text}</answer>"):
        turn = get_dialect(name).parse(ended(said))
        assert turn.calls or ((turn.answer, turn.said) == (None, None) and turn.fault), said


@pytest.mark.parametrize("text", [text for text in CALLS if "<|image_zoomin|>" not in text])
def test_nor_is_one_in_a_box(text: str) -> None:
    turn = get_dialect("pixel-reasoner").parse(ended(f"\\boxed{{{text}}}"))
    assert turn.answer is None
    assert turn.calls or turn.fault


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("text", ENDINGS)
def test_a_turn_that_ends_in_a_call_is_none(name: str, text: str) -> None:
    turn = get_dialect(name).parse(ended(text))
    assert (turn.answer, turn.said) == (None, None)
    assert turn.calls or turn.fault


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("text", HONEST)
def test_what_only_looks_like_a_call_is_an_answer(name: str, text: str) -> None:
    turn = get_dialect(name).parse(ended(f"<answer>{text}</answer>"))
    assert (turn.answer, turn.calls, turn.fault) == (text, (), None)
    if name == "pixel-reasoner":
        assert get_dialect(name).parse(ended(f"\\boxed{{{text}}}")).answer == text


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("text", PROSE)
def test_prose_and_code_are_what_a_closing_turn_says(name: str, text: str) -> None:
    turn = get_dialect(name).parse(ended(text))
    assert (turn.said, turn.calls, turn.fault) == (text, (), None)


@pytest.mark.parametrize(
    "text",
    [
        "ImageZoomInTool(bbox_2d=[1, 2, 3, 4])",
        '&lt;tool_call&gt;{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 2, 3, 4]}}&lt;/tool_call&gt;',
        '{"name": "Image-Zoom-In-Tool", "arguments": {"bbox_2d": [1, 2, 3, 4]}}',
    ],
)
def test_calls_that_can_be_read_are(text: str) -> None:
    (call,) = calls_written(text).calls
    assert (call.name, call.args) == ("image_zoom_in_tool", {"bbox_2d": [1, 2, 3, 4]})
